//! Cargo, as this task was started by it: the same program, in the workspace, with the committed lock file.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

/// The workspace's folder.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Where cargo puts what it builds; this very program is in `<target>/<profile>/`.
pub(crate) fn target() -> PathBuf {
    let own = env::current_exe().ok();
    let target = own.as_deref().and_then(Path::parent).and_then(Path::parent);
    target.map_or_else(|| workspace().join("target"), Path::to_path_buf)
}

/// `cargo SUBCOMMAND --locked`.
pub(crate) fn command(subcommand: &str) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace()).args([subcommand, "--locked"]);
    command
}

/// Runs it with its output shown, since cargo shows its own progress.
///
/// # Errors
/// It can't be started, or ends with another code than 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("can't start {command:?}"))?;
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    ensure!(status.success(), "`cargo {}` failed: {status}", words.join(" "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::command;

    #[test]
    fn tasks_build_where_the_kernel_programs_do_not_yet() {
        let tree = ["--offline", "--package", "xtask", "--edges", "normal,build", "--prefix", "none"];
        let output = command("tree").args(tree).output().unwrap();
        let tree = String::from_utf8(output.stdout).unwrap();
        assert!(tree.contains("portreeve-tests v"), "{tree}{}", String::from_utf8_lossy(&output.stderr));
        assert!(!tree.contains("portreeve v"), "{tree}");
    }
}

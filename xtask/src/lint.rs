//! `cargo xtask lint`: format, lints, documentation, and no unfinished code.

use std::{fs, process::Command, time::Instant};

use anyhow::{Context as _, Result, bail};

use crate::{
    cargo,
    setup::{self, Purpose},
    step,
};

/// Packages outside the default members. The kernel programs are checked as a program of this machine.
const OTHERS: [&str; 2] = ["portreeve-tests", "portreeve-ebpf"];

/// Macros that stand for code that isn't there; in two halves, or this file would be a find.
const UNFINISHED: [(&str, &str); 2] = [("todo", "!("), ("unimplemented", "!(")];

/// Runs all checks, and stops at the first that fails.
///
/// # Errors
/// A check fails; what it said has been shown.
pub(crate) fn main() -> Result<()> {
    let begin = Instant::now();
    setup::ensure(&[Purpose::Build, Purpose::Lint])?;
    finished()?;
    let mut format = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    check("format", format.current_dir(cargo::workspace()).args(["fmt", "--all", "--check"]))?;
    check("lints", cargo::command("clippy").args(["--all-targets", "--", "-D", "warnings"]))?;
    for package in OTHERS {
        let lint = ["--package", package, "--all-targets", "--", "-D", "warnings"];
        check(&format!("lints of {package}"), cargo::command("clippy").args(lint))?;
    }
    let mut docs = cargo::command("doc");
    docs.args(["--workspace", "--no-deps", "--document-private-items"]).env("RUSTDOCFLAGS", "-D warnings");
    check("documentation", &mut docs)?;
    println!("lint: clean ({})", step::seconds(begin.elapsed()));
    Ok(())
}

fn check(what: &str, command: &mut Command) -> Result<()> {
    eprintln!("lint: {what}");
    cargo::run(command)
}

/// Fails if a Rust file of the repository stands for code that isn't there.
fn finished() -> Result<()> {
    eprintln!("lint: unfinished code");
    let listed = Command::new("git")
        .current_dir(cargo::workspace())
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"])
        .output()
        .context("can't ask git for the files")?;
    let mut finds = Vec::new();
    for file in String::from_utf8_lossy(&listed.stdout).lines() {
        // A file that is deleted but not committed is still listed.
        let Ok(text) = fs::read_to_string(cargo::workspace().join(file)) else { continue };
        finds.extend(unfinished(&text).map(|line| format!("{file}:{line}")));
    }
    if !finds.is_empty() {
        bail!("unfinished code: {}", finds.join(", "));
    }
    Ok(())
}

/// Numbers of the lines that hold such a macro.
fn unfinished(text: &str) -> impl Iterator<Item = usize> {
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| UNFINISHED.iter().any(|(name, call)| line.contains(&format!("{name}{call}"))))
        .map(|(n, _)| n + 1)
}

#[cfg(test)]
mod tests {
    use super::{UNFINISHED, unfinished};

    #[test]
    fn finds_unfinished_code() {
        let (name, call) = UNFINISHED[0];
        let text = format!("fn main() {{\n    {name}{call})\n}}\n// todo: a word is fine");
        assert_eq!(unfinished(&text).collect::<Vec<_>>(), [2]);
    }
}

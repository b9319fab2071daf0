//! The package: what dpkg wants to know beside the tree, and `dpkg-deb`, which packs it.

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::{cargo, step};

/// Files that dpkg leaves alone when an administrator has changed them.
const CONFFILES: &str = "/etc/default/portreeve\n";

/// What dpkg runs at an installation and a removal.
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

/// Packs a staged tree.
///
/// # Errors
/// A tool of Debian's fails.
pub(super) fn build(folder: &Path, tree: &Path, is_static: bool) -> Result<PathBuf> {
    let depends = if is_static { None } else { Some(depends(folder, tree)?) };
    let architecture = output(Command::new("dpkg").arg("--print-architecture"))?;
    let control = control(&architecture, depends.as_deref(), size(tree)? / 1024);
    let meta = tree.join("DEBIAN");
    fs::create_dir(&meta)?;
    fs::set_permissions(&meta, fs::Permissions::from_mode(0o755))?;
    for (name, text) in [("control", control.as_str()), ("conffiles", CONFFILES)] {
        put(&meta.join(name), text, 0o644)?;
    }
    for name in SCRIPTS {
        let script = cargo::workspace().join("dist/deb").join(name);
        let text = fs::read_to_string(&script).with_context(|| format!("can't read {}", script.display()))?;
        put(&meta.join(name), &text, 0o755)?;
    }
    let package = folder.join(format!("portreeve_{}_{architecture}.deb", env!("CARGO_PKG_VERSION")));
    let mut pack = Command::new("dpkg-deb");
    pack.args(["--root-owner-group", "-Zxz", "--build"]).arg(tree).arg(&package);
    // The same commit makes the same package.
    pack.env("SOURCE_DATE_EPOCH", committed()?);
    step::run("pack", &mut pack)?;
    Ok(package)
}

fn control(architecture: &str, depends: Option<&str>, kibibytes: u64) -> String {
    let mut text = format!(
        "Package: portreeve\nVersion: {}\nArchitecture: {architecture}\nMaintainer: {}\n\
         Installed-Size: {kibibytes}\nSection: net\nPriority: optional\n",
        env!("CARGO_PKG_VERSION"),
        "The Portreeve developers <portreeve@localhost>",
    );
    if let Some(depends) = depends {
        writeln!(text, "Depends: {depends}").unwrap_or_default();
    }
    text.push_str(
        "Description: holds a gateway to the network flows that its vendors document\n \
         Compiles the documented flows of a role (an edge device, a standby server) into\n \
         programs of the kernel, lets exactly them pass, counts and drops the rest, and\n \
         reports where the network and the document disagree. Installing it enforces\n nothing.\n",
    );
    text
}

/// The libraries that the program names, as packages of this machine's release.
fn depends(folder: &Path, tree: &Path) -> Result<String> {
    // dpkg-shlibdeps works in a source tree of Debian's; this is all that it looks at.
    let source = folder.join("source/debian");
    fs::create_dir_all(&source)?;
    fs::write(source.join("control"), "Source: portreeve\n\nPackage: portreeve\nArchitecture: any\n")?;
    let mut libraries = Command::new("dpkg-shlibdeps");
    libraries
        .current_dir(folder.join("source"))
        .arg("-O")
        .arg(fs::canonicalize(tree)?.join("usr/bin/portreeve"));
    let said = output(&mut libraries)?;
    let depends = said.lines().find_map(|line| line.strip_prefix("shlibs:Depends="));
    depends.map(str::to_owned).with_context(|| format!("dpkg-shlibdeps says {said:?}"))
}

fn committed() -> Result<String> {
    output(Command::new("git").current_dir(cargo::workspace()).args(["log", "-1", "--format=%ct"]))
}

fn size(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() { size(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}

fn put(path: &Path, text: &str, mode: u32) -> Result<()> {
    fs::write(path, text).with_context(|| format!("can't write {}", path.display()))?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(mode))?)
}

/// What a command says, without the end of its line.
pub(super) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("can't start {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::control;

    #[test]
    fn a_static_program_depends_on_nothing() {
        let text = control("amd64", None, 7);
        assert!(!text.contains("Depends"), "{text}");
        assert!(
            control("amd64", Some("libc6 (>= 2.34)"), 7)
                .contains("\nDepends: libc6 (>= 2.34)\nDescription: ")
        );
        assert!(text.lines().skip(1).all(|line| line.starts_with(' ') || line.contains(": ")), "{text}");
    }
}

//! The tree that a package holds, as it will stand below `/`.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::{cargo, step};

/// Shells, and where each looks for completions of programs that packages bring.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/portreeve"),
    ("zsh", "usr/share/zsh/vendor-completions/_portreeve"),
    ("fish", "usr/share/fish/vendor_completions.d/portreeve.fish"),
];

/// Files of the repository, and where they go.
const FILES: [(&str, &str); 8] = [
    ("dist/portreeve.service", "lib/systemd/system/portreeve.service"),
    ("dist/default", "etc/default/portreeve"),
    ("examples/host/host.toml", "usr/share/doc/portreeve/examples/host.toml"),
    ("README.md", "usr/share/doc/portreeve/README.md"),
    ("CHANGELOG.md", "usr/share/doc/portreeve/CHANGELOG.md"),
    ("docs/preflight.md", "usr/share/doc/portreeve/preflight.md"),
    ("docs/service.md", "usr/share/doc/portreeve/service.md"),
    ("LICENSE-MIT", "usr/share/doc/portreeve/copyright"),
];

/// Makes the tree anew.
///
/// # Errors
/// A file is missing, can't be written, or the program doesn't run.
pub(super) fn fill(tree: &Path, program: &Path) -> Result<PathBuf> {
    if tree.exists() {
        fs::remove_dir_all(tree).with_context(|| format!("can't remove {}", tree.display()))?;
    }
    let agent = tree.join("usr/bin/portreeve");
    copy(program, &agent, 0o755)?;
    step::run("strip the program", Command::new("strip").arg("--strip-unneeded").arg(&agent))?;
    for (from, to) in FILES {
        copy(&cargo::workspace().join(from), &tree.join(to), 0o644)?;
    }
    for pack in fs::read_dir(cargo::workspace().join("policies"))? {
        let pack = pack?.path();
        if let (Some("toml"), Some(name)) = (pack.extension().and_then(|end| end.to_str()), pack.file_name())
        {
            copy(&pack, &tree.join("usr/share/portreeve/packs").join(name), 0o644)?;
        }
    }
    // Where a site writes its host file; empty, so that nothing is enforced.
    folder(&tree.join("etc/portreeve"))?;
    for (shell, path) in COMPLETIONS {
        write(&tree.join(path), &said(&agent, &["completions", shell])?)?;
    }
    pages(&agent, &tree.join("usr/share/man/man1"))?;
    Ok(tree.to_owned())
}

/// The manual's pages, packed as Debian has them.
fn pages(agent: &Path, man: &Path) -> Result<()> {
    said(agent, &["man", "--out", &man.to_string_lossy()])?;
    let pages = fs::read_dir(man)?.map(|page| Ok(page?.path())).collect::<Result<Vec<_>>>()?;
    ensure!(!pages.is_empty(), "`portreeve man` wrote no page");
    for page in &pages {
        fs::set_permissions(page, fs::Permissions::from_mode(0o644))?;
    }
    step::run("pack the manual", Command::new("gzip").args(["-9", "-n"]).args(pages))
}

fn said(agent: &Path, words: &[&str]) -> Result<Vec<u8>> {
    let output =
        Command::new(agent).args(words).output().context("can't start the program that was built")?;
    ensure!(output.status.success(), "`portreeve {}` failed: {}", words.join(" "), output.status);
    Ok(output.stdout)
}

fn copy(from: &Path, to: &Path, mode: u32) -> Result<()> {
    let bytes = fs::read(from).with_context(|| format!("can't read {}", from.display()))?;
    write(to, &bytes)?;
    Ok(fs::set_permissions(to, fs::Permissions::from_mode(mode))?)
}

/// Writes a file, with folders as packages have them, whatever the umask.
fn write(to: &Path, bytes: &[u8]) -> Result<()> {
    folder(to.parent().context("a file needs a folder")?)?;
    fs::write(to, bytes).with_context(|| format!("can't write {}", to.display()))?;
    Ok(fs::set_permissions(to, fs::Permissions::from_mode(0o644))?)
}

fn folder(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent() {
        folder(above)?;
    }
    fs::create_dir(path).with_context(|| format!("can't make {}", path.display()))?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
}

//! A Debian root to try a package in: made once by debootstrap from this machine's own package source.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::package::output;
use crate::step;

/// Beside the smallest root.
const PACKAGES: &str = "--include=systemd,systemd-sysv,iproute2";

/// The root that every trial copies.
///
/// # Errors
/// apt has no source of Debian's, or it can't be reached.
pub(super) fn pristine(folder: &Path) -> Result<PathBuf> {
    let root = folder.join("root");
    // debootstrap removes this folder last.
    if root.join("debootstrap").exists() || !root.join("usr/bin/dpkg").exists() {
        if root.exists() {
            fs::remove_dir_all(&root).with_context(|| format!("can't remove {}", root.display()))?;
        }
        let (source, release) = source()?;
        let mut debootstrap = Command::new("debootstrap");
        debootstrap.args(["--variant=minbase", PACKAGES, &release]).arg(&root).arg(&source);
        step::run(&format!("make a root of Debian {release}"), &mut debootstrap)?;
    }
    Ok(root)
}

/// Where this machine's apt gets its release from, and the release's name.
fn source() -> Result<(String, String)> {
    let release = fs::read_to_string("/etc/os-release").context("can't read /etc/os-release")?;
    let release = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let release = release.context("/etc/os-release names no release")?.trim_matches('"').to_owned();
    let mut targets = Command::new("apt-get");
    targets.args([
        "indextargets",
        "--format",
        "$(CODENAME) $(COMPONENT) $(REPO_URI)",
        "Created-By: Packages",
    ]);
    let targets = output(&mut targets)?;
    let begin = format!("{release} main ");
    let source = targets.lines().find_map(|line| line.strip_prefix(&begin));
    Ok((source.with_context(|| format!("apt has no source of {release}"))?.to_owned(), release))
}

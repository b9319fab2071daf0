//! A package on trial: installed, run and removed in a copy of a Debian root, in namespaces of its own.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};

use super::root;
use crate::{cargo, step};

/// Tries the package.
///
/// # Errors
/// Not root, or the package does not do what it should; what was seen has been shown.
pub(super) fn run(folder: &Path, package: &Path) -> Result<()> {
    ensure!(nix::unistd::geteuid().is_root(), "a trial of the package makes namespaces: that needs root");
    let pristine = root::pristine(folder)?;
    let trial = folder.join("trial");
    step::run("copy the root", Command::new("rm").args(["-rf", "--one-file-system"]).arg(&trial))?;
    step::run("copy the root", Command::new("cp").args(["-a", "--reflink=auto"]).arg(&pristine).arg(&trial))?;
    // A namespace of each kind: what is mounted, attached or left running in there ends with it.
    let mut check = Command::new("unshare");
    check.args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--propagation", "private", "sh"]);
    check.arg(cargo::workspace().join("dist/check.sh")).arg(&trial).arg(package);
    let status = check.status().context("can't start unshare")?;
    ensure!(status.success(), "the package failed its trial: {status}");
    step::run("remove the trial", Command::new("rm").args(["-rf", "--one-file-system"]).arg(&trial))
}

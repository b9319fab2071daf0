//! The agent for a package: without a C library where this machine's compiler can, else with this machine's.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::cargo;

/// What was built.
pub(super) struct Built {
    /// The program.
    pub(super) program: PathBuf,
    /// Whether it runs on any Linux of this architecture, whatever its C library.
    pub(super) is_static: bool,
}

/// Builds it in the release profile.
///
/// # Errors
/// The build fails.
pub(super) fn agent() -> Result<Built> {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let mut build = cargo::command("build");
    build.args(["--release", "--package", "portreeve"]);
    let is_static = sysroot()?.join("lib/rustlib").join(&target).is_dir();
    let profile = if is_static {
        build.args(["--target", &target]);
        cargo::target().join(&target)
    } else {
        eprintln!("dist: {target} is not installed (`rustup target add {target}` where rustup can get it):");
        eprintln!("      the program will need a C library at least as new as this machine's");
        cargo::target()
    };
    cargo::run(&mut build)?;
    Ok(Built { program: profile.join("release/portreeve"), is_static })
}

/// Of the compiler that cargo calls here.
fn sysroot() -> Result<PathBuf> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "sysroot"]).current_dir(cargo::workspace());
    let output = rustc.output().context("can't start rustc")?;
    ensure!(output.status.success(), "`rustc --print sysroot` failed: {}", output.status);
    Ok(Path::new(String::from_utf8_lossy(&output.stdout).trim()).to_owned())
}

//! `cargo xtask build`: the agent and its kernel programs, optimised.

use std::path::PathBuf;

use anyhow::Result;

use crate::{
    cargo,
    setup::{self, Purpose},
};

/// Builds, and tells where the result is.
///
/// # Errors
/// This machine can't build eBPF, or the build fails.
pub(crate) fn main() -> Result<()> {
    setup::ensure(&[Purpose::Build])?;
    println!("{}", agent()?.display());
    Ok(())
}

/// Builds the agent in the release profile.
///
/// # Errors
/// The build fails.
pub(crate) fn agent() -> Result<PathBuf> {
    cargo::run(cargo::command("build").args(["--release", "--package", "portreeve"]))?;
    Ok(cargo::target().join("release/portreeve"))
}

//! `cargo xtask dist`: a Debian package of the optimised agent, and a trial of it in a Debian root.

mod build;
mod check;
mod package;
mod root;
mod stage;

use std::fs;

use anyhow::{Context as _, Result};

use crate::{
    cargo,
    setup::{self, Purpose},
};

/// What `dist` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Install, run and remove the package in a Debian root of its own.
    #[arg(long)]
    check: bool,
}

/// Builds the package, tells where it is, and tries it if asked to.
///
/// # Errors
/// This machine can't build it, or the package does not do what it should.
pub(crate) fn main(args: &Args) -> Result<()> {
    let mut purposes = vec![Purpose::Build, Purpose::Dist];
    purposes.extend(args.check.then_some(Purpose::DistCheck));
    setup::ensure(&purposes)?;
    let folder = cargo::target().join("dist");
    fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
    let built = build::agent()?;
    let staged = stage::fill(&folder.join("stage"), &built.program)?;
    let package = package::build(&folder, &staged, built.is_static)?;
    println!("{}", package.display());
    if args.check {
        check::run(&folder, &package)?;
    }
    Ok(())
}

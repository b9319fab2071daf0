//! `cargo xtask bench`: what a packet costs, against an empty program in the same run.

use anyhow::Result;

use crate::{
    cargo,
    setup::{self, Purpose},
};

/// What the benchmark takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Arguments of the benchmark itself; `--help` tells them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Builds and runs it.
///
/// # Errors
/// This machine lacks something, or the benchmark fails.
pub(crate) fn main(args: &Args) -> Result<()> {
    setup::ensure(&[Purpose::Build, Purpose::Bench])?;
    let mut bench = cargo::command("run");
    bench.args(["--release", "--package", "portreeve-tests", "--bin", "bench", "--"]).args(&args.rest);
    cargo::run(&mut bench)
}

//! `cargo xtask bench`: what packets, connections, floods and changes cost, side by side with peers in one run.

use anyhow::Result;

use crate::{
    build, cargo,
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
    let agent = build::agent()?;
    let mut bench = cargo::command("run");
    // The benchmark enforces by the agent itself where it measures live frames.
    bench.env("PORTREEVE", agent);
    bench.args(["--release", "--package", "portreeve-tests", "--bin", "bench", "--"]).args(&args.rest);
    cargo::run(&mut bench)
}

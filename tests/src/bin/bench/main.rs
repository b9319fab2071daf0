//! `cargo xtask bench`: what a packet costs by test run, against programs that do nothing in the same run.
//!
//! Every row is the median of ratios of interleaved rounds over several loads of the object; times alone say little on
//! a shared machine.

mod compile;
mod frames;
mod measure;
mod policy;
mod report;

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;

use self::{compile::Compiler, measure::Measure, report::Report};

/// What the benchmark takes.
#[derive(Parser)]
struct Args {
    /// Loads of the object
    #[arg(long, default_value_t = 3)]
    loads: usize,
    /// Interleaved rounds a load
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Runs of a frame in a round
    #[arg(long, default_value_t = 200_000)]
    repeat: u32,
    /// Numbers of rules
    #[arg(long, value_delimiter = ',', default_values_t = [10, 1_000, 10_000])]
    rules: Vec<usize>,
    /// Where to write the figures as JSON
    #[arg(long, default_value = "target/bench.json")]
    json: PathBuf,
    /// Only compile many flows, once
    #[arg(long, hide = true)]
    compile: Option<Compiler>,
    /// Only what compiling costs
    #[arg(long)]
    compiling: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    if let Some(by) = args.compile {
        return compile::one(by);
    }
    ensure!(nix::unistd::geteuid().is_root(), "the benchmark loads programs into the kernel: it needs root");
    ensure!(args.loads > 0 && args.rounds > 0 && !args.rules.is_empty(), "nothing to measure");
    let mut report = Report::default();
    eprintln!("compiling");
    report.beside(compile::all()?);
    for rules in args.rules.iter().filter(|_| !args.compiling) {
        let (image, compiled) = policy::image(*rules)?;
        report.compiled(*rules, compiled);
        for load in 1..=args.loads {
            eprintln!("{rules} rules, load {load} of {}", args.loads);
            Measure::load(&image, *rules)?.rounds(args.rounds, args.repeat, &mut report)?;
        }
    }
    report.print();
    let json = serde_json::to_string_pretty(&report.json())?;
    std::fs::write(&args.json, json).with_context(|| format!("cannot write {}", args.json.display()))?;
    println!("\nwritten to {}", args.json.display());
    Ok(())
}

//! `cargo xtask bench`: what a packet, a connection, a flood and a change cost, side by side with peers in one run.
//!
//! Every figure is a median over interleaved rounds, and what goals are about is the median of ratios within a round:
//! times alone say little on a shared machine.

mod agent;
mod change;
mod echo;
mod flood;
mod goal;
mod live;
mod machine;
mod nft;
mod policy;
mod programs;
mod report;
mod stack;
mod testrun;
mod xdp_filter;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, ValueEnum};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use self::{change::Compiler, machine::Machine, report::Report};

/// What the benchmark takes.
#[derive(Parser)]
#[command(name = "cargo xtask bench")]
struct Args {
    /// Only these parts; more of them with commas
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Fewer loads, rounds and rules, for a look
    #[arg(long)]
    quick: bool,
    /// Loads of the object by test run
    #[arg(long)]
    loads: Option<usize>,
    /// Interleaved rounds of each part
    #[arg(long)]
    rounds: Option<usize>,
    /// Runs of a frame in a round by test run
    #[arg(long, default_value_t = 100_000)]
    repeat: u32,
    /// Numbers of rules
    #[arg(long, value_delimiter = ',')]
    rules: Vec<usize>,
    /// Where to write the figures as JSON
    #[arg(long, default_value = "target/bench.json")]
    json: PathBuf,
    /// Only compile many flows, once
    #[arg(long, hide = true)]
    compile: Option<Compiler>,
}

/// What can be measured alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Programs by test run: the floor
    TestRun,
    /// Frames over a veth pair
    Live,
    /// Throughput and connections a second
    Stack,
    /// Floods of forged sources
    Flood,
    /// Rules from text to in force, and the counters
    Change,
}

fn main() -> Result<()> {
    let args = Args::parse();
    if let Some(by) = args.compile {
        return change::compile(by);
    }
    ensure!(nix::unistd::geteuid().is_root(), "the benchmark loads programs into the kernel: it needs root");
    // A thousand connections, twice, with both ends in this process.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most.min(65_536), most)?;
    let (loads, rounds) = if args.quick { (1, 3) } else { (3, 7) };
    let (loads, rounds) = (args.loads.unwrap_or(loads), args.rounds.unwrap_or(rounds));
    let all = if args.quick { vec![10, 1_000] } else { vec![10, 1_000, 10_000] };
    let rules = if args.rules.is_empty() { all } else { args.rules.clone() };
    ensure!(loads > 0 && rounds > 0, "nothing to measure");
    let wanted = |part| args.only.is_empty() || args.only.contains(&part);
    let mut report = Report::new(Machine::now()?);
    if wanted(Part::TestRun) {
        let effort = testrun::Effort { loads, rounds, repeat: args.repeat, rules: rules.clone() };
        report.testrun = Some(testrun::measure(&effort)?);
    }
    if wanted(Part::Live) {
        report.live = Some(live::measure(&live::Effort { rounds, rules })?);
    }
    if wanted(Part::Stack) {
        report.stack = Some(stack::measure(rounds)?);
    }
    if wanted(Part::Flood) {
        let (sources, idle) = if args.quick { (100_000, 0) } else { (1_000_000, 60) };
        report.flood = Some(flood::measure(flood::Effort { sources, idle: Duration::from_secs(idle) })?);
    }
    if wanted(Part::Change) {
        report.change = Some(change::measure(rounds)?);
    }
    let report = report.end()?;
    report.print();
    let json = serde_json::to_string_pretty(&report.json())?;
    std::fs::write(&args.json, json).with_context(|| format!("cannot write {}", args.json.display()))?;
    println!("\nwritten to {}", args.json.display());
    Ok(())
}

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
    let mut report = Report::new(Machine::now()?);
    let mut run = Run { only: args.only, failed: Vec::new() };
    let effort = testrun::Effort { loads, rounds, repeat: args.repeat, rules: rules.clone() };
    report.testrun = run.part(Part::TestRun, || testrun::measure(&effort));
    report.live = run.part(Part::Live, || live::measure(&live::Effort { rounds, rules }));
    report.stack = run.part(Part::Stack, || stack::measure(rounds));
    let (sources, idle) = if args.quick { (100_000, 0) } else { (1_000_000, 60) };
    let effort = flood::Effort { sources, idle: Duration::from_secs(idle) };
    report.flood = run.part(Part::Flood, || flood::measure(effort));
    report.change = run.part(Part::Change, || change::measure(rounds));
    let report = report.end()?;
    report.print();
    let json = serde_json::to_string_pretty(&report.json())?;
    std::fs::write(&args.json, json).with_context(|| format!("cannot write {}", args.json.display()))?;
    println!("\nwritten to {}", args.json.display());
    ensure!(run.failed.is_empty(), "these parts failed: {}", run.failed.join(", "));
    Ok(())
}

/// Which parts are wanted, and which have failed.
struct Run {
    only: Vec<Part>,
    failed: Vec<&'static str>,
}

impl Run {
    /// What a part finds. One that fails says so at once and at the end, and the others go on.
    fn part<T>(&mut self, part: Part, work: impl FnOnce() -> Result<T>) -> Option<T> {
        if !self.only.is_empty() && !self.only.contains(&part) {
            return None;
        }
        match work() {
            Ok(found) => Some(found),
            Err(error) => {
                eprintln!("{}: {error:#}", part.name());
                self.failed.push(part.name());
                None
            }
        }
    }
}

impl Part {
    /// As on the command line.
    const fn name(self) -> &'static str {
        match self {
            Self::TestRun => "test-run",
            Self::Live => "live",
            Self::Stack => "stack",
            Self::Flood => "flood",
            Self::Change => "change",
        }
    }
}

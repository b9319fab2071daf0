//! What real connections get: throughput of one, and how many a second, without a filter, behind ours with the hook that
//! it chooses by itself, and behind nftables with state.

mod pair;
mod rate;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::Value;

use self::pair::{Pair, SERVER, Wall};
pub(crate) use self::pair::{enforce, nftables};
use crate::{
    goal::{Bound, Goal, median},
    policy::OPEN,
};

/// Of one measurement of throughput, in seconds.
const SECONDS: &str = "1";

/// By wall, one figure a round.
#[derive(Default)]
pub(crate) struct Report {
    /// Gigabits a second.
    throughput: BTreeMap<Wall, Vec<f64>>,
    /// Connections a second.
    rate: BTreeMap<Wall, Vec<f64>>,
}

/// One row of the JSON file.
#[derive(Serialize)]
pub(crate) struct Figure {
    wall: &'static str,
    gigabits_per_second: f64,
    connections_per_second: f64,
}

/// Measures both, round by round.
pub(crate) fn measure(rounds: usize) -> Result<Report> {
    eprintln!("stack: setting up");
    let pairs = Wall::ALL.into_iter().map(Pair::build).collect::<Result<Vec<_>>>()?;
    let mut report = Report::default();
    for round in 1..=rounds {
        eprintln!("stack: throughput, round {round} of {rounds}");
        for pair in &pairs {
            report.throughput.entry(pair.wall).or_default().push(throughput(pair)?);
        }
    }
    for round in 1..=rounds {
        eprintln!("stack: connections, round {round} of {rounds}");
        for pair in &pairs {
            report.rate.entry(pair.wall).or_default().push(rate::measure(pair)?);
        }
    }
    Ok(report)
}

fn throughput(pair: &Pair) -> Result<f64> {
    let port = OPEN.to_string();
    let server = pair.edge.spawn(["iperf3", "--server", "--port", &port, "--one-off"])?;
    let _server = server.listening("tcp", OPEN)?;
    let words = ["iperf3", "--client", SERVER, "--port", &port, "--time", SECONDS, "--json"];
    let output = pair.client.run(words)?.ok()?;
    let report: Value = serde_json::from_str(&output.stdout).context("not JSON of iperf3")?;
    let bits = report["end"]["sum_received"]["bits_per_second"].as_f64();
    Ok(bits.context("iperf3 says no throughput")? / 1e9)
}

impl Report {
    /// As figures, for programs.
    pub(crate) fn figures(&self) -> Vec<Figure> {
        let Self { throughput, rate } = self;
        let of = |figures: &BTreeMap<Wall, Vec<f64>>, wall| {
            median(figures.get(&wall).into_iter().flatten().copied())
        };
        let figure = |wall: Wall| Figure {
            wall: wall.name(),
            gigabits_per_second: of(throughput, wall),
            connections_per_second: of(rate, wall),
        };
        Wall::ALL.into_iter().map(figure).collect()
    }

    /// As a table, for people.
    pub(crate) fn print(&self) {
        println!("\n{:<24} {:>10} {:>15}", "one veth pair", "Gbit/s", "connections/s");
        for Figure { wall, gigabits_per_second, connections_per_second } in self.figures() {
            println!("{wall:<24} {gigabits_per_second:>10.2} {connections_per_second:>15.0}");
        }
    }

    /// What of it goals are about.
    pub(crate) fn goals(&self) -> Vec<Goal> {
        let Self { throughput, rate } = self;
        let over = |figures: &BTreeMap<Wall, Vec<f64>>, other| {
            let pairs = figures.get(&Wall::Ours)?.iter().zip(figures.get(&other)?);
            Some(median(pairs.map(|(ours, theirs)| ours / theirs)))
        };
        vec![
            Goal::ratio(
                "throughput on veth, hook chosen by itself, against no firewall",
                over(throughput, Wall::None),
                Bound::AtLeast(0.95),
            ),
            Goal::ratio(
                "connection rate, against nft with state",
                over(rate, Wall::State),
                Bound::AtLeast(1.05),
            ),
        ]
    }
}

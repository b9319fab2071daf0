//! What was measured: medians of ratios, beside medians of times.

use std::{collections::BTreeMap, time::Duration};

use portreeve::datapath::timed::Timing;
use serde::Serialize;

use super::compile::Compiled;

/// What a figure is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Row {
    /// `xdp` or `tc`.
    pub(crate) hook: &'static str,
    /// Which packet.
    pub(crate) work: &'static str,
    /// `IPv4` or `IPv6`.
    pub(crate) family: &'static str,
    /// Rules in force.
    pub(crate) rules: usize,
}

/// All figures of a run.
#[derive(Default)]
pub(crate) struct Report {
    rows: BTreeMap<Row, Vec<(f64, f64)>>,
    compiled: Vec<(usize, Duration)>,
    beside: Vec<Compiled>,
    reads: Vec<Duration>,
    verified: BTreeMap<Timing, u32>,
}

/// One row of the JSON file.
#[derive(Serialize)]
pub(crate) struct Figure {
    #[serde(flatten)]
    row: Row,
    /// Median, nanoseconds.
    ns: f64,
    /// Median of the ratios to the empty program in the same round.
    ratio: f64,
    rounds: usize,
}

/// The JSON file.
#[derive(Serialize)]
pub(crate) struct Figures {
    rows: Vec<Figure>,
    /// Rules and milliseconds from text to tables.
    compiled: Vec<(usize, f64)>,
    /// 10,000 flows with 10,000 prefixes from text, beside `nft` checking the same.
    beside: Vec<Compiled>,
    /// Milliseconds to read all counters of the ports, of drops and of would-drops.
    read_ports: f64,
    /// Instructions that the verifier followed.
    verified: BTreeMap<String, u32>,
}

impl Report {
    /// A program's mean and that of the empty one beside it.
    pub(crate) fn time(&mut self, row: Row, mean: f64, floor: f64) {
        self.rows.entry(row).or_default().push((mean, floor));
    }

    /// How long a policy took from text to tables.
    pub(crate) fn compiled(&mut self, rules: usize, took: Duration) {
        self.compiled.push((rules, took));
    }

    /// Who compiled many flows, and how.
    pub(crate) fn beside(&mut self, compiled: Vec<Compiled>) {
        self.beside = compiled;
    }

    /// How long reading all counters of the ports took: 262,144 of drops and as many of would-drops, on each CPU.
    pub(crate) fn read(&mut self, took: Duration) {
        self.reads.push(took);
    }

    fn read_milliseconds(&self) -> f64 {
        median(self.reads.iter().map(|took| took.as_secs_f64() * 1e3))
    }

    /// Instructions that the verifier followed.
    pub(crate) fn verified(&mut self, timing: Timing, instructions: u32) {
        self.verified.insert(timing, instructions);
    }

    /// As tables, for people.
    pub(crate) fn print(&self) {
        println!("{:<5} {:<38} {:<5} {:>7} {:>8} {:>8}", "hook", "packet", "", "rules", "ns", "x empty");
        for Figure { row, ns, ratio, rounds: _ } in self.figures() {
            let Row { hook, work, family, rules } = row;
            println!("{hook:<5} {work:<38} {family:<5} {rules:>7} {ns:>8.0} {ratio:>8.2}");
        }
        println!();
        for (rules, took) in &self.compiled {
            println!("{rules} rules from text to tables: {:.1} ms", took.as_secs_f64() * 1e3);
        }
        for Compiled { by, milliseconds, peak_mebibytes } in &self.beside {
            println!(
                "10000 flows with 10000 prefixes, {by}: {milliseconds:.1} ms, peak {peak_mebibytes:.1} MiB"
            );
        }
        println!(
            "all counters of the ports, drops and would-drops, read in {:.2} ms",
            self.read_milliseconds()
        );
        for (timing, instructions) in &self.verified {
            println!("{timing:?}: the verifier followed {instructions} instructions");
        }
    }

    /// As figures, for programs.
    pub(crate) fn json(&self) -> Figures {
        let compiled = self.compiled.iter().map(|(rules, took)| (*rules, took.as_secs_f64() * 1e3));
        let verified = self.verified.iter().map(|(timing, count)| (format!("{timing:?}"), *count));
        Figures {
            rows: self.figures().collect(),
            compiled: compiled.collect(),
            beside: self.beside.clone(),
            read_ports: self.read_milliseconds(),
            verified: verified.collect(),
        }
    }

    fn figures(&self) -> impl Iterator<Item = Figure> {
        self.rows.iter().map(|(row, times)| Figure {
            row: *row,
            ns: median(times.iter().map(|(mean, _)| *mean)),
            ratio: median(times.iter().map(|(mean, floor)| mean / floor)),
            rounds: times.len(),
        })
    }
}

/// Of at least one value.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

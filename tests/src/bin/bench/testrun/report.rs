//! What was measured: medians of ratios, beside medians of times.

use std::{collections::BTreeMap, time::Duration};

use portreeve::datapath::timed::Timing;
use serde::Serialize;

use super::{
    measure::{ESTABLISHED, LISTED, UNDOCUMENTED},
    names,
};
use crate::goal::{Bound, Goal, median, over};

/// What a figure is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Row {
    /// `xdp` or `tc`.
    pub(crate) hook: &'static str,
    /// Whose program.
    pub(crate) by: &'static str,
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
        println!(
            "\n{:<4} {:<12} {:<38} {:<5} {:>7} {:>8} {:>8}",
            "hook", "by", "packet, by test run", "", "rules", "ns", "x empty"
        );
        for Figure { row, ns, ratio, rounds: _ } in self.figures() {
            let Row { hook, by, work, family, rules } = row;
            let rules = if rules == 0 { String::new() } else { rules.to_string() };
            println!("{hook:<4} {by:<12} {work:<38} {family:<5} {rules:>7} {ns:>8.0} {ratio:>8.2}");
        }
        println!();
        for (rules, took) in &self.compiled {
            println!("{rules} rules from text to tables: {:.1} ms", took.as_secs_f64() * 1e3);
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
            read_ports: self.read_milliseconds(),
            verified: verified.collect(),
        }
    }

    /// What of it goals are about.
    pub(crate) fn goals(&self) -> Vec<Goal> {
        let rules = self.rows.keys().map(|row| row.rules).filter(|rules| *rules > 0);
        let (few, many) = (rules.clone().min().unwrap_or(0), rules.max().unwrap_or(0));
        let ours = |work, family, rules| Row { hook: "xdp", by: "portreeve", work, family, rules };
        let theirs = |by, row| Row { by, ..row };
        let mut goals = Vec::new();
        for family in ["IPv4", "IPv6"] {
            let dropped = ours(UNDOCUMENTED, family, many);
            let work = format!("test run: undocumented SYN dropped, {family}, against ");
            goals.push(Goal::ratio(work.clone() + "empty", self.over_empty(dropped), Bound::AtMost(2.2)));
            let filter = self.over(dropped, theirs("xdp-filter", dropped));
            goals.push(Goal::ratio(work + "xdp-filter", filter, Bound::AtMost(0.4)));
        }
        for (family, most) in [("IPv4", 3.0), ("IPv6", 3.7)] {
            let work = format!("test run: established packet, {family}, against empty");
            let ratio = self.over_empty(ours(ESTABLISHED, family, many));
            goals.push(Goal::ratio(work, ratio, Bound::AtMost(most)));
        }
        for family in ["IPv4", "IPv6"] {
            for work in ["established, at random of 32,000", "no connection, random sources"] {
                let row = ours(work, family, 0);
                let ratio = self.over(row, theirs("one LRU map", row));
                let work = format!("test run: {work}, {family}, against the same with one LRU map");
                goals.push(Goal::ratio(work, ratio, Bound::AtMost(0.6)));
            }
        }
        for family in ["IPv4", "IPv6"] {
            for work in [UNDOCUMENTED, ESTABLISHED, LISTED] {
                let row = Row { by: names::WITH, ..ours(work, family, 0) };
                let ratio = self.over(row, theirs(names::WITHOUT, row));
                let work = format!("test run: {work}, {family}, with names against without");
                goals.push(Goal::ratio(work, ratio, Bound::AtMost(1.05)));
            }
        }
        for (family, most) in [("IPv4", 1.1), ("IPv6", 2.2)] {
            for (work, most) in [(UNDOCUMENTED, 1.1), (LISTED, most)] {
                let (few_rules, many_rules) = (ours(work, family, few), ours(work, family, many));
                let ratio = over(self.over_empty(many_rules), self.over_empty(few_rules));
                let work = format!("test run: {work}, {family}, {many} rules against {few}");
                goals.push(Goal::ratio(work, ratio.filter(|_| few < many), Bound::AtMost(most)));
            }
        }
        let read = Some(self.read_milliseconds());
        goals.push(Goal::new("all port counters read", read, "ms", Bound::AtMost(2.0)));
        goals
    }

    /// The median of the ratios to the empty program beside it.
    fn over_empty(&self, row: Row) -> Option<f64> {
        let times = self.rows.get(&row)?;
        Some(median(times.iter().map(|(mean, floor)| mean / floor)))
    }

    /// The median of the ratios to another row of the same rounds.
    fn over(&self, row: Row, other: Row) -> Option<f64> {
        let pairs = self.rows.get(&row)?.iter().zip(self.rows.get(&other)?);
        Some(median(pairs.map(|((mean, _), (others, _))| mean / others)))
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

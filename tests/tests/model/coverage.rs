//! What a run has reached.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use anyhow::{Result, ensure};
use portreeve::datapath::pins::Hook;
use portreeve_common::{Reason, dns::Outcome};

/// Flows of that role that packets have to meet.
const REACHED: [&str; 13] = [
    "P-CAST",
    "P-BOTH",
    "P-ANSWER",
    "P-ALIVE",
    "P-HEAR",
    "P-REPORT",
    "P-QUERY",
    "P-FTP-IN",
    "P-DATA-OUT",
    "P-DATA-IN",
    "NAME-1",
    "NAME-2",
    "NAME-3",
];

/// What was reached, by program and reason.
#[derive(Default)]
pub(crate) struct Coverage {
    pub(crate) sequences: u64,
    /// Packets by program and reason.
    pub(crate) verdicts: BTreeMap<(&'static str, Reason), u64>,
    /// Flows that were named where a packet passed.
    pub(crate) flows: BTreeSet<String>,
    /// What resolvers' messages came to.
    pub(crate) outcomes: BTreeMap<Outcome, u64>,
    /// Packets that passed as answers in a flow that no rule allows.
    pub(crate) answered: u64,
}

impl Coverage {
    pub(crate) fn add(&mut self, other: &Self) {
        let Self { sequences, verdicts, flows, outcomes, answered } = other;
        self.answered += answered;
        for (outcome, count) in outcomes {
            *self.outcomes.entry(*outcome).or_default() += count;
        }
        self.flows.extend(flows.iter().cloned());
        self.sequences += sequences;
        for (key, count) in verdicts {
            *self.verdicts.entry(*key).or_default() += count;
        }
    }

    fn of(&self, reason: Reason) -> u64 {
        self.verdicts.iter().filter(|((_, found), _)| *found == reason).map(|(_, count)| count).sum()
    }

    /// How much of what a hook judges passes, in percent.
    pub(crate) fn share(&self, hook: Hook) -> u64 {
        let sum = |counts: fn(Reason) -> bool| -> u64 {
            let here =
                self.verdicts.iter().filter(|((name, reason), _)| *name == hook.name() && counts(*reason));
            here.map(|(_, count)| count).sum()
        };
        sum(Reason::passes) * 100 / sum(|_| true).max(1)
    }

    pub(crate) fn text(&self) -> String {
        let hooks = Hook::ALL.map(Hook::name);
        let [a, b, c] = hooks;
        let mut text = format!("{:20} {a:>10} {b:>10} {c:>10}\n", "reason");
        for reason in Reason::ALL {
            let [a, b, c] = hooks.map(|hook| self.verdicts.get(&(hook, reason)).copied().unwrap_or_default());
            let _always = writeln!(text, "{:20} {a:10} {b:10} {c:10}", format!("{reason:?}"));
        }
        for (outcome, count) in &self.outcomes {
            let _always = writeln!(text, "{:20} {count:10}", outcome.name());
        }
        text
    }

    pub(crate) fn is_whole(&self) -> Result<()> {
        let missed = |reason: &Reason| self.of(*reason) == 0 && *reason != Reason::Internal;
        let missed: Vec<Reason> = Reason::ALL.into_iter().filter(missed).collect();
        ensure!(missed.is_empty(), "never reached: {missed:?}");
        ensure!(self.of(Reason::Internal) == 0, "an internal error");
        let missed: Vec<Outcome> =
            Outcome::ALL.into_iter().filter(|outcome| !self.outcomes.contains_key(outcome)).collect();
        ensure!(missed.is_empty(), "no message of resolvers came to {missed:?}");
        ensure!(self.answered > 0, "no answer passed in a flow that is only observed");
        let missed: Vec<_> = REACHED.iter().filter(|flow| !self.flows.contains(**flow)).collect();
        ensure!(missed.is_empty(), "flows never reached: {missed:?}");
        Ok(())
    }
}

//! What a packet costs by test run: hot caches, no driver, no stack. The floor.

mod frames;
mod measure;
mod names;
mod report;
mod varied;

use anyhow::{Context as _, Result};
use portreeve_tests::lab::Lab;

pub(crate) use self::{
    frames::{Family, datagram, flood, frames},
    report::{Figures, Report},
};
use self::{measure::Measure, names::Named, varied::Varied};
use crate::policy;

/// How much is measured.
#[derive(Clone, Debug)]
pub(crate) struct Effort {
    /// Loads of the object.
    pub(crate) loads: usize,
    /// Interleaved rounds a load.
    pub(crate) rounds: usize,
    /// Runs of a frame in a round.
    pub(crate) repeat: u32,
    /// Numbers of rules.
    pub(crate) rules: Vec<usize>,
}

/// Measures all of it.
pub(crate) fn measure(effort: &Effort) -> Result<Report> {
    let Effort { loads, rounds, repeat, rules } = effort;
    let mut report = Report::default();
    // For its bpffs, which goes with it.
    let lab = Lab::new()?;
    for count in rules {
        let (image, compiled) = policy::image(*count)?;
        report.compiled(*count, compiled);
        for load in 1..=*loads {
            eprintln!("test run: {count} rules, load {load} of {loads}");
            let pins = lab.bpffs().join(format!("xdp-filter-{count}-{load}"));
            Measure::load(&image, *count, &pins)?.rounds(*rounds, *repeat, &mut report)?;
        }
    }
    for load in 1..=*loads {
        eprintln!("test run: with names and without, load {load} of {loads}");
        let few = *rules.first().context("no number of rules")?;
        Named::load(few)?.rounds(*rounds, *repeat, &mut report)?;
    }
    let (image, _) = policy::image(*rules.first().context("no number of rules")?)?;
    for family in Family::ALL {
        for load in 1..=*loads {
            eprintln!("test run: 32,000 flows and random sources, {}, load {load} of {loads}", family.name());
            Varied::load(&image, family)?.rounds(*rounds, *repeat, &mut report)?;
        }
    }
    Ok(report)
}

//! What a packet costs on a wire: frames that a program sends over a veth pair, one processor for both ends.

mod burst;
mod filter;
mod lane;
mod report;

use anyhow::{Context as _, Result, ensure};
use portreeve_tests::lab::{Host, Lab};

pub(crate) use self::report::{Figure, Report};
use self::{
    burst::Processor,
    filter::Filter,
    lane::{Counts, Lane, counts},
    report::Work,
};
use crate::{
    programs::{Plan, Programs},
    testrun::{Family, datagram, frames},
};

/// How long a burst should take, in nanoseconds: long against what starting one takes.
const BURST: f64 = 20e6;
/// Frames of a burst: what a cable holds at least, and an end.
const FEWEST: f64 = 256.0;
const MOST: f64 = 400_000.0;

/// How much is measured.
#[derive(Clone, Debug)]
pub(crate) struct Effort {
    /// Interleaved rounds.
    pub(crate) rounds: usize,
    /// Numbers of rules.
    pub(crate) rules: Vec<usize>,
}

/// Measures both works.
pub(crate) fn measure(effort: &Effort) -> Result<Report> {
    let mut report = Report::default();
    let lab = Lab::new()?;
    let sender = lab.host("sender").up()?;
    let mut lanes = vec![lane(&lab, &sender, 0, Filter::None, 0)?, lane(&lab, &sender, 1, Filter::Empty, 0)?];
    for rules in &effort.rules {
        eprintln!("live: filters with {rules} rules");
        for filter in Filter::DROPPING {
            lanes.push(lane(&lab, &sender, lanes.len(), filter, *rules)?);
        }
    }
    let mut programs = Programs::load()?;
    let syn = frames(Family::V4)?.undocumented;
    let datagram = datagram()?;
    for work in [Work::Dropped, Work::Established] {
        let mut timed = Vec::new();
        for lane in lanes.iter().filter(|lane| work.is_for(lane.filter)) {
            let frame = if work == Work::Dropped { &syn } else { &datagram };
            if work == Work::Established {
                lane.establish(&sender, &mut programs, frame).with_context(|| lane.filter.to_string())?;
            }
            // The first burst tells how many frames the others should have.
            let few = if lane.filter.is_linear() { FEWEST } else { 20.0 * FEWEST };
            let cost = burst(&sender, &mut programs, lane, work, frame, few)?;
            timed.push((lane, frame, (BURST / cost).clamp(FEWEST, MOST)));
        }
        for round in 1..=effort.rounds {
            eprintln!("live: {work}, round {round} of {}", effort.rounds);
            for (lane, frame, count) in &timed {
                let cost = burst(&sender, &mut programs, lane, work, frame, *count)?;
                report.time(work, lane.filter, lane.rules, cost);
            }
        }
    }
    Ok(report)
}

fn lane(lab: &Lab, sender: &Host, number: usize, filter: Filter, rules: usize) -> Result<Lane> {
    Lane::build(lab, sender, number, filter, rules).with_context(|| format!("{filter}, {rules} rules"))
}

/// As [`once`]; a burst of which frames were lost, because another process had the processor for too long, is sent again.
fn burst(
    sender: &Host,
    programs: &mut Programs,
    lane: &Lane,
    work: Work,
    frame: &[u8],
    count: f64,
) -> Result<f64> {
    let mut burst = || once(sender, programs, lane, work, frame, count);
    burst().or_else(|_| burst()).or_else(|_| burst())
}

/// Nanoseconds for each frame of a burst; all have to arrive and to meet the verdict.
fn once(
    sender: &Host,
    programs: &mut Programs,
    lane: &Lane,
    work: Work,
    frame: &[u8],
    count: f64,
) -> Result<f64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to some thousands")]
    let count = count as u32;
    let flood = Plan { ports: 60_000, addresses: 250, first: 1, each: 1, ..Plan::default() };
    let plan = if work == Work::Dropped { flood } else { Plan::default() };
    programs.plan(&Plan { interface: lane.interface, ..plan })?;
    let before = lane.counts()?;
    let cost = sender.within(|| {
        let processor = Processor::bind()?;
        let received = || {
            let Counts { frames, segments: _, datagrams } = lane.receiver().within(counts)?;
            // What passes is only there when it has gone all the way.
            Ok(if work == Work::Established { datagrams } else { frames })
        };
        processor.time(count.into(), || programs.send(frame, count), received)
    });
    let cost = cost.with_context(|| format!("{work}: {}, {} rules", lane.filter, lane.rules))?;
    let reached = lane.counts()?.segments - before.segments;
    ensure!(reached == 0, "{work}: {}: {reached} SYNs reached TCP", lane.filter);
    Ok(cost)
}

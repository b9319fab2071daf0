//! Floods of forged sources at an open port, each with two packets, while connections live: some keep exchanging bytes,
//! some are idle for a minute, and new ones are tried all the time.

mod operator;
mod plant;

use std::time::{Duration, Instant};

use anyhow::Result;
use portreeve_common::table::{FlowSet, WAYS};
use serde::Serialize;

use self::{
    operator::{Idle, Outcome},
    plant::{Plant, Wall},
};
use crate::{
    goal::{Bound, Goal, over},
    programs::Programs,
};

/// Packets a second.
const RATES: [u32; 2] = [100_000, 500_000];
/// Packets of each source.
const EACH: u32 = 2;
/// Connections that keep exchanging bytes, and as many that are idle.
const CONNECTIONS: usize = 1_000;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Forged sources of each flood.
    pub(crate) sources: u32,
    /// How long the idle ones are.
    pub(crate) idle: Duration,
}

/// One flood.
#[derive(Serialize)]
pub(crate) struct Row {
    wall: &'static str,
    wanted_per_second: u32,
    /// What the sender managed.
    sent_per_second: f64,
    /// What came out of the cable.
    received: u64,
    sources: u32,
    #[serde(flatten)]
    outcome: Outcome,
}

/// The idle connections of one wall.
#[derive(Serialize)]
pub(crate) struct Rested {
    wall: &'static str,
    seconds: f64,
    connections: usize,
    lost: usize,
}

/// All floods.
#[derive(Serialize)]
pub(crate) struct Report {
    rows: Vec<Row>,
    idle: Vec<Rested>,
    memory: Memory,
}

/// Bytes of state for one connection.
#[derive(Clone, Copy, Debug, Serialize)]
struct Memory {
    ours: f64,
    /// Its object and its share of the hash table; what its extensions take comes on top.
    conntrack: f64,
}

/// Measures all of them.
pub(crate) fn measure(effort: Effort) -> Result<Report> {
    let mut programs = Programs::load()?;
    let plants = Wall::ALL.into_iter().map(Plant::build).collect::<Result<Vec<_>>>()?;
    let idle = plants.iter().map(|plant| Idle::open(plant, CONNECTIONS)).collect::<Result<Vec<_>>>()?;
    let begun = Instant::now();
    let mut rows = Vec::new();
    for rate in RATES {
        for plant in &plants {
            eprintln!("flood: {}, {rate} packets a second", plant.wall.name());
            let before = plant.received()?;
            let flood = plant.flood(&mut programs, effort.sources, EACH, rate, CONNECTIONS)?;
            rows.push(Row {
                wall: plant.wall.name(),
                wanted_per_second: rate,
                sent_per_second: flood.0,
                received: plant.received()? - before,
                sources: effort.sources,
                outcome: flood.1,
            });
        }
    }
    let left = effort.idle.saturating_sub(begun.elapsed());
    eprintln!("flood: idle connections, {} s more", left.as_secs());
    std::thread::sleep(left);
    let rested = plants.iter().zip(idle).map(|(plant, idle)| {
        let seconds = begun.elapsed().as_secs_f64();
        let (connections, lost) = idle.wake(plant)?;
        Ok(Rested { wall: plant.wall.name(), seconds, connections, lost })
    });
    let idle = rested.collect::<Result<Vec<_>>>()?;
    let ours = size_of::<FlowSet>() as f64 / WAYS as f64;
    Ok(Report { rows, idle, memory: Memory { ours, conntrack: plant::conntrack_bytes()? } })
}

impl Report {
    /// As a table, for people.
    pub(crate) fn print(&self) {
        let Self { rows, idle, memory } = self;
        println!(
            "\n{:<24} {:>9} {:>9} {:>9} {:>9} {:>6} {:>9} {:>8} {:>9}",
            "flood, 2 packets/source",
            "wanted/s",
            "sent/s",
            "received",
            "answered",
            "lost",
            "handshakes",
            "failed",
            "slowest ms"
        );
        for Row { wall, wanted_per_second, sent_per_second, received, sources: _, outcome } in rows {
            let Outcome { connections: _, lost, answered, handshakes, failed, slowest_ms } = outcome;
            println!(
                "{wall:<24} {wanted_per_second:>9} {sent_per_second:>9.0} {received:>9} {answered:>9} {lost:>6} {handshakes:>9} {failed:>8} {slowest_ms:>9}"
            );
        }
        for Rested { wall, seconds, connections, lost } in idle {
            println!(
                "{wall}: of {connections} connections that were idle for {seconds:.0} s, {lost} are lost"
            );
        }
        let Memory { ours, conntrack } = memory;
        println!(
            "bytes of state for a connection: portreeve {ours:.0}, nf_conntrack {conntrack:.0} and its extensions"
        );
    }

    /// What of it goals are about.
    pub(crate) fn goals(&self) -> Vec<Goal> {
        let Self { rows, idle, memory } = self;
        let ours = || rows.iter().filter(|row| row.wall == Wall::Ours.name());
        let mut goals = Vec::new();
        for Row { wanted_per_second: rate, sent_per_second: sent, outcome, .. } in ours() {
            let Outcome { connections, lost, .. } = outcome;
            let work = format!("flood at {rate}/s ({sent:.0} sent): of {connections} live connections, lost");
            goals.push(Goal::new(work, Some(*lost as f64), "", Bound::AtMost(0.0)));
        }
        for Rested { seconds, connections, lost, .. } in idle.iter().filter(|it| it.wall == Wall::Ours.name())
        {
            let work = format!("floods: of {connections} connections idle for {seconds:.0} s, lost");
            goals.push(Goal::new(work, Some(*lost as f64), "", Bound::AtMost(0.0)));
        }
        for Row { outcome, .. } in ours().take(1) {
            let Outcome { handshakes, failed, .. } = outcome;
            let share = 100.0 - 100.0 * *failed as f64 / *handshakes as f64;
            goals.push(Goal::new(
                "flood at 100000/s: new handshakes that succeed",
                Some(share),
                "%",
                Bound::AtLeast(99.0),
            ));
        }
        let Memory { ours, conntrack } = *memory;
        let ratio = over(Some(ours), Some(conntrack));
        goals.push(Goal::ratio(
            "state memory against the kernel's connection tracking",
            ratio,
            Bound::AtMost(0.35),
        ));
        goals
    }
}

//! The kernel's programs against the model, over sequences that open, answer, close, time out, fragment, tag and mutate.
//! Needs root.

mod coverage;
mod host;
mod pair;
mod pool;

use std::{
    collections::VecDeque,
    env,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use ipnet::IpNet;
use portreeve::datapath::{pins::Hook, traced::Traced};
use portreeve_common::Reason;
use portreeve_tests::{
    generator::{Timed, Traffic},
    step::{Step, hex},
};

use self::{
    coverage::Coverage,
    host::{PROTECTED, Site, sites},
    pair::{Pair, agree},
    pool::pool,
};

/// Sequences of a normal run, and of a nightly one.
const NORMAL: u64 = 200_000;
const NIGHTLY: u64 = 2_000_000;
/// Sequences that one load of the programs sees, at most.
const CHUNK: u64 = 12_500;
/// Packets between two changes of the policy.
const REIGN: usize = 4_000;
/// A tick is what the traffic counts in.
pub(crate) const TICKS_PER_SECOND: u64 = 1_000;
/// As long as connections are adopted, at the beginning of a chunk.
pub(crate) const ADOPTION: u64 = 1_800_000;
/// Packets of which a difference tells those between the same two hosts.
const MEMORY: usize = 20_000;

/// How many sequences: as many as the environment asks for, or those of a normal or a nightly run.
fn sequences() -> Result<u64> {
    if let Some(asked) = env::var_os("PORTREEVE_SEQUENCES") {
        return asked.to_string_lossy().parse().context("PORTREEVE_SEQUENCES is no number");
    }
    Ok(if env::var_os("PORTREEVE_NIGHTLY").is_some() { NIGHTLY } else { NORMAL })
}

/// One load of the programs: its sequences are the same for the same number and length.
fn chunk(number: u64, length: u64, sites: &[Site; 2], protected: &[IpNet]) -> Result<Coverage> {
    let native = number.is_multiple_of(2);
    let mut pair = Pair::new(sites, protected, native)?;
    let mut traffic = Traffic::brief(number, pool());
    let mut coverage = Coverage::default();
    let mut past: VecDeque<Timed> = VecDeque::with_capacity(MEMORY);
    for packet in 1.. {
        if traffic.begun() > length {
            break;
        }
        let timed = traffic.next().context("traffic ends")?;
        let (said, wanted) = pair
            .judge(&timed)
            .with_context(|| format!("chunk {number}, packet {packet}: {}", hex(&timed.step.bytes)))?;
        if !agree(&said, &wanted) {
            let names = pair.compare_names().err().map(|error| format!("{error}\n")).unwrap_or_default();
            bail!(
                "chunk {number}, packet {packet}: the kernel says {said:?}, the model {wanted:?}\n{names}{}",
                told(&past, &timed)
            );
        }
        let hook = Traced::hook(timed.step.direction, native).name();
        *coverage.verdicts.entry((hook, said.0)).or_default() += 1;
        coverage.answered += u64::from(said == (Reason::Established, None));
        if let (true, Some(flow)) = (said.0.passes(), said.1) {
            coverage.flows.insert(flow);
        }
        if packet % REIGN == 0 {
            let at = || format!("chunk {number}, packet {packet}");
            pair.compare_names().with_context(at)?;
            pair.change_policy()?;
        }
        if past.len() == MEMORY {
            past.pop_front();
        }
        past.push_back(timed);
    }
    coverage.sequences = length;
    coverage.outcomes = pair.compare_names()?;
    Ok(coverage)
}

/// What went before between the same two hosts, and the packet itself.
fn told(past: &VecDeque<Timed>, last: &Timed) -> String {
    const SHOWN: usize = 30;
    let mut before: Vec<&Timed> = past.iter().rev().filter(|one| same_hosts(one, last)).take(SHOWN).collect();
    before.reverse();
    let lines = before.into_iter().chain([last]);
    lines
        .map(|Timed { at, step: Step { direction, bytes } }| format!("{at} {direction} {}\n", hex(bytes)))
        .collect()
}

/// Whether the addresses of one, in either order, occur in the other: good enough to look at.
fn same_hosts(one: &Timed, other: &Timed) -> bool {
    let ends =
        |timed: &Timed| timed.step.bytes.get(26..34).map(|ends| (ends[..4].to_vec(), ends[4..].to_vec()));
    match (ends(one), ends(other)) {
        (Some((a, b)), Some((c, d))) => (a == c && b == d) || (a == d && b == c),
        _ => false,
    }
}

#[test]
fn the_kernel_and_the_model_agree() -> Result<()> {
    let sequences = sequences()?;
    // Both hooks have their share, however few there are.
    let length = CHUNK.min(sequences.div_ceil(2));
    let protected = PROTECTED.map(|text| text.parse::<IpNet>().expect("a prefix"));
    let sites = sites(&protected)?;
    let (next, total) = (AtomicU64::new(0), Mutex::new(Coverage::default()));
    let work = || -> Result<()> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= sequences.div_ceil(length) {
                return Ok(());
            }
            let coverage = chunk(number, length, &sites, &protected).inspect_err(|_| {
                // The others need not go on.
                next.store(u64::MAX / 2, Ordering::Relaxed);
            })?;
            total.lock().expect("no thread panics with it").add(&coverage);
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> =
            (0..thread::available_parallelism()?.get()).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_panic| anyhow!("a worker panicked"))?)
    })?;
    let coverage = total.into_inner().expect("no thread panics with it");
    let packets: u64 = coverage.verdicts.values().sum();
    println!(
        "{} sequences, {packets} packets, no difference, {} flows, {} answers in flows without rule\n{}",
        coverage.sequences,
        coverage.flows.len(),
        coverage.answered,
        coverage.text()
    );
    ensure!(coverage.sequences >= sequences, "only {} sequences", coverage.sequences);
    for hook in Hook::ALL {
        let share = coverage.share(hook);
        ensure!(share >= 10, "only {share} % pass {}", hook.name());
    }
    coverage.is_whole()
}

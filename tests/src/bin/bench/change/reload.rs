//! 10,000 rules replaced: by `apply` from its first to its last instruction, by the same steps without its files and its
//! rehearsal, and by `nft -f` with sets.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use portreeve::{
    datapath::{object::Sets, policy::Tables, timed::Timed},
    image::Image,
    policy::host::StateLimits,
};
use portreeve_common::switch::{Mode, Posture, Switch};
use portreeve_tests::lab::{Host, Lab};
use serde::Serialize;

use super::compile::{flows, grouped, set as set_of};
use crate::{
    agent,
    goal::median,
    policy::{self, HEAD},
};

const RULES: usize = 10_000;
const INTERFACE: &str = "enp2s0";

/// Medians, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Reload {
    /// `portreeve apply`, a process: host file read, compiled, written, rehearsed, stored, remembered.
    pub(crate) apply: f64,
    /// Text to tables to maps to the store that makes them current: a flow for each port and peer.
    pub(crate) flows: f64,
    /// As above: as many pairs of ports and peers, in a hundred flows.
    pub(crate) grouped: f64,
    /// `nft -f` of one set with as many pairs, in place of another, a process.
    pub(crate) nft: f64,
    /// One rule changed: its tables written over those of a neighbour, and the store.
    pub(crate) one: f64,
    /// The store alone.
    pub(crate) flip: f64,
}

impl Reload {
    /// As lines, for people.
    pub(crate) fn print(&self) {
        let Self { apply, flows, grouped, nft, one, flip } = self;
        println!("{RULES} flows replaced, `portreeve apply`, rehearsed and remembered: {apply:.1} ms");
        println!("{RULES} flows replaced, from text to in force: {flows:.1} ms");
        println!("{RULES} ports and peers in 100 flows replaced, from text to in force: {grouped:.1} ms");
        println!("{RULES} ports and peers in a set replaced, `nft -f`: {nft:.1} ms");
        println!("one rule of {RULES} changed, in the kernel: {one:.2} ms");
        println!("the store that makes a generation current: {:.2} µs", flip * 1e3);
    }
}

/// Interleaved rounds of all of them.
pub(crate) fn measure(rounds: usize) -> Result<Reload> {
    let lab = Lab::new()?;
    let edge = lab.host("edge").interface(INTERFACE).addr("192.0.2.10/24").up()?;
    let head = format!(
        "[host]\nname = \"bench\"\ninterfaces = [\"{INTERFACE}\"]\naddresses = [\"192.0.2.10\"]\n\
         [enforcement]\ningress = \"enforce\"\negress = \"enforce\"\n"
    );
    // Two of each, to change from one to the other: they share half of their rules.
    let firsts = [0, 5_000];
    let hosts = firsts.map(|first| lab.dir().join(format!("host-{first}.toml")));
    let sets = firsts.map(|first| lab.dir().join(format!("set-{first}.nft")));
    for ((host, set), first) in hosts.iter().zip(&sets).zip(firsts) {
        agent::write(host, &flows(&head, first))?;
        let replaced = "table inet bench\ndelete table inet bench\n".to_owned() + &set_of(first);
        agent::write(set, &replaced)?;
    }
    let [first_host, _] = &hosts;
    let agent = agent::enforce(&edge, first_host)?;
    let mut steps = Steps::load()?;
    let mut times = Times::default();
    for round in 0..rounds {
        let even = round % 2 == 0;
        let other = usize::from(even);
        let ([first_host, second_host], [first_set, second_set]) = (&hosts, &sets);
        let (host, set) = if even { (second_host, second_set) } else { (first_host, first_set) };
        let begun = Instant::now();
        agent.command(["apply", &host.to_string_lossy()])?.ok()?;
        times.apply.push(milliseconds(begun.elapsed()));
        let first = firsts.get(other).copied().unwrap_or_default();
        times.flows.push(milliseconds(steps.reload(&flows(HEAD, first))?));
        times.grouped.push(milliseconds(steps.reload(&grouped(HEAD, first))?));
        times.one.push(milliseconds(steps.one(even)?));
        times.flip.push(milliseconds(steps.flip()?));
        times.nft.push(milliseconds(nft_f(&edge, set)?));
    }
    Ok(times.medians())
}

/// One figure a round.
#[derive(Default)]
struct Times {
    apply: Vec<f64>,
    flows: Vec<f64>,
    grouped: Vec<f64>,
    nft: Vec<f64>,
    one: Vec<f64>,
    flip: Vec<f64>,
}

impl Times {
    fn medians(self) -> Reload {
        let Self { apply, flows, grouped, nft, one, flip } = self;
        Reload {
            apply: median(apply),
            flows: median(flows),
            grouped: median(grouped),
            nft: median(nft),
            one: median(one),
            flip: median(flip),
        }
    }
}

fn nft_f(edge: &Host, file: &Path) -> Result<Duration> {
    // From inside the namespace, or entering it would count.
    edge.within(|| {
        let begun = Instant::now();
        let status = Command::new("nft").arg("-f").arg(file).status()?;
        ensure!(status.success(), "nft refuses the sets");
        Ok(begun.elapsed())
    })
}

/// The steps of a change, on programs of their own.
struct Steps {
    timed: Timed,
    generation: u16,
    near: [Image; 2],
}

impl Steps {
    fn load() -> Result<Self> {
        let (image, _) = policy::image(RULES)?;
        // The same policy, but that one peer differs.
        let text = policy::text(HEAD, RULES).replacen("2001:db8:100::9\"", "2001:db8:ffff::9\"", 1);
        let (near, _) = policy::compile(&text)?;
        let sets = Sets::of(&StateLimits::default());
        let mut timed = Timed::load(&Tables::from(&image), [7, 11], sets)?;
        timed.policy.write(2, &Tables::from(&image))?;
        Ok(Self { timed, generation: 2, near: [image, near] })
    }

    fn store(&mut self) -> Result<()> {
        let posture = Posture::new(self.generation, Mode::Enforce, Mode::Enforce);
        Ok(self.timed.policy.set_switch(Switch::settled(posture, posture))?)
    }

    fn reload(&mut self, text: &str) -> Result<Duration> {
        let begun = Instant::now();
        let (image, _) = policy::compile(text)?;
        self.generation += 1;
        self.timed.policy.write(self.generation, &Tables::from(&image))?;
        self.store()?;
        Ok(begun.elapsed())
    }

    /// The spare half holds the neighbour already, as after any change before this one.
    fn one(&mut self, even: bool) -> Result<Duration> {
        let [image, near] = &self.near;
        let (before, after) = if even { (image, near) } else { (near, image) };
        self.generation += 1;
        self.timed.policy.write(self.generation, &Tables::from(before))?;
        let begun = Instant::now();
        self.timed.policy.write(self.generation, &Tables::from(after))?;
        self.store()?;
        Ok(begun.elapsed())
    }

    fn flip(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        self.store()?;
        Ok(begun.elapsed())
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

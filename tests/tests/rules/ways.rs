//! One sequence of packets, judged in each way that there is.

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result, ensure};
use ipnet::IpNet;
use jiff::civil::date;
use portreeve::{
    datapath::{object::Sets, policy::Tables, traced::Traced},
    image::{Image, simulation::Simulation},
    policy::{self, Catalogue, host::StateLimits},
};
use portreeve_common::{
    Decision, Direction, Reason,
    class::RuleId,
    switch::{Mode, Posture, Switch},
};
use portreeve_tests::{
    frame::Frame,
    generator::Timed,
    policy::{ONLY_HERE, slots},
    step,
};

/// As many as the kernel's clock mostly has.
const TICKS_PER_SECOND: u64 = 250;
/// Ticks between two sequences: what lived in one is long over in the next.
const APART: u64 = 1 << 40;
/// In the order of the verdicts.
pub(crate) const WAYS: [&str; 4] = ["simulation", "the short way", "XDP", "TC"];
/// The host's own addresses.
const OWN: [&str; 3] = ["192.0.2.10/24", "2001:db8:1::10/64", "fe80::10/64"];
/// A role that has every kind of rule, and whom it is for.
pub(crate) const PLANT: &str = r#"
[[role]]
pack = "plant"
role = "edge"
[role.peers]
panels = ["192.0.2.60", "2001:db8:1::60"]
members = ["192.0.2.85", "2001:db8:1::85", "fe80::85"]
files = ["192.0.2.70", "2001:db8:1::70"]
servers = ["192.0.2.20", "2001:db8:1::20"]
"#;

type Verdict = (Reason, Option<RuleId>);

/// A packet of a sequence.
#[derive(Debug)]
pub(crate) struct Step {
    direction: Direction,
    frame: Frame,
    /// Seconds since the packet before it.
    after: u64,
}

/// Towards the host.
pub(crate) fn inbound(frame: Frame) -> Step {
    Step { direction: Direction::Ingress, frame, after: 0 }
}

/// From the host.
pub(crate) fn outbound(frame: Frame) -> Step {
    Step { direction: Direction::Egress, frame: frame.outbound(), after: 0 }
}

impl Step {
    /// Later than the packet before it.
    pub(crate) fn after(self, seconds: u64) -> Self {
        Self { after: seconds, ..self }
    }
}

/// Programs that are loaded once: the verifier takes longest.
static LOADED: Mutex<Option<Loaded>> = Mutex::new(None);

struct Loaded {
    programs: Traced,
    sequences: u16,
}

/// Every packet of a sequence gets the verdict beside it, in every way: the reason, and the flow if it names one.
#[track_caller]
pub(crate) fn judged(host: &str, sequence: Vec<(Step, &str)>) {
    if let Err(error) = try_judge(host, &sequence) {
        panic!("{error:?}\n{host}");
    }
}

fn try_judge(host: &str, sequence: &[(Step, &str)]) -> Result<()> {
    let mut at = 0;
    let timed = sequence.iter().map(|(Step { direction, frame, after }, _)| {
        at += after * 1_000;
        Timed { at, step: step::Step { direction: *direction, bytes: frame.bytes() } }
    });
    for (verdicts, (step, wanted)) in judge_all(host, timed.collect())?.iter().zip(sequence) {
        for (way, found) in WAYS.iter().zip(verdicts) {
            ensure!(found == wanted, "by {way}: {found}, wanted {wanted}: {step:?}");
        }
    }
    Ok(())
}

/// What each packet got in each way, in their order.
pub(crate) fn judge_all(host: &str, sequence: Vec<Timed>) -> Result<Vec<[String; WAYS.len()]>> {
    let image = image(host)?;
    let here = || {
        let mut simulation = Simulation::new(image.clone());
        simulation.set_interfaces(ONLY_HERE);
        simulation
    };
    let (long, short) = (here(), here());
    let mut guard = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if guard.is_none() {
        let sets = Sets::of(&StateLimits::default());
        let programs = Traced::load_on(&Tables::from(&image), [1, 2], sets, ONLY_HERE)?;
        *guard = Some(Loaded { programs, sequences: 0 });
    }
    let loaded = guard.as_mut().context("loaded above")?;
    let xdp = loaded.sequence(&image, true, &sequence)?;
    let tc = loaded.sequence(&image, false, &sequence)?;
    let mut verdicts = Vec::new();
    for ((Timed { at, step }, xdp), tc) in sequence.iter().zip(xdp).zip(tc) {
        let (packet, direction) = (step.bytes.as_slice(), step.direction);
        let long = user(&long, *at, |tables| tables.judge(packet, direction));
        let short = user(&short, *at, |tables| tables.judge_quickly(packet, direction));
        verdicts.push([long, short, xdp, tc].map(|verdict| show(verdict, &image)));
    }
    Ok(verdicts)
}

impl Loaded {
    fn sequence(&mut self, image: &Image, native: bool, sequence: &[Timed]) -> Result<Vec<Verdict>> {
        self.sequences += 1;
        let posture = Posture::new(self.sequences, Mode::Enforce, Mode::Enforce);
        self.programs.policy().write(self.sequences, &Tables::from(image))?;
        self.programs.policy().set_switch(Switch::settled(posture, posture))?;
        let mut verdicts = Vec::new();
        for Timed { at, step } in sequence {
            let hook = Traced::hook(step.direction, native);
            let (length, now) =
                (u32::try_from(step.bytes.len())?, u64::from(self.sequences) * APART + ticks(*at));
            verdicts.push(self.programs.judge(&step.bytes, length, hook, now)?);
        }
        Ok(verdicts)
    }
}

fn user(tables: &Simulation, at: u64, judge: impl Fn(&Simulation) -> Decision) -> Verdict {
    tables.set_now(APART + ticks(at));
    let decision = judge(tables);
    (decision.reason(), decision.rule())
}

const fn ticks(milliseconds: u64) -> u64 {
    milliseconds * TICKS_PER_SECOND / 1_000
}

/// The reason, and the flow if there is one.
fn show((reason, rule): Verdict, image: &Image) -> String {
    let flow = rule.and_then(|slot| image.flow(slot)).map(|flow| format!(" {}", flow.flow));
    format!("{reason}{}", flow.unwrap_or_default())
}

fn image(host: &str) -> Result<Image> {
    let packs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules/packs");
    let policy = policy::compile("host.toml", host, &Catalogue::load(Some(&packs))?, date(2026, 11, 21));
    let policy = policy.map_err(|report| anyhow::anyhow!("{}", report.render(false)))?;
    let own = OWN.map(str::parse).into_iter().collect::<Result<Vec<IpNet>, _>>()?;
    Ok(Image::compile(&policy, &own, &mut slots()?, TICKS_PER_SECOND)?)
}

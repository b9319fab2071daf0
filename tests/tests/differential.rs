//! The kernel's programs and the same lines in user space, in lockstep over evolving state: one verdict a packet.
//! Needs root.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, Result, bail, ensure};
use portreeve::{
    datapath::{object::Sets, pins::Hook, policy::Tables, traced::Traced},
    image::{Image, simulation::Simulation},
    policy::host::StateLimits,
};
use portreeve_common::{Direction, Reason, class::RuleId};
use portreeve_tests::{
    generator::{Pool, Timed, Traffic},
    policy::{self, EVERY_KIND, ONLY_HERE},
    step::{Step, hex},
};

/// Half of them go each way, so that every program judges more than 100,000.
const PACKETS: usize = 220_000;
/// Of each program.
const LEAST: usize = 100_000;
/// A tick is what the traffic counts in.
const TICKS_PER_SECOND: u64 = 1_000;
/// As long as connections are adopted in the middle, at the beginning of a run.
const ADOPTION: u64 = 500_000;
/// Kernel runs that the search for a shorter sequence may take.
const TRIES: usize = 60;

/// Every kind of flow, both ways, for some peers and not for others.
const HOST: &str = r#"
[host]
name = "differential"
interfaces = ["eth*"]
addresses = ["192.0.2.10", "2001:db8:1::10"]

[baseline]
dhcp = true
ping_from = ["198.51.100.0/24", "2001:db8:2::/64"]

[[role]]
pack = "siemens-industrial-edge"
role = "ied"
options = { offering = "IEM OS" }
peers = { iem = ["198.51.100.0/24", "2001:db8:2::/64"], dns_servers = ["192.0.2.53"], ntp_servers = "any", ui_clients = "any" }
"#;

type Verdict = (Reason, Option<RuleId>);

fn image(listed: bool) -> Result<Image> {
    let host = format!("{HOST}{EVERY_KIND}");
    let host = if listed {
        host.replace("[baseline]\n", "[baseline]\nethertypes = [\"lldp\", \"0x8892\"]\n")
    } else {
        host
    };
    let mut image = policy::image(&host, TICKS_PER_SECOND)?;
    image.settings = image.settings.adopting_until(ADOPTION);
    Ok(image)
}

/// Both judges, with the same policy and state.
struct Pair {
    user: Simulation,
    kernel: Traced,
    native: bool,
}

impl Pair {
    fn new(image: &Image, native: bool) -> Result<Self> {
        // So many that no set is full of flows without connections: the simulation's tables have no sets.
        let sets = Sets::of(&StateLimits { established: 1 << 20, ..StateLimits::default() });
        let kernel = Traced::load_on(&Tables::from(image), [0x5eed, 0xcafe], sets, ONLY_HERE)?;
        let mut user = Simulation::new(image.clone());
        user.set_interfaces(ONLY_HERE);
        Ok(Self { user, kernel, native })
    }

    fn judge(&mut self, Timed { at, step: Step { direction, bytes } }: &Timed) -> Result<[Verdict; 2]> {
        self.user.set_now(*at);
        let user = self.user.judge(bytes.as_slice(), *direction);
        let hook = Traced::hook(*direction, self.native);
        let kernel = self.kernel.judge(bytes, u32::try_from(bytes.len())?, hook, *at)?;
        Ok([(user.reason(), user.rule()), kernel])
    }
}

/// What was reached, by program and reason.
#[derive(Default)]
struct Coverage(BTreeMap<(Direction, Reason), usize>);

impl Coverage {
    fn sum(&self, of: impl Fn(Direction, Reason) -> bool) -> usize {
        self.0.iter().filter(|((direction, reason), _)| of(*direction, *reason)).map(|(_, count)| count).sum()
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for reason in Reason::ALL {
            let [ingress, egress] =
                [Direction::Ingress, Direction::Egress].map(|way| self.sum(|d, r| d == way && r == reason));
            let _always =
                writeln!(text, "{:20} {ingress:8} ingress {egress:8} egress", format!("{reason:?}"));
        }
        text
    }

    fn is_good(&self, listed: bool) -> Result<()> {
        let share = self.sum(|_, reason| reason.passes()) * 100 / PACKETS;
        ensure!(share >= 20, "only {share} % pass");
        for direction in Direction::ALL {
            let judged = self.sum(|d, _| d == direction);
            ensure!(judged >= LEAST, "only {judged} {direction} packets");
        }
        // Nothing gives the baseline of IGMP yet: its messages pass by rules.
        let unreachable = |reason: &Reason| {
            matches!(reason, Reason::Internal | Reason::BaselineIgmp)
                || (*reason == Reason::Ethertype && !listed)
        };
        let missed: Vec<Reason> =
            Reason::ALL.into_iter().filter(|reason| self.sum(|_, r| r == *reason) == 0).collect();
        let missed: Vec<&Reason> = missed.iter().filter(|reason| !unreachable(reason)).collect();
        ensure!(missed.is_empty(), "never reached: {missed:?}");
        ensure!(self.sum(|_, reason| reason == Reason::Internal) == 0, "an internal error");
        Ok(())
    }
}

fn lockstep(seed: u64, native: bool, listed: bool) -> Result<()> {
    let image = image(listed)?;
    let mut pair = Pair::new(&image, native)?;
    let mut coverage = Coverage::default();
    let mut past = Vec::with_capacity(PACKETS);
    for timed in Traffic::new(seed, Pool::with_strangers()).take(PACKETS) {
        let verdicts = pair
            .judge(&timed)
            .with_context(|| format!("packet {}: {}", past.len(), hex(&timed.step.bytes)))?;
        let direction = timed.step.direction;
        past.push(timed);
        if verdicts[0] != verdicts[1] {
            let file = format!("differential-{seed}.txt");
            return differ(past, verdicts, &image, native, &file);
        }
        *coverage.0.entry((direction, verdicts[0].0)).or_default() += 1;
    }
    let passed = coverage.sum(|_, reason| reason.passes());
    let hook = if native { Hook::Xdp } else { Hook::Ingress };
    println!("{PACKETS} packets, ingress by {}: {passed} pass\n{}", hook.name(), coverage.text());
    coverage.is_good(listed)
}

/// Drops what the difference doesn't need, tells it, and fails.
fn differ(
    mut past: Vec<Timed>,
    [user, kernel]: [Verdict; 2],
    image: &Image,
    native: bool,
    file: &str,
) -> Result<()> {
    let number = past.len() - 1;
    let last = past[number].clone();
    let mut piece = number.div_ceil(2);
    let (mut tries, mut at) = (0, 0);
    while piece > 0 && tries < TRIES {
        let before = past.len() - 1;
        if at >= before {
            piece /= 2;
            at = 0;
            continue;
        }
        tries += 1;
        let mut fewer = past.clone();
        fewer.drain(at..(at + piece).min(before));
        if differs_at_the_end(&fewer, image, native)? {
            past = fewer;
        } else {
            at += piece;
        }
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(file);
    let lines = past
        .iter()
        .map(|Timed { at, step: Step { direction, bytes } }| format!("{at} {direction} {}\n", hex(bytes)));
    fs::write(&path, lines.collect::<String>())?;
    let Step { direction, bytes } = &last.step;
    bail!(
        "packet {number}, {direction}, {}\nuser {user:?}, kernel {kernel:?}; {} packets in {}",
        hex(bytes),
        past.len(),
        path.display()
    )
}

fn differs_at_the_end(steps: &[Timed], image: &Image, native: bool) -> Result<bool> {
    let mut pair = Pair::new(image, native)?;
    let mut differs = false;
    for timed in steps {
        let [user, kernel] = pair.judge(timed)?;
        differs = user != kernel;
    }
    Ok(differs)
}

#[test]
fn xdp_and_user_space_agree() -> Result<()> {
    lockstep(1, true, false)
}

#[test]
fn tc_and_user_space_agree() -> Result<()> {
    lockstep(2, false, false)
}

#[test]
fn listed_ethertypes_agree() -> Result<()> {
    lockstep(3, true, true)
}

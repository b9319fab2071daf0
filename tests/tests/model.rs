//! The kernel's programs against the model, over sequences that open, answer, close, time out, fragment, tag and mutate.
//! Needs root.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    env,
    fmt::Write as _,
    net::IpAddr,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use ipnet::IpNet;
use jiff::civil::date;
use portreeve::{
    datapath::{object::Sets, pins::Hook, policy::Tables, traced::Traced},
    image::Image,
    policy::{self, Catalogue, Policy, host::StateLimits},
};
use portreeve_common::{
    Address, Reason,
    dns::Outcome,
    names::{LearnedName, NameId},
    switch::{Mode, Posture, Switch},
};
use portreeve_tests::{
    generator::{Named, Pool, Timed, Traffic},
    model::{Model, Verdict},
    policy::{ONLY_HERE, slots},
    step::Step,
};

/// Sequences of a normal run, and of a nightly one.
const NORMAL: u64 = 200_000;
const NIGHTLY: u64 = 2_000_000;
/// Sequences that one load of the programs sees, at most.
const CHUNK: u64 = 12_500;
/// Packets between two changes of the policy.
const REIGN: usize = 4_000;
/// A tick is what the traffic counts in.
const TICKS_PER_SECOND: u64 = 1_000;
/// As long as connections are adopted, at the beginning of a chunk.
const ADOPTION: u64 = 1_800_000;
/// Packets of which a difference tells those between the same two hosts.
const MEMORY: usize = 20_000;

const PROTECTED: [&str; 2] = ["192.0.2.10/24", "2001:db8:1::10/64"];

/// Every kind of flow, both ways, for some peers and not for others.
const HOST: &str = r#"
[host]
name = "model"
interfaces = ["eth*"]
addresses = ["192.0.2.10", "2001:db8:1::10"]

[state]
tcp_idle = "4h"

[baseline]
dhcp = true
ping_from = ["198.51.100.0/24", "2001:db8:2::/64"]

[[role]]
pack = "siemens-industrial-edge"
role = "ied"
options = { offering = "IEM OS" }
peers = { iem = ["198.51.100.0/24", "2001:db8:2::/64"], dns_servers = ["192.0.2.53", "2001:db8:1::50"], ntp_servers = "any", ui_clients = "any" }

[[role]]
pack = "plant"
role = "edge"
[role.peers]
panels = ["198.51.100.20", "2001:db8:1::50"]
members = ["192.0.2.200", "2001:db8:1::50", "fe80::1"]
files = ["192.0.2.53", "2001:db8:2::20"]
servers = ["192.0.2.20", "203.0.113.10", "2001:db8:1::50"]

[[allow]]
id = "SITE-1"
direction = "ingress"
protocol = "tcp"
port = [22, 80, 53, 161, 5481]
peers = ["198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"]
reason = "by peers"

[[allow]]
id = "SITE-2"
direction = "ingress"
protocol = "udp"
port = [53, 161, 123, 443, 20, 21]
peers = "any"
reason = "by anybody"

[[allow]]
id = "SITE-3"
direction = "egress"
protocol = "tcp"
port = [443, 5481, 22, 80, 53, 21]
peers = "any"
reason = "by anybody"

[[allow]]
id = "SITE-4"
direction = "egress"
protocol = "icmp"
peers = "any"
reason = "echo"

[[allow]]
id = "SITE-5"
direction = "ingress"
protocol = 47
peers = ["198.51.100.20"]
reason = "by number"

[[allow]]
id = "SITE-6"
direction = "egress"
protocol = "udp"
port = [53, 123, 161, 443, 80, 23]
peers = ["198.51.100.0/24", "192.0.2.0/24", "2001:db8::/32"]
reason = "by peers"

[[allow]]
id = "NAME-1"
direction = "egress"
protocol = "tcp"
port = 843
peers = ["api.example.com", "*.example.net"]
reason = "by names"

[[allow]]
id = "NAME-2"
direction = "egress"
protocol = "tcp"
port = [843, 883]
peers = ["*.example.com", "203.0.113.10"]
reason = "by names and peers"

[[allow]]
id = "NAME-3"
direction = "ingress"
protocol = "udp"
port = 883
peers = ["*.b.example.net"]
reason = "who has a name calls"

[[allow]]
id = "SITE-7"
direction = "ingress"
protocol = "tcp"
port = [22, 23]
peers = ["192.0.2.0/24", "2001:db8::/32"]
interfaces = ["eth1"]
reason = "by another interface"

[[allow]]
id = "SITE-8"
direction = "ingress"
protocol = "tcp"
port = 23
peers = ["198.51.100.0/24", "2001:db8:1::/64"]
interfaces = ["eth0", "eth1"]
reason = "by this interface"

[[allow]]
id = "SITE-9"
direction = "egress"
protocol = "udp"
port = [20, 123]
peers = "any"
interfaces = ["eth1"]
reason = "by another interface"
"#;

/// The role of the rules' own suite: groups, broadcast, source ports, data beside a control flow.
const PACKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rules/packs");

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

/// What every second policy says otherwise: flows are revoked, others are let in, and EtherTypes are listed.
const CHANGES: [(&str, &str); 6] = [
    ("[baseline]\ndhcp = true\n", "[baseline]\ndhcp = false\nethertypes = [\"lldp\", \"0x8892\"]\n"),
    (
        "\"198.51.100.0/24\", \"203.0.113.0/24\", \"2001:db8::/32\"]",
        "\"203.0.113.0/24\", \"2001:db8:1::/64\"]",
    ),
    ("port = [443, 5481, 22, 80, 53, 21]", "port = [443, 22, 21, 123]"),
    ("peers = [\"198.51.100.20\"]", "peers = [\"203.0.113.10\"]"),
    ("api.example.com", "www.example.com"),
    ("*.b.example.net", "a.b.example.net"),
];

/// Names that rules want, that lie beside those, and that nobody wants; they share some addresses.
const NAMES: [&str; 9] = [
    "api.example.com",
    "www.example.com",
    "deep.api.example.com",
    "a.b.example.net",
    "x.example.net",
    "example.net",
    "badexample.com",
    "evil-example.net",
    "example.org",
];
/// One with more addresses than are remembered of it.
const MANY: &str = "cdn.example.net";

/// What there is to ask for.
fn named() -> Vec<Named> {
    let shared = (32..40).map(|last| IpAddr::from([203, 0, 113, last]));
    let shared: Vec<IpAddr> =
        shared.chain((1..5).map(|last| [0x2001, 0xdb8, 7, 0, 0, 0, 0, last].into())).collect();
    let many = (100..190).map(|last| IpAddr::from([203, 0, 113, last])).collect();
    let of = |name| Named { name, addresses: shared.clone() };
    NAMES.into_iter().map(of).chain([Named { name: MANY, addresses: many }]).collect()
}

/// The usual addresses and ports, those of groups, broadcast and FTP, and names.
fn pool() -> Pool {
    let mut pool = Pool::with_strangers();
    let addresses = |texts: [&str; 5]| texts.map(|text| text.parse::<IpAddr>().expect("an address"));
    let to_many = ["224.10.10.25", "ff02::1:99", "255.255.255.255", "192.0.2.255", "224.10.10.26"];
    pool.locals.extend(addresses(to_many).repeat(2));
    pool.peers.extend(addresses(["224.10.10.25", "255.255.255.255", "192.0.2.255", "ff02::1:99", "0.1.2.3"]));
    pool.services.extend([8000, 8001, 7979, 514, 21]);
    pool.clients.extend([20, 514]);
    pool.resolvers = ["192.0.2.53", "192.0.2.53", "2001:db8:1::50", "192.0.2.54"]
        .map(|text| text.parse().expect("an address"))
        .to_vec();
    pool.named = named();
    pool.named_services = vec![843, 843, 883];
    pool.services.push(843);
    pool.peers.extend(addresses([
        "203.0.113.32",
        "203.0.113.33",
        "203.0.113.34",
        "203.0.113.100",
        "2001:db8:7::1",
    ]));
    pool
}

/// A policy for both sides.
struct Site {
    policy: Policy,
    image: Image,
}

fn sites(protected: &[IpNet]) -> Result<[Site; 2]> {
    let mut changed = HOST.to_owned();
    for (from, to) in CHANGES {
        ensure!(changed.contains(from), "{from:?} is not in the host file");
        changed = changed.replacen(from, to, 1);
    }
    let mut slots = slots()?;
    let catalogue = Catalogue::load(Some(Path::new(PACKS)))?;
    let mut site = |text: &str| -> Result<Site> {
        let policy = policy::compile("host.toml", text, &catalogue, date(2026, 11, 21));
        let policy = policy.map_err(|report| anyhow!("{}", report.render(false)))?;
        let mut image = Image::compile(&policy, protected, &mut slots, TICKS_PER_SECOND)?;
        image.settings = image.settings.adopting_until(ADOPTION);
        Ok(Site { policy, image })
    };
    Ok([site(HOST)?, site(&changed)?])
}

/// What the kernel says: the reason, and the flow that it names.
type Said = (Reason, Option<String>);

/// Modes of both directions, in turns. A verdict is the same in every
/// mode, but for flows that live because only the direction in which they began is observed.
const POSTURES: [[Mode; 2]; 5] = [
    [Mode::Enforce, Mode::Enforce],
    [Mode::Enforce, Mode::Enforce],
    [Mode::Enforce, Mode::Observe],
    [Mode::Observe, Mode::Observe],
    [Mode::Observe, Mode::Enforce],
];

/// The programs and the model, under policies that change.
struct Pair<'a> {
    sites: &'a [Site; 2],
    protected: &'a [IpNet],
    native: bool,
    generation: u16,
    kernel: Traced,
    model: Model,
}

impl<'a> Pair<'a> {
    fn new(sites: &'a [Site; 2], protected: &'a [IpNet], native: bool) -> Result<Self> {
        // So many that no set is full of flows without connections: the model's tables have no sets.
        let limits = StateLimits { established: 1 << 20, ..StateLimits::default() };
        let kernel =
            Traced::load_on(&Tables::from(&sites[0].image), [0x5eed, 0xcafe], Sets::of(&limits), ONLY_HERE)?;
        let model = Model::new(&sites[0].policy, protected, ADOPTION);
        Ok(Self { sites, protected, native, generation: 1, kernel, model })
    }

    fn site(&self) -> &'a Site {
        &self.sites[usize::from(self.generation - 1) % 2]
    }

    fn change_policy(&mut self) -> Result<()> {
        self.generation += 1;
        let Site { policy, image } = self.site();
        let modes = POSTURES[usize::from(self.generation) % POSTURES.len()];
        let posture = Posture::new(self.generation, modes[0], modes[1]);
        self.kernel.policy().write(self.generation, &Tables::from(image))?;
        self.kernel.policy().set_switch(Switch::settled(posture, posture))?;
        self.model.replace(policy, self.protected, modes);
        Ok(())
    }

    /// What both have learned, and made of resolvers' messages, is the same.
    fn compare_names(&self) -> Result<BTreeMap<Outcome, u64>> {
        let kernel = self.kernel.names();
        let told = |name: LearnedName| (name.address, name.id, name.until);
        let mut learned: Vec<_> = kernel.learned()?.into_iter().map(told).collect();
        let wanted = self.model.learned().into_iter();
        let mut wanted: Vec<_> = wanted
            .map(|(address, pattern, until)| (Address::from(address), NameId::of(&pattern).word(), until))
            .collect();
        learned.sort_by_key(|(address, id, _)| (address.octets(), *id));
        wanted.sort_by_key(|(address, id, _)| (address.octets(), *id));
        ensure!(learned == wanted, "the kernel has learned {learned:?}, the model {wanted:?}");
        let outcomes = kernel.answers()?.into_iter().filter(|(_, count)| *count > 0).collect();
        ensure!(
            outcomes == *self.model.outcomes(),
            "the kernel counts {outcomes:?}, the model {:?}",
            self.model.outcomes()
        );
        Ok(outcomes)
    }

    fn judge(&mut self, Timed { at, step: Step { direction, bytes } }: &Timed) -> Result<(Said, Verdict)> {
        let hook = Traced::hook(*direction, self.native);
        let (reason, rule) = self.kernel.judge(bytes, u32::try_from(bytes.len())?, hook, *at)?;
        let flow = rule.map(|slot| self.site().image.flow(slot).context("a rule without a flow"));
        let flow = flow.transpose()?.map(|flow| flow.flow.clone());
        Ok(((reason, flow), self.model.judge(bytes, *direction, *at)))
    }
}

fn agree((reason, flow): &Said, wanted: &Verdict) -> bool {
    let named = match flow {
        Some(flow) => wanted.flows.contains(flow),
        None => wanted.flows.is_empty(),
    };
    *reason == wanted.reason && named
}

/// What was reached, by program and reason.
#[derive(Default)]
struct Coverage {
    sequences: u64,
    verdicts: BTreeMap<(&'static str, Reason), u64>,
    /// Flows that were named where a packet passed.
    flows: BTreeSet<String>,
    /// What resolvers' messages came to.
    outcomes: BTreeMap<Outcome, u64>,
    /// Packets that passed as answers in a flow that no rule allows.
    answered: u64,
}

impl Coverage {
    fn add(&mut self, other: &Self) {
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
    fn share(&self, hook: Hook) -> u64 {
        let sum = |counts: fn(Reason) -> bool| -> u64 {
            let here =
                self.verdicts.iter().filter(|((name, reason), _)| *name == hook.name() && counts(*reason));
            here.map(|(_, count)| count).sum()
        };
        sum(Reason::passes) * 100 / sum(|_| true).max(1)
    }

    fn text(&self) -> String {
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

    fn is_whole(&self) -> Result<()> {
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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

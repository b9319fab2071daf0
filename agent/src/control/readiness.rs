//! Whether a direction or a role can be enforced without cutting what a product needs: what the last observation saw.
//!
//! An observation lasts from when the mode or the role's stage changed last, or was asked for again, to now. A packet of
//! a required flow counts that only its peer kept out. Anybody can forge one that comes in: over TCP it counts once its
//! sender went on behind the handshake, since who forges an address doesn't see what it would have to answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use ipnet::IpNet;
use jiff::Timestamp;
use portreeve_common::{
    Address, Direction, Reason,
    counter::{Talker, TalkerKey},
    flow::FlowKey,
    number::protocol,
    switch::Mode,
};

use super::{ControlError, opened::Opened};
use crate::{
    datapath::{names::Names, reading::Counters},
    image::{Image, simulation::Simulation},
    policy::{
        Policy, Rule, Stage,
        rule::{Need, Service},
    },
};

/// A required flow whose packets would have been dropped: its document names the port, its peers don't name the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WouldCut {
    /// The flow.
    pub flow: String,
    /// Which way.
    pub direction: Direction,
    /// Protocol and ports.
    pub service: String,
    /// Who, each with its packets.
    pub peers: BTreeMap<String, u64>,
    /// Packets of peers that had to give way to others in the table of who.
    pub forgotten: u64,
    /// The last of those that are known.
    pub last: Option<Timestamp>,
}

impl fmt::Display for WouldCut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { flow, direction, service, peers, forgotten, last } = self;
        let mut who: Vec<_> =
            peers.iter().map(|(peer, packets)| format!("{peer} ({packets} packets)")).collect();
        if *forgotten > 0 {
            who.push(format!("peers that are no longer known ({forgotten} packets)"));
        }
        write!(f, "{flow}: {direction} {service} with {}", who.join(", "))?;
        last.map_or(Ok(()), |last| write!(f, ", last at {last}"))
    }
}

/// What begins to be enforced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Begins {
    /// All of a direction.
    pub(super) directions: Vec<Direction>,
    /// One role's flows.
    pub(super) roles: Vec<(String, Direction)>,
}

impl Begins {
    fn has(&self, rule: &Rule) -> bool {
        let Self { directions, roles } = self;
        directions.contains(&rule.direction)
            || roles.iter().any(|(role, way)| *role == rule.role && *way == rule.direction)
    }
}

/// Refuses if the last observation saw packets of required flows that a policy would drop.
///
/// # Errors
/// It did; or the counters can't be read.
pub(super) fn refuse(
    opened: &Opened<'_>,
    policy: &Policy,
    protected: &[IpNet],
    begins: &Begins,
) -> Result<(), ControlError> {
    let needs = |rule: &&Rule| begins.has(rule) && rule.origin.need == Need::Required;
    let rules: Vec<&Rule> = policy.rules.iter().filter(needs).collect();
    if rules.is_empty() {
        return Ok(());
    }
    let mut slots = opened.state.slots.clone();
    let ticks = opened.state.ticks_per_second.into();
    let judge = Simulation::new(Image::compile(policy, protected, &mut slots, ticks)?);
    judge.remember(&Names::open(&opened.instance.pins)?.learned()?);
    let counters = Counters::open(&opened.instance.pins)?;
    let talkers = counters.talkers(&counters.pages()?)?;
    let seen = Seen {
        talkers: &talkers,
        went_on: went_on(&talkers),
        judge: &judge,
        protected,
        counters: &counters,
        rules: &policy.rules,
    };
    let mut found = Vec::new();
    for rule in rules {
        let mut would = seen.would_cut(rule, opened)?;
        would.forgotten = seen.forgotten(rule, opened)?;
        if would.forgotten > 0 || !would.peers.is_empty() {
            found.push(would);
        }
    }
    if found.is_empty() { Ok(()) } else { Err(ControlError::WouldCut(joined(found))) }
}

/// What was counted, and who would judge it.
struct Seen<'s> {
    talkers: &'s [Talker],
    went_on: BTreeSet<TalkerKey>,
    judge: &'s Simulation,
    protected: &'s [IpNet],
    counters: &'s Counters,
    rules: &'s [Rule],
}

/// A peer's packets to a port that are part of no connection.
fn behind(key: &TalkerKey) -> TalkerKey {
    let (would, reason) = (Mode::Observe.would(), Reason::NoState as u8);
    TalkerKey::new(key.peer(), key.port(), key.protocol(), key.direction(), would, reason)
}

/// Those that sent more than what begins a connection.
fn went_on(talkers: &[Talker]) -> BTreeSet<TalkerKey> {
    talkers.iter().map(|talker| talker.key).filter(|key| *key == behind(key)).collect()
}

impl Seen<'_> {
    fn would_cut(&self, rule: &Rule, opened: &Opened<'_>) -> Result<WouldCut, ControlError> {
        let since = window(rule, opened);
        let lives = self.lives(rule, opened)?;
        let mut would = WouldCut {
            flow: rule.flow.clone(),
            direction: rule.direction,
            service: rule.service.to_string(),
            peers: BTreeMap::new(),
            forgotten: 0,
            last: None,
        };
        for talker in self.talkers.iter().filter(|talker| is_about(rule, &talker.key)) {
            let last = opened.now.time_of(talker.last);
            // The kernel's clock tells seconds.
            let counts = talker.key.mode() == Mode::Observe && last.as_second() >= since.as_second();
            let elsewhere = talker.key.reason() == Some(Reason::WrongInterface);
            let refused = elsewhere || !self.passes(&talker.key);
            if counts && (lives || self.is_real(&talker.key)) && refused {
                *would.peers.entry(talker.key.peer().to_string()).or_default() += talker.packets;
                would.last = would.last.max(Some(last));
            }
        }
        Ok(would)
    }

    /// Whether connections that pass only because the rule's role is observed went on behind their first packets: those are
    /// live flows, which is why nothing of them is without state.
    fn lives(&self, rule: &Rule, opened: &Opened<'_>) -> Result<bool, ControlError> {
        let flow = Stage::flow(&rule.role, rule.direction);
        let Some(slot) = opened.state.slots.flows.slot(&flow) else { return Ok(false) };
        let own = |other: &&Rule| (&other.role, other.direction) == (&rule.role, rule.direction);
        let own: Vec<&Rule> = self.rules.iter().filter(own).collect();
        let firsts = self.talkers.iter().filter(|talker| {
            talker.key.mode() == Mode::Observe && own.iter().any(|rule| is_about(rule, &talker.key))
        });
        let firsts: u64 = firsts.map(|talker| talker.packets).sum();
        Ok(self.counters.flow(slot)?.passed.packets > firsts)
    }

    /// What this host sends is its own; what comes in over TCP has to go on.
    fn is_real(&self, key: &TalkerKey) -> bool {
        key.direction() == Direction::Egress
            || key.protocol() != protocol::TCP
            || self.went_on.contains(&behind(key))
    }

    /// A policy that was mended since lets them pass.
    fn passes(&self, key: &TalkerKey) -> bool {
        let own = self
            .protected
            .iter()
            .map(|net| net.addr().into())
            .find(|own: &Address| own.is_v4() == key.peer().is_v4());
        let (local, remote) = match key.direction() {
            Direction::Ingress => (key.port(), 0),
            Direction::Egress => (0, key.port()),
        };
        let flow = |own| FlowKey::new(own, key.peer(), local, remote, key.protocol());
        own.is_some_and(|own| self.judge.allows(&flow(own), key.direction()).is_some())
    }

    /// Packets of its port from other peers than its own that nobody is remembered for, if this observation has seen
    /// anybody forgotten.
    fn forgotten(&self, rule: &Rule, opened: &Opened<'_>) -> Result<u64, ControlError> {
        let before = opened.state.pushed_out.get(rule.direction.name()).copied().unwrap_or(0);
        let slot = opened.state.slots.flows.slot(&rule.flow);
        let (Some(slot), true) = (slot, self.counters.happenings()?.talkers_pushed_out > before) else {
            return Ok(0);
        };
        let known = self.talkers.iter().filter(|talker| is_about(rule, &talker.key));
        let known: u64 = known.map(|talker| talker.packets).sum();
        Ok(self.counters.flow(slot)?.dropped.packets.saturating_sub(known))
    }
}

/// When the observation began that a rule's packets were seen in.
fn window(rule: &Rule, opened: &Opened<'_>) -> Timestamp {
    let of = |key: &str| opened.state.changed.get(key).copied();
    let (whole, role) = (of(rule.direction.name()), of(&Stage::key(&rule.role, rule.direction)));
    whole.max(role).unwrap_or(opened.state.since)
}

fn is_about(rule: &Rule, key: &TalkerKey) -> bool {
    let ports = match (&rule.service, key.protocol()) {
        (Service::Tcp(ports), protocol::TCP) | (Service::Udp(ports), protocol::UDP) => ports,
        (Service::Tcp(_) | Service::Udp(_) | Service::Echo | Service::Igmp | Service::Protocol(_), _) => {
            return false;
        }
    };
    // By which interface a packet came is not remembered: a rule that is bound to none is not what refused it.
    let refused = key.reason() == Some(Reason::WrongPeer)
        || key.reason() == Some(Reason::WrongInterface) && !rule.interfaces.is_empty();
    refused
        && rule.direction == key.direction()
        && ports.destination.iter().any(|range| range.contains(&key.port()))
}

/// The rules of one flow are told of once.
fn joined(found: Vec<WouldCut>) -> Vec<WouldCut> {
    let mut all: Vec<WouldCut> = Vec::new();
    for one in found {
        match all.iter_mut().find(|other| other.flow == one.flow && other.service == one.service) {
            Some(other) => {
                other.peers.extend(one.peers);
                other.last = other.last.max(one.last);
            }
            None => all.push(one),
        }
    }
    all
}

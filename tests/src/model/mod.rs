//! What should happen to a packet, said a second time: plain lists, plain maps, one step after the other.
//!
//! Written from the decision table and the description of state, without the lines that the kernel programs and user
//! space share: only the names of directions, reasons and outcomes are common. Where both differ, one of them is wrong.

mod dissect;

mod dhcp;
mod icmp;
mod igmp;

mod ends;
mod flow;
mod state;
mod tcp;

mod rules;

mod message;
mod names;

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use ipnet::IpNet;
use portreeve::policy::{Policy, host::EtherTypes};
use portreeve_common::{Direction, Reason, dns::Outcome, switch::Mode};

use self::{
    dissect::{Content, Packet, Piece, Seen, dissect},
    ends::{Ends, ends},
    flow::{Flow, Limits},
    message::Carried,
    names::Names,
    rules::{Rules, Which},
    tcp::Segment,
};

/// What the model says of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Why it passes or not.
    pub reason: Reason,
    /// The flows of which one has to be named; none: no flow may be named.
    pub flows: Vec<String>,
}

/// A host that remembers its flows.
#[derive(Debug)]
pub struct Model {
    rules: Rules,
    /// Counts up with each policy.
    policy: u64,
    dhcp: bool,
    ethertypes: EtherTypes,
    limits: Limits,
    adopts_until: u64,
    /// Of ingress and egress.
    modes: [Mode; 2],
    now: u64,
    flows: HashMap<Ends, Flow>,
    firsts: HashMap<Datagram, First>,
    /// What a DHCP client has asked: whom, from which address, and when.
    questions: HashMap<(IpAddr, Option<IpAddr>), u64>,
    names: Names,
}

/// A datagram that comes in pieces; of IPv4 each protocol counts its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Datagram {
    source: IpAddr,
    destination: IpAddr,
    id: u32,
    protocol: Option<u8>,
}

/// A first fragment that passed.
#[derive(Clone, Debug)]
struct First {
    seen: u64,
    end: usize,
    rules: Which,
    policy: u64,
}

/// A reason and its rules.
type Judged = (Reason, Which);

impl Model {
    /// A host with nothing to remember at 0 ms. `protected`: its addresses.
    #[must_use]
    pub fn new(policy: &Policy, protected: &[IpNet], adopts_until: u64) -> Self {
        let state = &policy.host.state;
        let milliseconds = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let limits = Limits {
            tcp: milliseconds(state.tcp_idle),
            udp: milliseconds(state.udp_idle),
            echo: 30_000,
            closing: 60_000,
            waiting: 30_000,
        };
        Self {
            rules: Rules::new(policy, protected),
            policy: 1,
            dhcp: policy.host.baseline.dhcp,
            ethertypes: policy.host.baseline.ethertypes.clone(),
            limits,
            adopts_until,
            modes: [Mode::Enforce; 2],
            now: 0,
            flows: HashMap::new(),
            firsts: HashMap::new(),
            questions: HashMap::new(),
            names: Names::default(),
        }
    }

    /// Another policy comes into force; flows live on, to be judged by it with their next packet. `modes`: of ingress and
    /// egress.
    pub fn replace(&mut self, policy: &Policy, protected: &[IpNet], modes: [Mode; 2]) {
        self.modes = modes;
        self.rules = Rules::new(policy, protected);
        self.dhcp = policy.host.baseline.dhcp;
        self.ethertypes = policy.host.baseline.ethertypes.clone();
        self.policy += 1;
    }

    /// The verdict on a frame at `now`, in milliseconds.
    pub fn judge(&mut self, frame: &[u8], direction: Direction, now: u64) -> Verdict {
        self.now = now;
        let (reason, rules) = match dissect(frame) {
            Err(reason) => (reason, Which::new()),
            Ok(Seen::Link(kind)) => (self.link(kind), Which::new()),
            Ok(Seen::Packet(packet)) => self.packet(&packet, direction),
        };
        Verdict { reason, flows: rules.into_iter().map(|at| self.rules.name(at)).collect() }
    }

    /// Every address and the pattern that its name belonged to, with the millisecond until which that holds.
    #[must_use]
    pub fn learned(&self) -> Vec<(IpAddr, String, u64)> {
        self.names.learned()
    }

    /// How many of resolvers' messages came to what.
    #[must_use]
    pub const fn outcomes(&self) -> &BTreeMap<Outcome, u64> {
        self.names.outcomes()
    }

    fn observes(&self, direction: Direction) -> bool {
        let [ingress, egress] = self.modes;
        Mode::Observe == if direction == Direction::Ingress { ingress } else { egress }
    }

    /// What that direction lets pass without a rule, the other one has to let be answered.
    fn observes_alone(&self, direction: Direction) -> bool {
        self.observes(direction) && !self.observes(direction.opposite())
    }

    fn link(&self, kind: u16) -> Reason {
        const ARP: u16 = 0x0806;
        const LLC: u16 = 1;
        let named = if kind < 0x600 { LLC } else { kind };
        match &self.ethertypes {
            _ if kind == ARP => Reason::BaselineArp,
            EtherTypes::Any => Reason::BaselineEthertype,
            EtherTypes::Listed(listed) if listed.contains(&named) => Reason::BaselineEthertype,
            EtherTypes::Listed(_) => Reason::Ethertype,
        }
    }

    fn packet(&mut self, packet: &Packet, direction: Direction) -> Judged {
        let v4 = packet.source.is_ipv4();
        let datagram = |id| Datagram {
            source: packet.source,
            destination: packet.destination,
            id,
            protocol: v4.then_some(packet.protocol),
        };
        match packet.piece {
            Piece::Later { id, at } => self.later(&datagram(id), at),
            Piece::Whole | Piece::Only => self.whole(packet, direction),
            Piece::First { id, end } => {
                let (reason, rules) = self.whole(packet, direction);
                if reason.passes() {
                    let first = First { seen: self.now, end, rules: rules.clone(), policy: self.policy };
                    self.firsts.insert(datagram(id), first);
                }
                (reason, rules)
            }
        }
    }

    /// A later fragment follows its first one, and never reaches back into it.
    fn later(&self, datagram: &Datagram, at: usize) -> Judged {
        match self.firsts.get(datagram) {
            Some(first)
                if self.now - first.seen <= self.limits.waiting
                    && at >= first.end
                    && first.policy == self.policy =>
            {
                (Reason::Related, first.rules.clone())
            }
            _ => (Reason::Fragment, Which::new()),
        }
    }

    fn whole(&mut self, packet: &Packet, direction: Direction) -> Judged {
        let judged = match &packet.content {
            Content::Tcp { ports, sequence, acknowledgment, flags, payload } => {
                let ends = ends(packet, direction, *ports);
                let segment = Segment {
                    flags: *flags,
                    sequence: *sequence,
                    acknowledgment: *acknowledgment,
                    data: !payload.is_empty(),
                };
                self.tcp(ends, direction, segment)
            }
            Content::Udp { ports, payload: _ } => self.udp(packet, direction, *ports),
            Content::Icmp { .. } => self.icmp(packet, direction),
            Content::Igmp(kind) => self.igmp(packet, direction, *kind),
            Content::Opaque => self.exchange(ends(packet, direction, [0, 0]), direction),
        };
        if let Ok((_, rules)) = &judged {
            self.overhear(packet, direction, rules);
        }
        judged.unwrap_or_else(|refused| refused)
    }

    /// What passes by the rule for a resolver may be a question or an answer.
    fn overhear(&mut self, packet: &Packet, direction: Direction, rules: &Which) {
        let (ports, carried) = match &packet.content {
            Content::Tcp { ports, payload, .. } => (*ports, Carried::all_by_tcp(payload)),
            Content::Udp { ports, payload } => (*ports, Carried::by_udp(payload).into_iter().collect()),
            Content::Icmp { .. } | Content::Igmp(_) | Content::Opaque => return,
        };
        if !self.rules.hears(rules) {
            return;
        }
        let ends = ends(packet, direction, ports);
        // Of answers only the first is read.
        let read = if direction == Direction::Egress { carried.len() } else { 1 };
        for carried in carried.into_iter().take(read) {
            let first = matches!(packet.piece, Piece::First { .. });
            let carried = if first { carried.of_a_fragment() } else { carried };
            match direction {
                Direction::Egress => self.names.ask(ends, &carried, self.now),
                Direction::Ingress => self.names.answer(ends, &carried, self.rules.patterns(), self.now),
            }
        }
    }

    fn udp(&mut self, packet: &Packet, direction: Direction, ports: [u16; 2]) -> Result<Judged, Judged> {
        let ends = ends(packet, direction, ports);
        let dhcp = if packet.source.is_ipv4() {
            (ends.local.1, ends.remote.1) == (68, 67)
        } else {
            (ends.local.1, ends.remote.1) == (546, 547) && is_link_local(packet.source)
        };
        if dhcp && self.dhcp && self.leases(packet, direction) {
            return Ok((Reason::BaselineDhcp, Which::new()));
        }
        self.exchange(ends, direction)
    }
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

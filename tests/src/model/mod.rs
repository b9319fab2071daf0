//! What should happen to a packet, said a second time: plain lists, plain maps, one step after the other.
//!
//! Written from the decision table and the description of state, without the lines that the kernel programs and user
//! space share: only the names of directions and reasons are common. Where both differ, one of them is wrong.

mod dissect;
mod flow;
mod icmp;
mod rules;

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::IpNet;
use portreeve::policy::{Policy, host::EtherTypes};
use portreeve_common::{Direction, Reason};

use self::{
    dissect::{Content, ICMP, ICMPV6, IGMP, Packet, Piece, Quote, Seen, TCP, UDP, dissect, flag},
    flow::{Ends, Flow, Limits, Phase, Talk},
    icmp::Meaning,
    rules::{Leave, Manner, Rules, Which, Wish},
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
    now: u64,
    flows: HashMap<Ends, Flow>,
    firsts: HashMap<Datagram, First>,
    /// What a DHCP client has asked: whom, from which address, and when.
    questions: HashMap<(IpAddr, Option<IpAddr>), u64>,
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

/// How far the acknowledgment of a SYN-ACK may be ahead: data that was sent early.
const EARLY: u32 = 1 << 16;

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
            now: 0,
            flows: HashMap::new(),
            firsts: HashMap::new(),
            questions: HashMap::new(),
        }
    }

    /// Another policy comes into force; flows live on, to be judged by it with their next packet.
    pub fn replace(&mut self, policy: &Policy, protected: &[IpNet]) {
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
            Content::Tcp { ports, sequence, acknowledgment, flags } => {
                let ends = ends(packet, direction, *ports);
                let segment = Segment { flags: *flags, sequence: *sequence, acknowledgment: *acknowledgment };
                self.tcp(ends, direction, segment)
            }
            Content::Udp(ports) => self.udp(packet, direction, *ports),
            Content::Icmp { .. } => self.icmp(packet, direction),
            Content::Igmp(kind) => self.igmp(packet, direction, *kind),
            Content::Opaque => self.exchange(ends(packet, direction, [0, 0]), direction),
        };
        judged.unwrap_or_else(|refused| refused)
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

    /// A client asks one server or all of them; for a while, who was asked may answer.
    fn leases(&mut self, packet: &Packet, direction: Direction) -> bool {
        const ALL_V4: IpAddr = IpAddr::V4(Ipv4Addr::BROADCAST);
        const ALL_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2));
        let (source, destination) = (packet.source, packet.destination);
        let (v4, now) = (source.is_ipv4(), self.now);
        if direction == Direction::Ingress {
            let waits = |asked: &(IpAddr, Option<IpAddr>)| {
                self.questions.get(asked).is_some_and(|seen| now - seen <= self.limits.waiting)
            };
            if !v4 {
                return waits(&(ALL_V6, Some(destination)));
            }
            let somebody = self.rules.sender(destination, source, direction).is_ok();
            return somebody
                && !destination.is_multicast()
                && (waits(&(source, Some(destination))) || waits(&(ALL_V4, None)));
        }
        let own = self.rules.is_own(source);
        let question = match (v4, destination) {
            (false, ALL_V6) => (ALL_V6, Some(source)),
            (true, ALL_V4) if own || source.is_unspecified() => (ALL_V4, None),
            (true, server) if own && self.rules.sender(source, server, Direction::Ingress).is_ok() => {
                (server, Some(source))
            }
            (_, _) => return false,
        };
        self.questions.insert(question, now);
        true
    }

    /// Queries come and reports leave, where a rule needs multicast: for the groups that rules name, or for all hosts
    /// of the link.
    fn igmp(&self, packet: &Packet, direction: Direction, kind: u8) -> Result<Judged, Judged> {
        let speaks = match direction {
            Direction::Ingress => kind == 0x11,
            Direction::Egress => [0x12, 0x16, 0x17, 0x22].contains(&kind),
        };
        if !packet.source.is_ipv4() || !speaks || !self.rules.needs_igmp() {
            return Err((Reason::Protocol, Which::new()));
        }
        let ends = ends(packet, direction, [0, 0]);
        let nameless = direction == Direction::Ingress && packet.source.is_unspecified();
        if !nameless {
            self.rules.sender(ends.local.0, ends.remote.0, direction)?;
        }
        let wish = Wish { number: u16::from(kind), ..wish(&ends, direction) };
        let leave = self.rules.allow(wish, |_| false);
        let of_the_link =
            matches!(packet.destination, IpAddr::V4(group) if group.octets()[..3] == [224, 0, 0]);
        if !of_the_link && !self.rules.is_group(packet.destination) {
            let rules = leave.map_or_else(|(_, rules)| rules, |leave| leave.rules);
            return Err((Reason::WrongPeer, rules));
        }
        Ok((Reason::BaselineIgmp, leave.map_or_else(|_| Which::new(), |leave| leave.rules)))
    }

    fn icmp(&mut self, packet: &Packet, direction: Direction) -> Result<Judged, Judged> {
        let Content::Icmp { kind, code, id, body } = &packet.content else {
            return Err((Reason::Internal, Which::new()));
        };
        let v4 = packet.source.is_ipv4();
        if v4 != (packet.protocol == ICMP) {
            return Err((Reason::Protocol, Which::new()));
        }
        let plain = |reason| Ok((reason, Which::new()));
        match icmp::meaning(v4, *kind) {
            Meaning::Request | Meaning::Reply if *code != 0 => plain(Reason::Malformed),
            Meaning::Request => self.exchange(echo(packet, direction, *id, direction), direction),
            Meaning::Reply => {
                let ends = echo(packet, direction, *id, direction.opposite());
                match self.live(&ends) {
                    Some(_) => self.exchange(ends, direction),
                    None => plain(Reason::NoState),
                }
            }
            Meaning::Error => Ok(self.error(packet, body, direction)),
            Meaning::Redirect => plain(Reason::Redirect),
            Meaning::Neighbour | Meaning::Listener if packet.piece != Piece::Whole => plain(Reason::Fragment),
            Meaning::Neighbour => plain(icmp::neighbour(packet, *kind)),
            Meaning::Listener => plain(icmp::listener(packet, *kind, direction)),
            // No rule is about it.
            Meaning::Other => plain(Reason::NoRule),
        }
    }

    /// It has to quote a packet of a live flow, which the one that it goes to has sent.
    fn error(&self, packet: &Packet, body: &[u8], direction: Direction) -> Judged {
        let unrelated = (Reason::IcmpUnrelated, Which::new());
        let Some(quote) = Quote::read(body, packet.source.is_ipv4()) else { return unrelated };
        if quote.source != packet.destination {
            return unrelated;
        }
        let went = direction.opposite();
        let ends = icmp::quoted(&quote, went);
        match ends.and_then(|ends| self.live(&ends)) {
            Some(flow) => (Reason::Related, flow.rules.clone()),
            None => unrelated,
        }
    }

    /// Packets without connections. The first answer makes an exchange live; until then nothing prolongs it.
    fn exchange(&mut self, ends: Ends, direction: Direction) -> Result<Judged, Judged> {
        let Some(mut flow) = self.judged_again(&ends)? else {
            let leave = self.allow(&ends, direction)?;
            return self.begin(ends, direction, leave);
        };
        match flow.phase {
            Phase::Live(_) => flow.seen = self.now,
            Phase::Asked | Phase::Offered { .. } if flow.began != direction => {
                flow.seen = self.now;
                flow.phase = Phase::Live(Talk::default());
            }
            Phase::Asked | Phase::Offered { .. } | Phase::Met { .. } => {
                return Ok((Reason::Established, flow.rules));
            }
        }
        let rules = flow.rules.clone();
        self.flows.insert(ends, flow);
        Ok((Reason::Established, rules))
    }

    fn tcp(&mut self, ends: Ends, direction: Direction, segment: Segment) -> Result<Judged, Judged> {
        if segment.flags & (flag::SYN | flag::ACK) == flag::SYN {
            return self.opens(ends, direction);
        }
        match self.judged_again(&ends)? {
            Some(flow) => self.goes_on(ends, flow, direction, segment),
            None => self.adopt(ends, direction, segment),
        }
    }

    /// A SYN begins a connection, or knocks at one that lives on without noticing.
    fn opens(&mut self, ends: Ends, direction: Direction) -> Result<Judged, Judged> {
        let leave = self.ask(&ends, direction)?;
        if let Some(flow) = self.live(&ends) {
            let over = matches!(&flow.phase, Phase::Live(talk) if talk.is_finished());
            if !over && flow.began != direction {
                return Err((Reason::NoState, Which::new()));
            }
            if !over && matches!(flow.phase, Phase::Live(_)) {
                return Ok((Reason::Established, leave.rules));
            }
            self.flows.remove(&ends);
        }
        self.begin(ends, direction, leave)
    }

    /// Any segment but a SYN, of a connection that is known.
    fn goes_on(
        &mut self,
        ends: Ends,
        mut flow: Flow,
        direction: Direction,
        segment: Segment,
    ) -> Result<Judged, Judged> {
        let Segment { flags, sequence, acknowledgment } = segment;
        let answers = direction != flow.began;
        let rules = flow.rules.clone();
        let passes = Ok((Reason::Established, rules));
        let refused = Err((Reason::NoState, Which::new()));
        match &mut flow.phase {
            Phase::Live(talk) => talk.hears(direction, flags, sequence, acknowledgment),
            Phase::Met { .. } if flags & flag::RST != 0 => return passes,
            Phase::Met { .. } if flags & flag::SYN != 0 => return refused,
            Phase::Met { by, talk } => {
                talk.hears(direction, flags, sequence, acknowledgment);
                if *by == direction {
                    // One end alone does not keep it.
                    self.flows.insert(ends, flow);
                    return passes;
                }
                flow.phase = Phase::Live(talk.clone());
            }
            Phase::Asked | Phase::Offered { .. } if answers && flags & flag::SYN != 0 => {
                flow.phase = Phase::Offered { expects: sequence.wrapping_add(1), accepts: acknowledgment };
            }
            // A refusal, which the caller believes or not.
            Phase::Asked | Phase::Offered { .. } if flags & flag::RST != 0 => return passes,
            Phase::Offered { .. } if answers => return passes,
            Phase::Offered { expects, accepts } => {
                // Only who has seen the SYN-ACK can acknowledge it.
                if flags & flag::SYN != 0 || acknowledgment.wrapping_sub(*expects) > EARLY {
                    return refused;
                }
                let mut talk = Talk::default();
                talk.accepts.set(direction.opposite(), *accepts);
                talk.hears(direction, flags, sequence, acknowledgment);
                flow.phase = Phase::Live(talk);
            }
            Phase::Asked => return refused,
        }
        flow.seen = self.now;
        self.flows.insert(ends, flow);
        passes
    }

    /// In the window after the first enforcement a connection is taken as it is, if it could have begun. The other end
    /// has to go on with it before it is one.
    fn adopt(&mut self, ends: Ends, direction: Direction, segment: Segment) -> Result<Judged, Judged> {
        let Segment { flags, sequence, acknowledgment } = segment;
        let refused = (Reason::NoState, Which::new());
        if flags & (flag::SYN | flag::RST) != 0 || self.now >= self.adopts_until {
            return Err(refused);
        }
        let began = Direction::ALL
            .into_iter()
            .find_map(|began| self.ask(&ends, began).ok().map(|leave| (began, leave)));
        let (began, leave) = began.ok_or(refused)?;
        self.rules.ends(ends.local.0, ends.remote.0, direction, &leave.rules)?;
        let mut talk = Talk::default();
        talk.hears(direction, flags, sequence, acknowledgment);
        let (policy, rules) = (self.holds(&leave), leave.rules);
        let phase = Phase::Met { by: direction, talk };
        let flow = Flow { began, rules: rules.clone(), policy, seen: self.now, phase };
        self.flows.insert(ends, flow);
        Ok((Reason::Adopted, rules))
    }

    fn live(&self, ends: &Ends) -> Option<&Flow> {
        self.flows.get(ends).filter(|flow| flow.lives(ends.protocol, &self.limits, self.now))
    }

    /// A flow that lives; one that an older policy let begin is asked for again.
    fn judged_again(&mut self, ends: &Ends) -> Result<Option<Flow>, Judged> {
        let Some(mut flow) = self.live(ends).cloned() else { return Ok(None) };
        if flow.policy != self.policy {
            match self.ask(ends, flow.began) {
                Ok(leave) => {
                    flow.policy = self.holds(&leave);
                    flow.rules = leave.rules;
                }
                Err(refused) => {
                    self.flows.remove(ends);
                    return Err(refused);
                }
            }
        }
        Ok(Some(flow))
    }

    /// What the rules say of a flow that begins in `began`.
    fn ask(&self, ends: &Ends, began: Direction) -> Result<Leave, Judged> {
        self.rules.allow(wish(ends, began), |port| self.is_controlled(ends, began, port))
    }

    /// The policy under which a verdict holds for the packets that follow: what hangs on another flow is asked for
    /// again with each one.
    fn holds(&self, leave: &Leave) -> u64 {
        if leave.manner == Manner::Beside { 0 } else { self.policy }
    }

    /// Whether a connection to `port` of the end that begins lives, between the same two hosts.
    fn is_controlled(&self, data: &Ends, began: Direction, port: u16) -> bool {
        self.flows.iter().any(|(ends, flow)| {
            let (server, client) = match began {
                Direction::Ingress => (ends.remote.1, ends.local.1),
                Direction::Egress => (ends.local.1, ends.remote.1),
            };
            ends.protocol == TCP
                && (ends.local.0, ends.remote.0) == (data.local.0, data.remote.0)
                && (server, client != 0) == (port, true)
                // The client has called.
                && flow.began != began
                && matches!(&flow.phase, Phase::Live(talk) if !talk.is_closing())
                && flow.lives(TCP, &self.limits, self.now)
        })
    }

    fn allow(&self, ends: &Ends, direction: Direction) -> Result<Leave, Judged> {
        let numbered = [TCP, UDP, ICMP, ICMPV6, IGMP].contains(&ends.protocol);
        self.ask(ends, direction).map_err(|(reason, rules)| {
            // What has no port is named for what it is.
            let unnamed = reason == Reason::NoRule && !numbered;
            (if unnamed { Reason::Protocol } else { reason }, rules)
        })
    }

    /// A packet to many begins nothing: who answers is not known.
    fn begin(&mut self, ends: Ends, began: Direction, leave: Leave) -> Result<Judged, Judged> {
        let (local, remote) = (ends.local.0, ends.remote.0);
        let reason = match leave.manner {
            Manner::ToMany => {
                self.rules.sender(local, remote, began)?;
                return Ok((Reason::Rule, leave.rules));
            }
            Manner::Begins => Reason::Rule,
            Manner::Beside => Reason::Related,
        };
        self.rules.ends(local, remote, began, &leave.rules)?;
        let policy = self.holds(&leave);
        let rules = leave.rules.clone();
        self.flows.insert(ends, Flow { began, rules, policy, seen: self.now, phase: Phase::Asked });
        Ok((reason, leave.rules))
    }
}

/// What of a TCP header a connection goes by.
#[derive(Clone, Copy)]
struct Segment {
    flags: u8,
    sequence: u32,
    acknowledgment: u32,
}

fn ends(packet: &Packet, direction: Direction, [source, destination]: [u16; 2]) -> Ends {
    let (source, destination) = ((packet.source, source), (packet.destination, destination));
    let (local, remote) = match direction {
        Direction::Ingress => (destination, source),
        Direction::Egress => (source, destination),
    };
    Ends { local, remote, protocol: packet.protocol, asked: None }
}

fn echo(packet: &Packet, direction: Direction, id: u16, asks: Direction) -> Ends {
    let Ends { local, remote, protocol, asked: _ } = ends(packet, direction, [0, 0]);
    Ends { local: (local.0, id), remote, protocol, asked: Some(asks) }
}

/// What the first packet of a flow asked for.
fn wish(ends: &Ends, began: Direction) -> Wish {
    let (port, source_port) = match began {
        Direction::Ingress => (ends.local.1, ends.remote.1),
        Direction::Egress => (ends.remote.1, ends.local.1),
    };
    let number = match ends.protocol {
        TCP | UDP => port,
        ICMP => 8,
        ICMPV6 => 128,
        _ => 0,
    };
    let (local, remote) = (ends.local.0, ends.remote.0);
    Wish { direction: began, protocol: ends.protocol, number, source_port, local, remote }
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

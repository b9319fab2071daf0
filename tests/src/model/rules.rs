//! The policy as a list, read from top to bottom for every packet.

use std::{collections::BTreeSet, net::IpAddr};

use ipnet::IpNet;
use portreeve::policy::{
    Policy,
    rule::{Local, Peers, Rule, Service},
};
use portreeve_common::{Direction, Reason};

use super::{
    dissect::{ICMP, ICMPV6, IGMP, TCP, UDP},
    names::Peer,
};
use crate::policy::HERE;

/// What a first packet asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) direction: Direction,
    pub(super) protocol: u8,
    /// Destination port, or type of ICMP and IGMP; 0 where there is neither.
    pub(super) number: u16,
    pub(super) source_port: u16,
    pub(super) local: IpAddr,
    pub(super) remote: IpAddr,
}

/// Rules in order, and the host's own addresses.
#[derive(Debug)]
pub(super) struct Rules {
    rules: Vec<Rule>,
    own: Vec<IpAddr>,
    broadcast: Vec<IpAddr>,
    /// Names and wildcards whose addresses have to be learned.
    patterns: BTreeSet<String>,
}

/// Positions in the list: those that allow a packet, or those that would allow another peer.
pub(super) type Which = Vec<usize>;

/// How a packet is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leave {
    pub(super) rules: Which,
    pub(super) manner: Manner,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// To begin a flow.
    Begins,
    /// To many hosts: no flow begins.
    ToMany,
    /// As long as another flow lives.
    Beside,
}

/// What a rule looks at besides the peer: to whom, the source port, the control port, and the interfaces.
type Looks<'r> = (Local, Option<u16>, Option<u16>, &'r [String]);

impl Rules {
    pub(super) fn new(policy: &Policy, protected: &[IpNet]) -> Self {
        let own = protected.iter().map(IpNet::addr).collect();
        let directed = protected.iter().filter_map(|net| match net {
            IpNet::V4(net) if net.prefix_len() < 31 => Some(IpAddr::from(net.broadcast())),
            IpNet::V4(_) | IpNet::V6(_) => None,
        });
        let broadcast = directed.chain([[255; 4].into()]).collect();
        let stated = policy.rules.iter().flat_map(|rule| names(rule).iter());
        let patterns = stated.filter(|name| !policy.host.names.contains_key(*name)).cloned().collect();
        Self { rules: policy.rules.clone(), own, broadcast, patterns }
    }

    pub(super) fn name(&self, at: usize) -> String {
        self.rules[at].flow.clone()
    }

    /// Names and wildcards whose addresses have to be learned.
    pub(super) const fn patterns(&self) -> &BTreeSet<String> {
        &self.patterns
    }

    /// Whether what passes by one of these rules goes to a resolver or comes from it, and there are names to learn of.
    pub(super) fn hears(&self, rules: &Which) -> bool {
        !self.patterns.is_empty() && rules.iter().any(|at| is_for_resolvers(&self.rules[*at]))
    }

    /// How it is allowed. `controlled`: whether a flow to this port lives beside it; `learned`: the patterns that the peer's
    /// names belonged to.
    ///
    /// # Errors
    /// `no-rule`; `wrong-peer`, with the rules for others; or `no-state` where the other flow is missing.
    pub(super) fn allow(
        &self,
        wish: Wish,
        controlled: impl Fn(u16) -> bool,
        learned: &[&str],
        peer: Peer,
    ) -> Result<Leave, (Reason, Which)> {
        let about: Which = (0..self.rules.len()).filter(|at| is_about(&self.rules[*at], wish)).collect();
        let particular = about.iter().any(|at| looks(&self.rules[*at]) != PLAIN);
        let fits = |at: &usize| !particular || self.fits(looks(&self.rules[*at]), wish);
        let fitting: Which = about.into_iter().filter(fits).collect();
        let mut manners: Vec<Looks<'_>> = Vec::new();
        for at in &fitting {
            let looks = looks(&self.rules[*at]);
            if !manners.contains(&looks) {
                manners.push(looks);
            }
        }
        // Whatever looks at more than the peer is asked first.
        manners.sort_by_key(|looks| *looks == PLAIN);
        let mut refused = None;
        for manner in manners {
            let same = fitting.iter().copied().filter(|at| looks(&self.rules[*at]) == manner);
            let rules: Which =
                same.filter(|at| self.admits(&self.rules[*at], wish.remote, learned)).collect();
            match (rules.is_empty(), manner) {
                (true, _) => {}
                (false, (_, _, _, on)) if peer == Peer::New && is_elsewhere(on) => {
                    refused = refused.or(Some((Reason::WrongInterface, rules)));
                }
                (false, (_, _, Some(port), _)) if !controlled(port) => {
                    refused = refused.or(Some((Reason::NoState, Which::new())));
                }
                (false, (_, _, Some(_), _)) => return Ok(Leave { rules, manner: Manner::Beside }),
                (false, (Local::Own, _, None, _)) => return Ok(Leave { rules, manner: Manner::Begins }),
                (false, (Local::Group(_) | Local::Broadcast, _, None, _)) => {
                    return Ok(Leave { rules, manner: Manner::ToMany });
                }
            }
        }
        Err(match (refused, fitting.is_empty()) {
            (Some(refused), _) => refused,
            (None, true) => (Reason::NoRule, Which::new()),
            (None, false) => (Reason::WrongPeer, fitting),
        })
    }

    /// A name that no rule wants any more says nothing.
    fn admits(&self, rule: &Rule, remote: IpAddr, learned: &[&str]) -> bool {
        let by_name = || {
            let wanted = learned.iter().filter(|pattern| self.patterns.contains(**pattern));
            wanted
                .into_iter()
                .any(|pattern| names(rule).iter().any(|name| name == pattern || is_below(pattern, name)))
        };
        match &rule.peers {
            _ if is_for_anybody(rule) => true,
            Peers::Any => true,
            Peers::Listed { prefixes, names: _ } => {
                prefixes.iter().any(|net| net.contains(&remote)) || by_name()
            }
        }
    }

    fn fits(&self, (local, source, _, _): Looks<'_>, wish: Wish) -> bool {
        let destination = match wish.direction {
            Direction::Ingress => wish.local,
            Direction::Egress => wish.remote,
        };
        let to = match local {
            Local::Own => !self.is_to_many(destination),
            Local::Broadcast => self.broadcast.contains(&destination),
            Local::Group(group) => group == destination,
        };
        to && source.is_none_or(|port| port == wish.source_port)
    }

    fn is_to_many(&self, address: IpAddr) -> bool {
        address.is_multicast() || self.broadcast.contains(&address)
    }

    /// Between this host and another one: what else could be meant is no flow of its own.
    ///
    /// # Errors
    /// `wrong-peer` for what goes to many and whose rule does not say so, `martian` or `not-local`.
    pub(super) fn ends(
        &self,
        local: IpAddr,
        remote: IpAddr,
        direction: Direction,
        rules: &Which,
    ) -> Result<(), (Reason, Which)> {
        let many = self.is_to_many(remote);
        if many && direction == Direction::Egress {
            return Err((Reason::WrongPeer, rules.clone()));
        }
        if many || is_nobody(remote) || self.own.contains(&remote) {
            return Err((Reason::Martian, Which::new()));
        }
        if self.own.contains(&local) { Ok(()) } else { Err((Reason::NotLocal, Which::new())) }
    }

    /// Who may send to many.
    ///
    /// # Errors
    /// `martian` or `not-local`.
    pub(super) fn sender(
        &self,
        local: IpAddr,
        remote: IpAddr,
        direction: Direction,
    ) -> Result<(), (Reason, Which)> {
        let (right, refusal) = match direction {
            Direction::Ingress => (
                !self.is_to_many(remote) && !is_nobody(remote) && !self.own.contains(&remote),
                Reason::Martian,
            ),
            Direction::Egress => (self.own.contains(&local), Reason::NotLocal),
        };
        if right { Ok(()) } else { Err((refusal, Which::new())) }
    }

    /// Whether it is an address of this host.
    pub(super) fn is_own(&self, address: IpAddr) -> bool {
        self.own.contains(&address)
    }

    /// Whether anything on this host needs IGMP.
    pub(super) fn needs_igmp(&self) -> bool {
        let group = |rule: &Rule| matches!(rule.local, Local::Group(group) if group.is_ipv4());
        self.rules.iter().any(|rule| group(rule) || rule.service == Service::Igmp)
    }

    /// Whether a rule names the group.
    pub(super) fn is_group(&self, address: IpAddr) -> bool {
        self.rules.iter().any(|rule| rule.local == Local::Group(address))
    }
}

const PLAIN: Looks<'static> = (Local::Own, None, None, &[]);

fn looks(rule: &Rule) -> Looks<'_> {
    // To whom IGMP may go is no matter of single rules.
    let local = if rule.service == Service::Igmp { Local::Own } else { rule.local };
    let interfaces = if rule.service == Service::Igmp { &[] } else { rule.interfaces.as_slice() };
    (local, rule.service.ports().and_then(|ports| ports.source), rule.control_port, interfaces)
}

/// Never the address of another host.
fn is_nobody(address: IpAddr) -> bool {
    let unset = match address {
        IpAddr::V4(address) => address.octets()[0] == 0,
        IpAddr::V6(address) => address.is_unspecified(),
    };
    unset || address.is_loopback() || address == IpAddr::from([255; 4])
}

/// Whether a rule is about such packets, whoever the ends are.
fn is_about(rule: &Rule, wish: Wish) -> bool {
    if rule.direction != wish.direction {
        return false;
    }
    let in_ports = |ports: &portreeve::policy::rule::Ports| {
        ports.destination.iter().any(|range| range.contains(&wish.number))
    };
    match &rule.service {
        Service::Tcp(ports) => wish.protocol == TCP && in_ports(ports),
        Service::Udp(ports) => wish.protocol == UDP && in_ports(ports),
        Service::Echo => {
            let echo = matches!((wish.protocol, wish.number), (ICMP, 8) | (ICMPV6, 128));
            echo && has_family(rule, wish.protocol == ICMP)
        }
        Service::Igmp => {
            let kinds: &[u16] =
                if wish.direction == Direction::Ingress { &[0x11] } else { &[0x12, 0x16, 0x17, 0x22] };
            wish.protocol == IGMP && kinds.contains(&wish.number) && has_family(rule, true)
        }
        Service::Protocol(number) => wish.protocol == *number && wish.number == 0,
    }
}

/// What this host sends to many reaches whoever listens.
fn is_for_anybody(rule: &Rule) -> bool {
    rule.peers == Peers::Any || (rule.direction == Direction::Egress && rule.local != Local::Own)
}

/// A rule for peers of one family says nothing of a protocol of the other.
fn has_family(rule: &Rule, v4: bool) -> bool {
    match &rule.peers {
        _ if is_for_anybody(rule) => true,
        Peers::Any => true,
        Peers::Listed { prefixes, names } => {
            !names.is_empty() || prefixes.iter().any(|net| net.addr().is_ipv4() == v4)
        }
    }
}

/// The names and wildcards that a rule is for.
fn names(rule: &Rule) -> &[String] {
    match &rule.peers {
        Peers::Any => &[],
        Peers::Listed { prefixes: _, names } => names,
    }
}

/// Whether a name, or all that a wildcard is for, lies below another wildcard's name: not at it, and at a label's boundary.
pub(super) fn is_below(name: &str, wildcard: &str) -> bool {
    wildcard
        .strip_prefix('*')
        .is_some_and(|end| name != wildcard && name.len() > end.len() && name.ends_with(end))
}

/// A flow begins by the interfaces that its rule names, where it names some.
fn is_elsewhere(interfaces: &[String]) -> bool {
    !interfaces.is_empty() && !interfaces.iter().any(|name| name == HERE)
}

/// Questions go out to port 53 and no other, to resolvers that are listed by address.
fn is_for_resolvers(rule: &Rule) -> bool {
    let (Service::Tcp(ports) | Service::Udp(ports)) = &rule.service else { return false };
    let listed = match &rule.peers {
        Peers::Any => false,
        Peers::Listed { prefixes, names } => {
            let hosts = prefixes.iter().all(|net| net.hosts().nth(1).is_none());
            hosts && !prefixes.is_empty() && names.is_empty()
        }
    };
    let out = rule.direction == Direction::Egress && rule.local == Local::Own;
    out && listed && ports.destination == [53..=53]
}

//! The flow that comes closest to a packet, and the one thing in which it differs.

use std::net::{IpAddr, Ipv4Addr};

use portreeve_common::{Direction, class::RuleId, number::protocol};
use serde::Serialize;

use super::packet::Packet;
use crate::{
    image::{Image, closed, known_addresses},
    policy::{
        Dormant, Off, Policy,
        rule::{Local, Origin, Peers, Rule, Service},
    },
};

/// The one thing in which a flow differs from a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Differs {
    /// The address of a name.
    Known,
    /// The flow beside which it passes.
    Beside,
    /// The interface.
    Interface,
    /// The remote end.
    Peer,
    /// The flow is off: an option has another value.
    Option,
    /// The flow is off: this version of the product doesn't have it.
    Version,
    /// The flow is off: its last day has passed.
    Expired,
    /// Who begins.
    Direction,
    /// TCP, UDP, or another.
    Protocol,
    /// The destination port.
    Port,
}

/// A flow that would let the packet pass, but for one thing.
#[derive(Debug, Serialize)]
pub(super) struct Nearest<'p> {
    /// The flow's stable id.
    pub(super) flow: &'p str,
    /// The role that brought it, or `site`.
    pub(super) role: &'p str,
    /// Where it is written.
    pub(super) source: &'p Origin,
    /// What is different.
    pub(super) differs: Differs,
    /// The same in words.
    pub(super) detail: String,
}

/// `hinted`: the rule that a verdict of `wrong-peer` names.
pub(super) fn nearest<'p>(
    packet: &Packet,
    policy: &'p Policy,
    image: &Image,
    hinted: Option<RuleId>,
) -> Option<Nearest<'p>> {
    let hinted = hinted.and_then(|slot| image.flow(slot)).map(|flow| flow.flow.as_str());
    let active = policy.rules.iter().filter_map(|rule| {
        let (matches, why) = (Matches::of(packet, rule, policy), closed(rule, policy));
        let (differs, distance, detail) = compare(packet, rule, &matches, why.as_deref())?;
        let hint = hinted == Some(rule.flow.as_str());
        let nearest = Nearest { flow: &rule.flow, role: &rule.role, source: &rule.origin, differs, detail };
        Some(((differs, !hint, distance), nearest))
    });
    let dormant = policy.dormant.iter().filter_map(|flow| asleep(packet, policy, flow));
    active.chain(dormant).min_by_key(|(rank, _)| *rank).map(|(_, nearest)| nearest)
}

/// A flow that is off, if that is all that keeps the packet out. Whom it is for counts where somebody is named.
fn asleep<'p>(packet: &Packet, policy: &Policy, flow: &'p Dormant) -> Option<(Rank, Nearest<'p>)> {
    let named = flow.peers.as_ref().is_none_or(|peers| is_among(packet, peers, policy));
    let meant = flow.direction == packet.direction
        && is_of(packet, &flow.service)
        && has_port(packet, &flow.service)
        && named;
    let differs = match flow.off {
        Off::Peer => Differs::Peer,
        Off::Option => Differs::Option,
        Off::Version => Differs::Version,
        Off::Expired => Differs::Expired,
    };
    let detail = format!("it is off: {}", flow.why);
    let nearest = Nearest { flow: &flow.flow, role: &flow.role, source: &flow.origin, differs, detail };
    meant.then_some(((differs, true, 0), nearest))
}

/// The rule of a flow that lets a packet pass: a flow may have several.
pub(super) fn passes_by<'p>(packet: &Packet, policy: &'p Policy, flow: &str) -> Option<&'p Rule> {
    let mut rules = policy.rules.iter().filter(|rule| rule.flow == flow);
    // Whether an address is a directed broadcast, the tables know and the rules don't.
    rules.clone().find(|rule| Matches::of(packet, rule, policy).all()).or_else(|| rules.next())
}

/// What differs, whether the verdict doesn't name the flow, and how far the port is off.
type Rank = (Differs, bool, u16);

/// Which parts of a rule a packet has.
struct Matches {
    direction: bool,
    peer: bool,
    protocol: bool,
    port: bool,
    interface: bool,
}

impl Matches {
    fn of(packet: &Packet, rule: &Rule, policy: &Policy) -> Self {
        Self {
            direction: rule.direction == packet.direction,
            peer: is_between(packet, rule, policy),
            protocol: is_of(packet, &rule.service),
            port: has_port(packet, &rule.service),
            interface: packet.interface.as_ref().is_none_or(|name| begins_on(name, rule)),
        }
    }

    const fn all(&self) -> bool {
        let Self { direction, peer, protocol, port, interface } = *self;
        direction && peer && protocol && port && interface
    }
}

/// What is different and by how much, if it is exactly one thing.
fn compare(
    packet: &Packet,
    rule: &Rule,
    matches: &Matches,
    closed: Option<&str>,
) -> Option<(Differs, u16, String)> {
    let Matches { direction, peer, protocol: of_protocol, port, interface } = *matches;
    let service = &rule.service;
    if !interface {
        let detail = format!("it begins on {} only", rule.interfaces.join(", "));
        return (direction && peer && of_protocol && port).then_some((Differs::Interface, 0, detail));
    }
    match (direction, peer, of_protocol, port) {
        (true, true, true, true) => {
            closed.map(|why| (Differs::Known, 0, format!("{why} yet"))).or_else(|| {
                let port = rule.control_port?;
                Some((
                    Differs::Beside,
                    0,
                    format!("it passes only beside a live flow to port {port} between the two"),
                ))
            })
        }
        (true, false, true, true) => {
            let to = match rule.local {
                Local::Own => rule.peers.to_string(),
                Local::Group(_) | Local::Broadcast => rule.local.to_string(),
            };
            let unknown = closed.map_or_else(String::new, |why| format!("; {why}"));
            // A rule for groups comes closer to a packet for one than a rule for hosts does.
            let (_, destination) = packet.ends();
            let other_kind = (rule.local != Local::Own) != is_group(&destination);
            let detail = format!("it is for {to}, not for {}{unknown}", packet.remote);
            Some((Differs::Peer, other_kind.into(), detail))
        }
        (false, true, true, true) => Some((Differs::Direction, 0, begins(rule.direction))),
        (true, true, false, true) if packet.has_ports() && service.ports().is_some() => {
            let other = if packet.protocol == protocol::TCP { "tcp" } else { "udp" };
            Some((Differs::Protocol, 0, format!("it is for {service}, not for {other}")))
        }
        (true, true, true, false) => {
            let detail = format!("it is for {service}, not for port {}", packet.port);
            Some((Differs::Port, distance(packet.port, service), detail))
        }
        _ => None,
    }
}

fn begins_on(interface: &String, rule: &Rule) -> bool {
    rule.interfaces.is_empty() || rule.interfaces.contains(interface)
}

fn begins(direction: Direction) -> String {
    match direction {
        Direction::Ingress => "it is ingress: the remote end begins it, not this host".into(),
        Direction::Egress => "it is egress: this host begins it, not the remote end".into(),
    }
}

/// Whether the rule is about these two ends; a group and its senders are one.
fn is_between(packet: &Packet, rule: &Rule, policy: &Policy) -> bool {
    let (_, destination) = packet.ends();
    let addressed = match rule.local {
        Local::Own => !is_group(&destination),
        Local::Group(group) => destination == group,
        Local::Broadcast => destination == IpAddr::V4(Ipv4Addr::BROADCAST),
    };
    addressed && is_among(packet, &rule.peers, policy)
}

fn is_among(packet: &Packet, peers: &Peers, policy: &Policy) -> bool {
    let known = || known_addresses(peers, &policy.host.names);
    *peers == Peers::Any || known().iter().any(|net| net.contains(&packet.remote))
}

fn is_group(address: &IpAddr) -> bool {
    address.is_multicast() || *address == IpAddr::V4(Ipv4Addr::BROADCAST)
}

fn is_of(packet: &Packet, service: &Service) -> bool {
    match service {
        Service::Tcp(_) => packet.protocol == protocol::TCP,
        Service::Udp(_) => packet.protocol == protocol::UDP,
        Service::Echo => matches!(packet.protocol, protocol::ICMP | protocol::ICMPV6),
        Service::Igmp => packet.protocol == protocol::IGMP,
        Service::Protocol(number) => packet.protocol == *number,
    }
}

/// Services without ports have whatever a packet asks for.
fn has_port(packet: &Packet, service: &Service) -> bool {
    service.ports().is_none_or(|ports| {
        let from = ports.source.is_none_or(|source| source == packet.source_port);
        from && ports.destination.iter().any(|range| range.contains(&packet.port))
    })
}

fn distance(port: u16, service: &Service) -> u16 {
    let ranges = service.ports().map(|ports| ports.destination.as_slice()).unwrap_or_default();
    let to = |end: u16| end.abs_diff(port);
    ranges.iter().map(|range| to(*range.start()).min(to(*range.end()))).min().unwrap_or_default()
}

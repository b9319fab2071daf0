//! What one host's policy sends to another host of its site, whose policy does not accept it.

use std::{net::IpAddr, ops::RangeInclusive};

use ipnet::IpNet;
use portreeve_common::Direction;

use super::{Site, SiteHost};
use crate::{
    image::known_addresses,
    policy::{
        Rule,
        ports::PortSet,
        rule::{Local, Peers, Ports, Service},
    },
};

/// A flow that one end sends and the other end doesn't accept.
#[derive(Debug)]
pub struct Unaccepted<'s> {
    /// Who sends.
    pub from: &'s SiteHost,
    /// Who would have to accept.
    pub to: &'s SiteHost,
    /// By which rule of the sender.
    pub rule: &'s Rule,
    /// What is not accepted of its service.
    pub service: Service,
    /// The address of the other end, in the sender's policy.
    pub address: IpAddr,
    /// The flow of the other end that comes closest, and why it doesn't accept this.
    pub nearest: Option<Nearest<'s>>,
}

/// A flow of the other end.
#[derive(Debug)]
pub struct Nearest<'s> {
    /// Its id.
    pub flow: &'s str,
    /// What keeps it from accepting.
    pub because: String,
}

/// Every flow that a host of the site sends to another one that does not accept it, in the order of the site file.
///
/// A host that a policy names by its address has to accept. Of the hosts within a wider prefix one has to: a
/// network of time servers may hold other hosts too. Flows to anyone, to groups and to broadcast name no other end.
#[must_use]
pub fn unaccepted(site: &Site) -> Vec<Unaccepted<'_>> {
    let mut found = Vec::new();
    for from in &site.hosts {
        let sent = from.policy.rules.iter();
        for rule in sent.filter(|rule| rule.direction == Direction::Egress && rule.local == Local::Own) {
            let Peers::Listed { .. } = rule.peers else { continue };
            for net in known_addresses(&rule.peers, &from.policy.host.names).0 {
                found.extend(refused(site, from, rule, &net));
            }
        }
    }
    found
}

/// Those within the prefix that don't accept; nobody where the prefix is a network, and somebody in it does.
fn refused<'s>(site: &'s Site, from: &'s SiteHost, rule: &'s Rule, net: &IpNet) -> Vec<Unaccepted<'s>> {
    let others = || site.hosts.iter().filter(|to| !std::ptr::eq(*to, from));
    let ends = others().flat_map(|to| to.addresses.iter().map(move |address| (to, *address)));
    let ends: Vec<_> = ends.filter(|(_, address)| net.contains(address)).collect();
    let judged = ends.iter().map(|(to, address)| (*to, *address, missing(from, rule, to, *address)));
    let judged: Vec<_> = judged.collect();
    let network = net.prefix_len() < net.max_prefix_len();
    if network && judged.iter().any(|(_, _, missing)| missing.is_none()) {
        return Vec::new();
    }
    let refused = judged.into_iter().filter_map(|(to, address, missing)| {
        let service = missing?;
        let nearest = nearest(from, &service, to, address);
        Some(Unaccepted { from, to, rule, service, address, nearest })
    });
    refused.collect()
}

/// What the other end doesn't accept of a rule's service.
fn missing(from: &SiteHost, rule: &Rule, to: &SiteHost, address: IpAddr) -> Option<Service> {
    let accepting = || {
        let accepted = to.policy.rules.iter().filter(|accepted| accepted.direction == Direction::Ingress);
        let own = accepted.filter(|accepted| accepted.local == Local::Own);
        own.filter(|accepted| takes(&accepted.peers, to, from, address))
    };
    let left = |sent: &Ports, of: fn(&Service) -> Option<&Ports>| {
        let from_port = |ports: &&Ports| ports.source.is_none() || ports.source == sent.source;
        let ranges = accepting().filter_map(|rule| of(&rule.service)).filter(from_port);
        let accepted = PortSet::new(ranges.flat_map(|ports| ports.destination.clone()).collect());
        let destination = without(&sent.destination, accepted.ranges());
        (!destination.is_empty()).then_some(Ports { destination, source: sent.source })
    };
    match &rule.service {
        Service::Tcp(sent) => left(sent, tcp).map(Service::Tcp),
        Service::Udp(sent) => left(sent, udp).map(Service::Udp),
        other @ (Service::Echo | Service::Igmp | Service::Protocol(_)) => {
            (!accepting().any(|accepted| accepted.service == *other)).then(|| other.clone())
        }
    }
}

/// Whether any address that the sender may use is one that these peers cover.
fn takes(peers: &Peers, to: &SiteHost, from: &SiteHost, address: IpAddr) -> bool {
    let known = || known_addresses(peers, &to.policy.host.names).0;
    let same_family = |own: &&IpAddr| own.is_ipv4() == address.is_ipv4();
    let mut own = from.addresses.iter().filter(same_family);
    *peers == Peers::Any || own.any(|own| known().iter().any(|net| net.contains(own)))
}

const fn tcp(service: &Service) -> Option<&Ports> {
    match service {
        Service::Tcp(ports) => Some(ports),
        Service::Udp(_) | Service::Echo | Service::Igmp | Service::Protocol(_) => None,
    }
}

const fn udp(service: &Service) -> Option<&Ports> {
    match service {
        Service::Udp(ports) => Some(ports),
        Service::Tcp(_) | Service::Echo | Service::Igmp | Service::Protocol(_) => None,
    }
}

/// The ports of ascending ranges that others, ascending too, don't hold.
fn without(ranges: &[RangeInclusive<u16>], held: &[RangeInclusive<u16>]) -> Vec<RangeInclusive<u16>> {
    let mut left = Vec::new();
    for range in ranges {
        let (mut next, last) = (u32::from(*range.start()), u32::from(*range.end()));
        let over = held.iter().filter(|other| other.start() <= range.end() && other.end() >= range.start());
        for other in over {
            push(&mut left, next, u32::from(*other.start()).saturating_sub(1).min(last));
            next = next.max(u32::from(*other.end()) + 1);
        }
        push(&mut left, next, last);
    }
    left
}

fn push(ranges: &mut Vec<RangeInclusive<u16>>, first: u32, last: u32) {
    if let (Ok(first), Ok(last)) = (u16::try_from(first), u16::try_from(last))
        && first <= last
    {
        ranges.push(first..=last);
    }
}

/// The flow of the other end that is about this service, but for other peers or off.
fn nearest<'s>(from: &SiteHost, service: &Service, to: &'s SiteHost, address: IpAddr) -> Option<Nearest<'s>> {
    let ingress = to.policy.rules.iter().filter(|rule| rule.direction == Direction::Ingress);
    let mut on = ingress.filter(|rule| meets(&rule.service, service) && rule.local == Local::Own);
    if let Some(rule) = on.find(|rule| !takes(&rule.peers, to, from, address)) {
        let senders: Vec<String> = from.addresses.iter().map(ToString::to_string).collect();
        let because = format!("it is for {}, not for {}", rule.peers, senders.join(", "));
        return Some(Nearest { flow: &rule.flow, because });
    }
    let mut off = to.policy.dormant.iter().filter(|flow| flow.direction == Direction::Ingress);
    let flow = off.find(|flow| meets(&flow.service, service))?;
    Some(Nearest { flow: &flow.flow, because: format!("it is off: {}", flow.why) })
}

/// Whether two services have a packet in common.
fn meets(one: &Service, other: &Service) -> bool {
    let overlap = |a: &Ports, b: &Ports| without(&b.destination, &a.destination) != b.destination;
    match (one, other) {
        (Service::Tcp(a), Service::Tcp(b)) | (Service::Udp(a), Service::Udp(b)) => overlap(a, b),
        (Service::Echo, Service::Echo) | (Service::Igmp, Service::Igmp) => true,
        (Service::Protocol(a), Service::Protocol(b)) => a == b,
        (Service::Tcp(_) | Service::Udp(_) | Service::Echo | Service::Igmp | Service::Protocol(_), _) => {
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_ranges() {
        let sent = [80..=80, 8000..=8010];
        assert_eq!(without(&sent, &[]), sent);
        assert_eq!(without(&sent, &[1..=u16::MAX]), []);
        assert_eq!(without(&sent, &[70..=80, 8003..=8004, 8010..=9000]), [8000..=8002, 8005..=8009]);
        assert_eq!(without(&[1..=u16::MAX], &[1..=1, u16::MAX..=u16::MAX]), [2..=u16::MAX - 1]);
    }
}

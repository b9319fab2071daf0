//! Which rules each service has.

use std::{collections::BTreeMap, net::IpAddr, ops::RangeInclusive};

use ipnet::IpNet;
use portreeve_common::{
    Direction, Service,
    number::{icmp, icmpv6, igmp, protocol},
};

use crate::policy::{
    Policy,
    rule::{self, Peers, Rule},
};

/// Ports, and the position of the rule that is about them.
type Range = (RangeInclusive<u16>, usize);

/// Rules by the services that they are about.
pub(super) struct Needs<'a> {
    rules: &'a [Rule],
    /// The peers of each rule.
    peers: Vec<Known>,
    numbered: BTreeMap<Service, Vec<usize>>,
    ranges: BTreeMap<(Direction, u8), Vec<Range>>,
}

/// Services whose numbers follow each other, and their slots too.
pub(super) struct Services {
    pub(super) first: Service,
    last: u16,
}

impl Services {
    const fn one(service: Service) -> Self {
        Self { first: service, last: service.number }
    }

    fn ports(direction: Direction, protocol: u8, ports: RangeInclusive<u16>) -> Self {
        Self { first: Service { direction, protocol, number: *ports.start() }, last: *ports.end() }
    }

    /// Their places in the class table.
    pub(super) const fn slots(&self) -> RangeInclusive<usize> {
        let last = Service { number: self.last, ..self.first };
        self.first.slot() as usize..=last.slot() as usize
    }
}

impl<'a> Needs<'a> {
    pub(super) fn gather(rules: &'a [Rule], names: &BTreeMap<String, Vec<IpAddr>>) -> Self {
        let mut needs = Self {
            rules,
            peers: rules.iter().map(|rule| Known::of(&rule.peers, names)).collect(),
            numbered: BTreeMap::new(),
            ranges: BTreeMap::new(),
        };
        for (at, rule) in rules.iter().enumerate() {
            needs.add(at, rule);
        }
        needs
    }

    fn add(&mut self, at: usize, rule: &Rule) {
        let direction = rule.direction;
        match &rule.service {
            rule::Service::Tcp(ports) => self.add_ports(at, direction, protocol::TCP, ports),
            rule::Service::Udp(ports) => self.add_ports(at, direction, protocol::UDP, ports),
            rule::Service::Echo => {
                self.add_number(at, direction, protocol::ICMP, icmp::ECHO.into());
                self.add_number(at, direction, protocol::ICMPV6, icmpv6::ECHO.into());
            }
            rule::Service::Igmp if direction == Direction::Ingress => {
                self.add_number(at, direction, protocol::IGMP, igmp::QUERY.into());
            }
            rule::Service::Igmp => {
                for kind in igmp::REPORTS {
                    self.add_number(at, direction, protocol::IGMP, kind.into());
                }
            }
            rule::Service::Protocol(protocol) => self.add_number(at, direction, *protocol, 0),
        }
    }

    fn add_ports(&mut self, at: usize, direction: Direction, protocol: u8, ports: &rule::Ports) {
        let ranges = self.ranges.entry((direction, protocol)).or_default();
        ranges.extend(ports.destination.iter().map(|range| (range.clone(), at)));
    }

    fn add_number(&mut self, at: usize, direction: Direction, protocol: u8, number: u16) {
        self.numbered.entry(Service { direction, protocol, number }).or_default().push(at);
    }

    /// Each service that has rules, with the positions of its rules in order.
    pub(super) fn services(&self) -> impl Iterator<Item = (Services, Vec<usize>)> {
        let numbered = self.numbered.iter().map(|(service, rules)| (Services::one(*service), rules.clone()));
        let ports = self.ranges.iter().flat_map(|((direction, protocol), ranges)| {
            let services = |ports| Services::ports(*direction, *protocol, ports);
            pieces(ranges).into_iter().map(move |(ports, rules)| (services(ports), rules))
        });
        numbered.chain(ports)
    }

    pub(super) fn rule(&self, at: usize) -> Option<&'a Rule> {
        self.rules.get(at)
    }

    pub(super) fn peers(&self, at: usize) -> Option<&Known> {
        self.peers.get(at)
    }
}

/// Whom peers are known to be.
#[derive(Default)]
pub(super) struct Known {
    /// Stated prefixes, and addresses of the very names that are stated.
    pub(super) exact: Vec<IpNet>,
    /// Addresses of names below a `*.name`.
    pub(super) below: Vec<IpNet>,
    /// Names and wildcards whose addresses are learned.
    pub(super) learned: Vec<String>,
}

impl Known {
    fn of(peers: &Peers, names: &BTreeMap<String, Vec<IpAddr>>) -> Self {
        let Peers::Listed { prefixes, names: stated } = peers else { return Self::default() };
        let mut known = Self { exact: prefixes.clone(), ..Self::default() };
        for name in stated {
            let addresses = names.iter().filter(|(known, _)| is_meant(name, known)).flat_map(|(_, all)| all);
            let nets = addresses.map(|address| IpNet::from(*address));
            if name.starts_with('*') { known.below.extend(nets) } else { known.exact.extend(nets) }
        }
        known.learned = peers.learned_names(names).map(str::to_owned).collect();
        known
    }
}

/// Names of a rule that nobody gives an address, and that can't be learned since the policy has no resolver.
pub(crate) fn closed(rule: &Rule, policy: &Policy) -> Option<String> {
    let names = &policy.host.names;
    let unknown = |name: &&str| !names.keys().any(|known| is_meant(name, known));
    let unknown: Vec<&str> = rule.peers.learned_names(names).filter(unknown).collect();
    // Most rules have no name: the others are asked for resolvers.
    if unknown.is_empty() || policy.rules.iter().any(Rule::asks_resolvers) {
        return None;
    }
    let names = unknown.join(", ");
    Some(format!(
        "the addresses of {names} are not known, and no resolver is listed by its address to learn them from"
    ))
}

/// Peers' prefixes, with the addresses that their names are known to have.
pub(crate) fn known_addresses(peers: &Peers, names: &BTreeMap<String, Vec<IpAddr>>) -> Vec<IpNet> {
    let Known { exact, below, learned: _ } = Known::of(peers, names);
    [exact, below].concat()
}

/// `*.name` stands for whatever is below it.
pub(crate) fn is_meant(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(suffix) => name.len() > suffix.len() && name.ends_with(suffix),
        None => pattern == name,
    }
}

/// Cuts overlapping ranges where one begins or ends: each piece has one list of rules.
fn pieces(ranges: &[Range]) -> Vec<(RangeInclusive<u16>, Vec<usize>)> {
    let mut cuts: Vec<(u32, bool, usize)> = Vec::with_capacity(ranges.len() * 2);
    for (range, rule) in ranges {
        cuts.push(((*range.start()).into(), true, *rule));
        cuts.push((u32::from(*range.end()) + 1, false, *rule));
    }
    cuts.sort_unstable();
    // In order; a rule whose ranges overlap stands there more than once.
    let mut active: Vec<usize> = Vec::new();
    let mut pieces = Vec::with_capacity(ranges.len());
    let mut from = 0;
    for (at, begins, rule) in cuts {
        if at > from && !active.is_empty() {
            let mut rules = active.clone();
            rules.dedup();
            let port = |at| u16::try_from(at).unwrap_or(u16::MAX);
            pieces.push((port(from)..=port(at - 1), rules));
        }
        from = at;
        let place = active.partition_point(|other| *other < rule);
        if begins {
            active.insert(place, rule);
        } else {
            active.remove(place);
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_where_they_overlap() {
        let ranges = [(10..=20, 0), (15..=15, 1), (20..=u16::MAX, 2), (30..=30, 0)];
        let wanted = [
            (10..=14, vec![0]),
            (15..=15, vec![0, 1]),
            (16..=19, vec![0]),
            (20..=20, vec![0, 2]),
            (21..=29, vec![2]),
            (30..=30, vec![0, 2]),
            (31..=u16::MAX, vec![2]),
        ];
        assert_eq!(pieces(&ranges), wanted);
    }

    #[test]
    fn a_wildcard_stands_for_what_is_below() {
        assert!(is_meant("*.example.com", "api.example.com"));
        assert!(!is_meant("*.example.com", "example.com"));
        assert!(!is_meant("*.example.com", "badexample.com"));
        assert!(is_meant("example.com", "example.com"));
    }
}

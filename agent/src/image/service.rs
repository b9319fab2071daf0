//! Which rules each service has.

use std::{collections::BTreeMap, net::IpAddr, ops::RangeInclusive};

use ipnet::IpNet;
use portreeve_common::{
    Direction, Service,
    number::{icmp, icmpv6, igmp, protocol},
};

use crate::policy::rule::{self, Peers, Rule};

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
            peers: rules.iter().map(|rule| Known::of(rule, names)).collect(),
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

/// Whom a rule's peers are known to be.
#[derive(Default)]
pub(super) struct Known {
    /// Stated prefixes, and addresses of the very names that are stated.
    pub(super) exact: Vec<IpNet>,
    /// Addresses of names below a `*.name`.
    pub(super) below: Vec<IpNet>,
    /// Names of which no address is known: as yet they only say whom a service is for.
    pub(super) unknown: Vec<String>,
}

impl Known {
    fn of(rule: &Rule, names: &BTreeMap<String, Vec<IpAddr>>) -> Self {
        let Peers::Listed { prefixes, names: stated } = &rule.peers else { return Self::default() };
        let mut known = Self { exact: prefixes.clone(), ..Self::default() };
        for name in stated {
            let addresses = names.iter().filter(|(known, _)| is_meant(name, known)).flat_map(|(_, all)| all);
            let nets: Vec<IpNet> = addresses.map(|address| IpNet::from(*address)).collect();
            if nets.is_empty() {
                known.unknown.push(name.clone());
            } else if name.starts_with('*') {
                known.below.extend(nets);
            } else {
                known.exact.extend(nets);
            }
        }
        known
    }
}

/// Why a rule, or a part of it, lets nothing through yet.
pub(crate) fn closed(rule: &Rule, names: &BTreeMap<String, Vec<IpAddr>>) -> Option<String> {
    let Known { exact: _, below: _, unknown } = Known::of(rule, names);
    (!unknown.is_empty()).then(|| format!("the addresses of {} are not known", unknown.join(", ")))
}

/// A rule's prefixes, with the addresses that its names are known to have.
pub(crate) fn known_peers(rule: &Rule, names: &BTreeMap<String, Vec<IpAddr>>) -> Vec<IpNet> {
    let Known { exact, below, unknown: _ } = Known::of(rule, names);
    [exact, below].concat()
}

/// `*.name` stands for whatever is below it.
fn is_meant(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(suffix) => name.len() > suffix.len() && name.ends_with(suffix),
        None => pattern == name,
    }
}

/// Cuts overlapping ranges where one begins or ends: each piece has one list of rules.
fn pieces(ranges: &[Range]) -> Vec<(RangeInclusive<u16>, Vec<usize>)> {
    let mut cuts: BTreeMap<u32, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for (range, rule) in ranges {
        cuts.entry((*range.start()).into()).or_default().0.push(*rule);
        cuts.entry(u32::from(*range.end()) + 1).or_default().1.push(*rule);
    }
    let mut active: BTreeMap<usize, u32> = BTreeMap::new();
    let mut pieces = Vec::new();
    let mut from = 0;
    for (at, (begin, end)) in cuts {
        let last = u16::try_from(at.saturating_sub(1)).unwrap_or(u16::MAX);
        if !active.is_empty() {
            pieces.push((from..=last, active.keys().copied().collect()));
        }
        for rule in begin {
            *active.entry(rule).or_default() += 1;
        }
        for rule in end {
            if let Some(count) = active.get_mut(&rule) {
                *count -= 1;
            }
        }
        active.retain(|_, count| *count > 0);
        from = u16::try_from(at).unwrap_or(u16::MAX);
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

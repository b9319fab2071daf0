//! Which rules each service has.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    ops::RangeInclusive,
};

use ipnet::IpNet;
use portreeve_common::{
    Direction, Service,
    number::{icmp, icmpv6, protocol},
};

use super::Deferred;
use crate::policy::rule::{self, Local, Peers, Rule};

/// IGMP membership query (RFC 2236, RFC 3376).
const IGMP_QUERY: u16 = 0x11;
/// IGMP reports of versions 1, 2 and 3, and the leave.
const IGMP_REPORTS: [u16; 4] = [0x12, 0x16, 0x17, 0x22];

/// Ports, and the position of the rule that is about them.
type Range = (RangeInclusive<u16>, usize);

/// Rules that the tables carry, by the services that they are about.
pub(super) struct Needs<'a> {
    rules: &'a [Rule],
    /// The peers of each rule, names replaced by the addresses that are known.
    prefixes: Vec<Vec<IpNet>>,
    /// Rules with names that are to be learned: for now they only say whom a service is for.
    open: BTreeSet<usize>,
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
    pub(super) fn gather(
        rules: &'a [Rule],
        names: &BTreeMap<String, Vec<IpAddr>>,
        deferred: &mut Vec<Deferred>,
    ) -> Self {
        let mut needs = Self {
            rules,
            prefixes: Vec::with_capacity(rules.len()),
            open: BTreeSet::new(),
            numbered: BTreeMap::new(),
            ranges: BTreeMap::new(),
        };
        for (at, rule) in rules.iter().enumerate() {
            let defer = |why| Deferred { flow: rule.flow.clone(), why };
            let (prefixes, unknown) = known_peers(rule, names);
            needs.prefixes.push(prefixes);
            if let Some(why) = uncarried(rule) {
                deferred.push(defer(why));
                continue;
            }
            if let Some(why) = unresolved(&unknown) {
                needs.open.insert(at);
                deferred.push(defer(why));
            }
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
                self.add_number(at, direction, protocol::IGMP, IGMP_QUERY);
            }
            rule::Service::Igmp => {
                for kind in IGMP_REPORTS {
                    self.add_number(at, direction, protocol::IGMP, kind);
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

    pub(super) fn prefixes(&self, at: usize) -> &[IpNet] {
        self.prefixes.get(at).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether the rule has peers of which no address is known yet.
    pub(super) fn is_open(&self, at: usize) -> bool {
        self.open.contains(&at)
    }
}

/// Why the tables can't carry a rule.
fn uncarried(rule: &Rule) -> Option<String> {
    if let Some(port) = rule.control_port {
        return Some(format!("data connections beside port {port} are not followed"));
    }
    if let Some(port) = rule.service.ports().and_then(|ports| ports.source) {
        return Some(format!("the source port {port} is not looked at"));
    }
    match rule.local {
        Local::Own => None,
        Local::Group(_) | Local::Broadcast => Some(format!("packets to {} are not let through", rule.local)),
    }
}

/// Why a rule, or a part of it, lets nothing through yet.
pub(crate) fn deferred(rule: &Rule, names: &BTreeMap<String, Vec<IpAddr>>) -> Option<String> {
    uncarried(rule).or_else(|| unresolved(&known_peers(rule, names).1))
}

fn unresolved(names: &[String]) -> Option<String> {
    (!names.is_empty()).then(|| format!("the addresses of {} are not known", names.join(", ")))
}

/// A rule's prefixes, with the addresses that its names are known to have; and the names that have none.
pub(crate) fn known_peers(rule: &Rule, known: &BTreeMap<String, Vec<IpAddr>>) -> (Vec<IpNet>, Vec<String>) {
    known_addresses(&rule.peers, known)
}

/// As [`known_peers`], of peers without a rule.
pub(crate) fn known_addresses(
    peers: &Peers,
    known: &BTreeMap<String, Vec<IpAddr>>,
) -> (Vec<IpNet>, Vec<String>) {
    let Peers::Listed { prefixes, names } = peers else { return (Vec::new(), Vec::new()) };
    let (mut prefixes, mut unknown) = (prefixes.clone(), Vec::new());
    for name in names {
        let before = prefixes.len();
        let addresses = known.iter().filter(|(known, _)| is_meant(name, known)).flat_map(|(_, all)| all);
        prefixes.extend(addresses.map(|address| IpNet::from(*address)));
        if prefixes.len() == before {
            unknown.push(name.clone());
        }
    }
    (prefixes, unknown)
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

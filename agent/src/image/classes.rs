//! The class of a service: which rules it has, by manner and by peer.

use std::net::{Ipv4Addr, Ipv6Addr};

use foldhash::{HashMap, HashMapExt as _};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use portreeve_common::{
    Direction,
    class::{Class, RuleId},
    clause::{ANY_INTERFACE, Interfaces},
    number::protocol,
};

use super::{
    ImageError,
    clauses::{Clauses, Manner, by_manner},
    names::{Named, Names},
    observed::Slotted,
    peers::Sets,
    service::{Known, Needs},
};
use crate::policy::rule::{Local, Peers, Rule};

/// What classes are made of.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) ids: &'a [RuleId],
    /// The interfaces of each rule.
    pub(super) bound: &'a [Interfaces],
    pub(super) needs: &'a Needs<'a>,
    pub(super) names: &'a Names,
    pub(super) observed: Slotted<'a>,
}

/// Numbers for the rules that share a service; the same rules get the same number.
pub(super) struct Classes<'a> {
    given: Given<'a>,
    pub(super) sets: Sets,
    pub(super) clauses: Clauses,
    /// By family and positions of the rules.
    known: HashMap<(Families, Vec<usize>), Class>,
}

/// Which peers a service can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Families {
    V4,
    V6,
    Both,
}

impl Families {
    const fn of(number: u8) -> Self {
        match number {
            protocol::ICMP | protocol::IGMP => Self::V4,
            protocol::ICMPV6 => Self::V6,
            _ => Self::Both,
        }
    }

    const fn has(self, net: &IpNet) -> bool {
        match (self, net) {
            (Self::Both, _) | (Self::V4, IpNet::V4(_)) | (Self::V6, IpNet::V6(_)) => true,
            (Self::V4, IpNet::V6(_)) | (Self::V6, IpNet::V4(_)) => false,
        }
    }
}

impl<'a> Classes<'a> {
    /// None yet.
    pub(super) fn new(given: Given<'a>, sets: Sets) -> Self {
        Self { given, sets, clauses: Clauses::default(), known: HashMap::new() }
    }

    pub(super) fn class(&mut self, protocol: u8, rules: Vec<usize>) -> Result<Class, ImageError> {
        let key = (Families::of(protocol), rules);
        if let Some(class) = self.known.get(&key) {
            return Ok(*class);
        }
        let class = self.by_manners(key.0, &key.1)?;
        self.known.insert(key, class);
        Ok(class)
    }

    fn by_manners(&mut self, families: Families, rules: &[usize]) -> Result<Class, ImageError> {
        let Given { needs, bound, observed, .. } = self.given;
        let with_manner = |at: &usize| {
            let (rule, interfaces) = (needs.rule(*at)?, bound.get(*at).copied().unwrap_or(ANY_INTERFACE));
            Some((*at, rule, Manner::of(rule, interfaces)))
        };
        let all = rules.iter().filter_map(with_manner);
        let mut groups = by_manner(all.clone().map(|(at, _, manner)| (at, manner)));
        // As in `by_peers`: an interface does not count for a flow that lives, so one for anybody would hide the resolver.
        let asks = |rules: &[usize]| rules.iter().any(|at| needs.rule(*at).is_some_and(Rule::asks_resolvers));
        groups.sort_by_key(|(_, rules)| !asks(rules));
        let mut manners = Vec::new();
        for (manner, rules) in groups {
            let class = self.by_peers(families, &rules)?;
            if class != Class::NONE {
                manners.push((manner, class));
            }
        }
        let open = observed.tails(all.map(|(_, rule, manner)| (rule, manner)), &manners);
        match (manners.as_slice(), open.as_slice()) {
            ([], []) => Ok(Class::NONE),
            ([(manner, class)], []) if manner.is_plain() => Ok(*class),
            (manners, _) => {
                let clauses = manners.iter().map(|(manner, class)| manner.clause(*class));
                self.clauses.class(clauses.chain(open).collect())
            }
        }
    }

    fn by_peers(&mut self, families: Families, rules: &[usize]) -> Result<Class, ImageError> {
        let Given { ids, needs, names, .. } = self.given;
        let asks = |at: &usize| needs.rule(*at).is_some_and(Rule::asks_resolvers);
        // Answers are believed under a resolver's rule alone: no other one may stand before it, not even one for anybody.
        let mut rules = rules.to_vec();
        rules.sort_by_key(|at| !asks(at));
        let with_ids = || rules.iter().filter_map(|at| Some((*ids.get(*at)?, needs.rule(*at)?)));
        let to_resolvers =
            with_ids().next().is_some_and(|(_, rule)| rule.asks_resolvers() && !is_for_anybody(rule));
        match with_ids().find(|(_, rule)| is_for_anybody(rule)) {
            Some((id, _)) if !to_resolvers => return Ok(Class::anybody(id)),
            Some(_) | None => {}
        }
        let mut members: Vec<RuleId> = Vec::new();
        let (mut prefixes, mut below) = (Vec::new(), Vec::new());
        let mut named = Named::default();
        for (at, (id, rule)) in rules.iter().zip(with_ids()) {
            let Some(Known { exact, below: names_below, learned }) = needs.peers(*at) else { continue };
            let exact = if is_for_anybody(rule) { EVERYBODY.as_slice() } else { exact };
            let of_family = |nets: &[IpNet]| nets.iter().filter(|net| families.has(net)).copied().collect();
            let (exact, names_below): (Vec<IpNet>, Vec<IpNet>) = (of_family(exact), of_family(names_below));
            // A rule whose peers are all of the other family says nothing of this service.
            if exact.is_empty() && names_below.is_empty() && learned.is_empty() {
                continue;
            }
            let member = members.iter().position(|known| *known == id).unwrap_or(members.len());
            if member == members.len() {
                members.push(id);
            }
            let member = u16::try_from(member).map_err(|_too_many| ImageError::Shared)?;
            prefixes.extend(exact.into_iter().map(|net| (net, member)));
            below.extend(names_below.into_iter().map(|net| (net, member)));
            named.add(learned, member);
        }
        // Of equal prefixes the first one holds: an address counts for its own name before one above it.
        prefixes.extend(below);
        if members.is_empty() {
            return Ok(Class::NONE);
        }
        self.sets.class(prefixes, names.members(&named), members)
    }
}

/// Both families, for where anybody is one among others.
const EVERYBODY: [IpNet; 2] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0)),
];

/// Whether the peer is not looked at. What this host sends to many reaches whoever listens.
fn is_for_anybody(rule: &Rule) -> bool {
    rule.peers == Peers::Any || rule.direction == Direction::Egress && rule.local != Local::Own
}

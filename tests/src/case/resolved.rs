//! The names of a case, resolved as its host would: a question to its first resolver, and the answer.

use std::{collections::BTreeMap, net::IpAddr};

use portreeve_common::Direction;

use super::{Host, prior::step};
use crate::{
    answer::{answer, question},
    frame::frame,
    step::Step,
};

/// Source port of the first question.
const FIRST_PORT: u16 = 61_000;
/// Number of every question.
const ID: u16 = 0x2f1a;

/// Two frames for each name and family. A host without a resolver asks nobody.
pub(super) fn steps(host: &Host, resolved: &BTreeMap<String, Vec<IpAddr>>) -> Vec<Step> {
    let resolvers = host.roles.iter().filter_map(|role| role.peers.get("dns_servers"));
    let resolver = resolvers.flatten().find_map(|resolver| resolver.parse::<IpAddr>().ok());
    let own = |resolver: &IpAddr| host.addresses.iter().find(|own| own.is_ipv4() == resolver.is_ipv4());
    let Some((resolver, own)) = resolver.and_then(|resolver| Some((resolver, *own(&resolver)?))) else {
        return Vec::new();
    };
    let mut steps = Vec::new();
    for (port, (name, addresses)) in (FIRST_PORT..).zip(resolved) {
        for v4 in [true, false] {
            let of_family: Vec<IpAddr> = addresses.iter().copied().filter(|ip| ip.is_ipv4() == v4).collect();
            if of_family.is_empty() {
                continue;
            }
            let (here, there) = ((own, port), (resolver, 53));
            let asked = frame().from(here).to(there).udp().payload(question(ID, name, v4));
            let answered = frame().from(there).to(here).udp().payload(answer(ID, name, v4, &of_family));
            steps.push(step(Direction::Egress, asked));
            steps.push(step(Direction::Ingress, answered));
        }
    }
    steps
}

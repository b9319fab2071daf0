//! Traffic that no document explains, with the flow that comes closest.

use portreeve_common::{Direction, Reason, counter::Talker, number::protocol};

use super::{Finding, Kind, Seen};
use crate::{
    control::{PortDrops, PortKey, protocol_name},
    policy::rule::{Peers, Ports, Rule, Service},
};

/// Peers that a finding names.
const NAMED: usize = 3;

/// A finding for each port with drops, the most first.
pub(super) fn findings(rules: &[Rule], seen: &Seen<'_>) -> Vec<Finding> {
    let mut ports: Vec<_> = seen.ports.iter().collect();
    ports.sort_by_key(|(_, drops)| std::cmp::Reverse(drops.dropped + drops.would_drop));
    ports.into_iter().map(|(key, drops)| traffic(rules, *key, *drops, seen)).collect()
}

fn traffic(rules: &[Rule], key: PortKey, drops: PortDrops, seen: &Seen<'_>) -> Finding {
    let talkers: &[Talker] = &seen.talkers;
    let (direction, protocol, port) = key;
    let here = |talker: &&Talker| {
        let key = &talker.key;
        (key.direction(), key.protocol(), key.port()) == (direction, protocol, port)
    };
    let mut peers: Vec<String> = Vec::new();
    for talker in talkers.iter().filter(here) {
        let peer = talker.key.peer();
        let peer = seen.names.get(&peer).map_or_else(|| peer.to_string(), |name| format!("{peer} ({name})"));
        if !peers.contains(&peer) {
            peers.push(peer);
        }
    }
    let more = peers.len().saturating_sub(NAMED);
    peers.truncate(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let side = if direction == Direction::Ingress { "from" } else { "to" };
    let who = if peers.is_empty() { String::new() } else { format!(" {side} {}{more}", peers.join(", ")) };
    let count = match drops {
        PortDrops { dropped, would_drop: 0 } => format!("{dropped} dropped"),
        PortDrops { dropped: 0, would_drop } => format!("{would_drop} would be dropped"),
        PortDrops { dropped, would_drop } => format!("{dropped} dropped, {would_drop} would be dropped"),
    };
    // In observe, what follows an undocumented first packet has no state: the first packet's reason says more.
    let reasons = || talkers.iter().filter(here).filter_map(|talker| talker.key.reason());
    let reason = reasons().find(|reason| *reason != Reason::NoState).or_else(|| reasons().next());
    let why = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    Finding {
        kind: Kind::UndocumentedTraffic,
        subject: format!("{direction} {} {port}", protocol_name(protocol)),
        seen: format!("{count}{who}{why}"),
        expected: nearest(rules, key, reason),
    }
}

/// The documented flow that comes closest, and why it does not match.
fn nearest(rules: &[Rule], (direction, protocol, port): PortKey, reason: Option<Reason>) -> String {
    let same_way = |rule: &&Rule| rule.direction == direction;
    let of_protocol = |rule: &&Rule| ports(&rule.service, protocol).is_some();
    let distance = |rule: &&Rule| {
        let ports = ports(&rule.service, protocol).map(|ports| &ports.destination);
        let ranges = ports.into_iter().flatten();
        let far = |range: &std::ops::RangeInclusive<u16>| {
            range.start().saturating_sub(port).max(port.saturating_sub(*range.end()))
        };
        ranges.map(far).min().unwrap_or(u16::MAX)
    };
    let here = |rule: &&Rule| distance(rule) == 0;
    if let Some(rule) = rules.iter().filter(same_way).filter(of_protocol).find(here) {
        return match (&rule.peers, reason) {
            (Peers::Listed { .. }, Some(Reason::WrongPeer) | None) => {
                format!("{} documents it, but only with {}", rule.flow, rule.peers)
            }
            (Peers::Any | Peers::Listed { .. }, _) => {
                let why = reason.map_or("the packet did not fit", Reason::sentence);
                format!("{} documents it, but: {why}", rule.flow)
            }
        };
    }
    if let Some(rule) = rules.iter().filter(of_protocol).find(here) {
        return format!("{} documents it, but {}", rule.flow, rule.direction);
    }
    if let Some(Reason::NoState) = reason {
        return format!("part of no live flow: {}", Reason::NoState.sentence());
    }
    let nearest = rules.iter().filter(same_way).filter(of_protocol).min_by_key(distance);
    nearest.map_or_else(
        || format!("nothing {direction} over {} is documented", protocol_name(protocol)),
        |rule| format!("nearest is {}: {}, another port", rule.flow, rule.service),
    )
}

const fn ports(service: &Service, number: u8) -> Option<&Ports> {
    match (service, number) {
        (Service::Tcp(ports), protocol::TCP) | (Service::Udp(ports), protocol::UDP) => Some(ports),
        (Service::Tcp(_) | Service::Udp(_) | Service::Echo | Service::Igmp | Service::Protocol(_), _) => None,
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::policy::{self, Catalogue};

    const HOST: &str = r#"
[host]
name = "line4-edge"
[[allow]]
id = "SITE-1"
direction = "ingress"
protocol = "tcp"
port = 443
peers = ["198.51.100.0/24"]
reason = "operators"
"#;

    #[test]
    fn the_nearest_flow_says_why_it_does_not_match() {
        let catalogue = Catalogue::load(None).unwrap();
        let rules = policy::compile("host.toml", HOST, &catalogue, date(2026, 11, 21)).unwrap().rules;
        let asked = |direction, protocol, port, reason| nearest(&rules, (direction, protocol, port), reason);
        let wrong = asked(Direction::Ingress, 6, 443, Some(Reason::WrongPeer));
        assert_eq!(wrong, "SITE-1 documents it, but only with 198.51.100.0/24");
        let other = asked(Direction::Egress, 6, 443, Some(Reason::NoRule));
        assert_eq!(other, "SITE-1 documents it, but ingress");
        let near = asked(Direction::Ingress, 6, 80, Some(Reason::NoRule));
        assert_eq!(near, "nearest is SITE-1: tcp 443, another port");
        assert_eq!(asked(Direction::Ingress, 17, 53, None), "nothing ingress over udp is documented");
        let stray = asked(Direction::Ingress, 6, 443, Some(Reason::NoState));
        assert_eq!(stray, "SITE-1 documents it, but: mid-stream, or a reply without its flow");
    }
}

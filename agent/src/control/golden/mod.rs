//! Golden packets: before a generation becomes current, loaded programs judge packets that its rules are about, and
//! their neighbours; what they say is held against a plain reading of the rules.

mod packet;

use std::{collections::BTreeMap, net::IpAddr, ops::RangeInclusive};

use ipnet::IpNet;
use portreeve_common::{Direction, number::protocol, switch::Posture};

use self::packet::Packet;
use super::{ControlError, opened::Opened};
use crate::{
    datapath::{pins::Hook, traced::Rehearsal},
    image::known_addresses,
    policy::{
        Policy, Rule,
        rule::{Local, Peers, Ports, Service},
    },
};

/// Rules of which packets are made; of more, every n-th.
const MOST: usize = 500;
/// Source port where a rule names none, from the range that systems take theirs from.
const ANY_PORT: u16 = 49_152;
/// Who stands for anybody: nobody has these addresses.
const ANYBODY: [&str; 4] = ["198.51.100.77", "203.0.113.77", "2001:db8:ffff::77", "2001:db8:fffe::77"];
/// Ports that are looked at for one that no rule is about.
const NEAR: u16 = 64;

/// A packet that was judged otherwise than the rules say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The rule that it was made for.
    pub flow: String,
    /// What it was.
    pub packet: String,
    /// What the programs said.
    pub said: String,
}

/// Lets loaded programs judge the packets of a generation that is written, in force or not; how many they were.
///
/// # Errors
/// One got another verdict, or the kernel does not run it.
pub(super) fn rehearse(
    opened: &Opened<'_>,
    policy: &Policy,
    protected: &[IpNet],
    posture: Posture,
) -> Result<usize, ControlError> {
    let reading = Reading { policy, protected };
    let packets = reading.packets();
    if packets.is_empty() {
        return Ok(0);
    }
    let native = opened.state.interfaces.values().any(|cover| cover.native);
    let ingress = if native { Hook::Xdp } else { Hook::Ingress };
    let (pins, secret) = (&opened.instance.pins, opened.state.secret);
    let asked = Posture::new(
        posture.generation(),
        portreeve_common::switch::Mode::Enforce,
        portreeve_common::switch::Mode::Enforce,
    );
    let mut programs = Rehearsal::load(pins, secret, asked, &[ingress, Hook::Egress])?;
    let mut mismatches = Vec::new();
    for (flow, packet) in &packets {
        let hook = if packet.direction == Direction::Ingress { ingress } else { Hook::Egress };
        let (reason, _) = programs.judge(&packet.frame(), hook, opened.now.ticks)?;
        if reason.passes() != reading.allows(packet) {
            let said = reason.name().to_owned();
            mismatches.push(Mismatch { flow: flow.clone(), packet: packet.to_string(), said });
        }
    }
    if mismatches.is_empty() { Ok(packets.len()) } else { Err(ControlError::Golden(mismatches)) }
}

/// The rules, read plainly: one after the other.
struct Reading<'p> {
    policy: &'p Policy,
    protected: &'p [IpNet],
}

impl Reading<'_> {
    /// For each rule a packet that it is about, one of a neighbouring port, and one of a neighbouring peer.
    fn packets(&self) -> Vec<(String, Packet)> {
        let rules: Vec<_> = self.policy.rules.iter().filter(|rule| is_carried(rule)).collect();
        let step = rules.len().div_ceil(MOST).max(1);
        let mut packets = Vec::new();
        for rule in rules.into_iter().step_by(step) {
            for remote in self.remotes(rule) {
                let Some(packet) = self.packet(rule, remote) else { continue };
                packets.extend(self.beside(rule, &packet).map(|beside| (rule.flow.clone(), beside)));
                packets.push((rule.flow.clone(), packet));
            }
            for stranger in self.strangers(rule) {
                packets.extend(self.packet(rule, stranger).map(|packet| (rule.flow.clone(), packet)));
            }
        }
        packets
    }

    fn packet(&self, rule: &Rule, remote: IpAddr) -> Option<Packet> {
        let own = self.protected.iter().map(IpNet::addr);
        let local = own.into_iter().find(|own| own.is_ipv4() == remote.is_ipv4() && !own.is_loopback())?;
        let (protocol, ports) = match &rule.service {
            Service::Tcp(ports) => (protocol::TCP, Some(ports)),
            Service::Udp(ports) => (protocol::UDP, Some(ports)),
            Service::Echo if remote.is_ipv4() => (protocol::ICMP, None),
            Service::Echo => (protocol::ICMPV6, None),
            Service::Protocol(number) => (*number, None),
            Service::Igmp => return None,
        };
        let port = ports.and_then(|ports| ports.destination.first()).map_or(0, |range| *range.start());
        let source = ports.map_or(0, |ports| ports.source.unwrap_or(ANY_PORT));
        Some(Packet { direction: rule.direction, protocol, local, remote, source, port })
    }

    /// The same packet to a port that no rule is about, as near as there is one.
    fn beside(&self, rule: &Rule, packet: &Packet) -> Option<Packet> {
        let range: &RangeInclusive<u16> = rule.service.ports()?.destination.first()?;
        let (first, last) = (*range.start(), *range.end());
        let above = (1..=NEAR).filter_map(|distance| last.checked_add(distance));
        let below = (1..=NEAR).filter_map(|distance| first.checked_sub(distance)).filter(|port| *port > 0);
        let beside = above.chain(below).map(|port| Packet { port, ..packet.clone() });
        beside.into_iter().find(|packet| !self.allows(packet))
    }

    /// One of the rule's peers, of each family.
    fn remotes(&self, rule: &Rule) -> Vec<IpAddr> {
        let candidates: Vec<IpAddr> = match &rule.peers {
            Peers::Any => ANYBODY.iter().filter_map(|text| text.parse().ok()).collect(),
            Peers::Listed { .. } => {
                let prefixes = known_addresses(&rule.peers, &self.policy.host.names);
                prefixes.iter().flat_map(|net| [net.hosts().next(), net.hosts().nth(1)]).flatten().collect()
            }
        };
        let mut remotes = Vec::new();
        for v4 in [true, false] {
            remotes.extend(candidates.iter().find(|ip| ip.is_ipv4() == v4 && self.is_host(**ip)).copied());
        }
        remotes
    }

    /// Who is not one of the rule's peers, but next to them.
    fn strangers(&self, rule: &Rule) -> Vec<IpAddr> {
        if rule.peers == Peers::Any {
            return Vec::new();
        }
        let prefixes = known_addresses(&rule.peers, &self.policy.host.names);
        let next = |net: &IpNet| match net.broadcast() {
            IpAddr::V4(last) => u32::from(last).checked_add(1).map(|next| IpAddr::V4(next.into())),
            IpAddr::V6(last) => u128::from(last).checked_add(1).map(|next| IpAddr::V6(next.into())),
        };
        let mut next: Vec<_> = prefixes.iter().filter_map(next).filter(|ip| self.is_host(*ip)).collect();
        next.truncate(1);
        next
    }

    /// An address that another host can have.
    fn is_host(&self, ip: IpAddr) -> bool {
        let special = match ip {
            IpAddr::V4(v4) => v4.is_broadcast() || v4.octets()[0] == 0,
            IpAddr::V6(_) => false,
        };
        let own = self.protected.iter().any(|net| net.addr() == ip || net.broadcast() == ip && ip.is_ipv4());
        !special && !own && !ip.is_multicast() && !ip.is_loopback() && !ip.is_unspecified()
    }

    /// Whether any rule allows it, or only observed roles document what it asks for.
    fn allows(&self, packet: &Packet) -> bool {
        let allowed = self.policy.rules.iter().filter(|rule| is_carried(rule)).any(|rule| {
            rule.direction == packet.direction
                && is_service(&rule.service, packet)
                && is_peer(rule, packet.remote, &self.policy.host.names)
        });
        allowed || self.is_observed(packet)
    }

    fn is_observed(&self, packet: &Packet) -> bool {
        let asks = |rule: &&Rule| rule.direction == packet.direction && is_about(&rule.service, packet);
        let about = || self.policy.rules.iter().filter(asks);
        about().any(|rule| rule.local == Local::Own)
            && about().all(|rule| self.policy.stages.observes(&rule.role, rule.direction))
    }
}

/// Rules whose first packet goes from host to host, and needs no other flow.
fn is_carried(rule: &Rule) -> bool {
    rule.local == Local::Own && rule.control_port.is_none()
}

fn is_service(service: &Service, packet: &Packet) -> bool {
    let has = |ports: &Ports| {
        ports.destination.iter().any(|range| range.contains(&packet.port))
            && ports.source.is_none_or(|source| source == packet.source)
    };
    match service {
        Service::Tcp(ports) => packet.protocol == protocol::TCP && has(ports),
        Service::Udp(ports) => packet.protocol == protocol::UDP && has(ports),
        Service::Echo => [protocol::ICMP, protocol::ICMPV6].contains(&packet.protocol),
        Service::Protocol(number) => packet.protocol == *number,
        Service::Igmp => false,
    }
}

/// As [`is_service`], from any port.
fn is_about(service: &Service, packet: &Packet) -> bool {
    let has = |ports: &Ports| ports.destination.iter().any(|range| range.contains(&packet.port));
    match service {
        Service::Tcp(ports) => packet.protocol == protocol::TCP && has(ports),
        Service::Udp(ports) => packet.protocol == protocol::UDP && has(ports),
        Service::Echo | Service::Protocol(_) | Service::Igmp => is_service(service, packet),
    }
}

fn is_peer(rule: &Rule, remote: IpAddr, names: &BTreeMap<String, Vec<IpAddr>>) -> bool {
    rule.peers == Peers::Any || known_addresses(&rule.peers, names).iter().any(|net| net.contains(&remote))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::policy::{self, Catalogue};

    const HOST: &str = r#"
[[allow]]
id = "SITE-1"
direction = "ingress"
protocol = "tcp"
port = [443, "8000-8010", 444]
peers = ["198.51.100.0/25", "2001:db8::7"]
reason = "operators"
[[allow]]
id = "SITE-2"
direction = "egress"
protocol = "udp"
port = 123
peers = "any"
reason = "time"
"#;

    #[test]
    fn packets_of_rules_and_their_neighbours() {
        let catalogue = Catalogue::load(None).unwrap();
        let policy = policy::compile("host.toml", HOST, &catalogue, date(2026, 11, 21)).unwrap();
        let protected = ["192.0.2.10/24".parse().unwrap(), "2001:db8:1::10/64".parse().unwrap()];
        let reading = Reading { policy: &policy, protected: &protected };
        let packets = reading.packets();
        let said: Vec<_> = packets
            .iter()
            .map(|(_, packet)| format!("{packet} {}", if reading.allows(packet) { "passes" } else { "-" }))
            .collect();
        assert_eq!(
            said,
            [
                "in tcp 198.51.100.1:49152 -> 192.0.2.10:445 -",
                "in tcp 198.51.100.1:49152 -> 192.0.2.10:443 passes",
                "in tcp [2001:db8::7]:49152 -> [2001:db8:1::10]:445 -",
                "in tcp [2001:db8::7]:49152 -> [2001:db8:1::10]:443 passes",
                "in tcp 198.51.100.128:49152 -> 192.0.2.10:443 -",
                "out udp 192.0.2.10:49152 -> 198.51.100.77:124 -",
                "out udp 192.0.2.10:49152 -> 198.51.100.77:123 passes",
                "out udp [2001:db8:1::10]:49152 -> [2001:db8:ffff::77]:124 -",
                "out udp [2001:db8:1::10]:49152 -> [2001:db8:ffff::77]:123 passes",
            ]
        );
    }
}

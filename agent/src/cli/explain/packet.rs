//! A packet as people write it: `in tcp 198.51.100.7:40000 -> 443`.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
};

use portreeve_common::{Direction, number::protocol};

use crate::policy::address::domain;

/// Source port where the text names none: from the range that systems take theirs from.
const ANY_PORT: u16 = 49_152;

/// How a packet is written.
const FORM: &str = "write it like 'in tcp 198.51.100.7:40000 -> 443' or 'out udp -> 8.8.8.8:53'";

/// The first packet of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) direction: Direction,
    /// IANA number.
    pub(super) protocol: u8,
    pub(super) local: IpAddr,
    pub(super) remote: IpAddr,
    /// 0 for protocols without ports.
    pub(super) source_port: u16,
    /// 0 for protocols without ports.
    pub(super) port: u16,
    /// By which it comes or leaves; `None`: the right one.
    pub(super) interface: Option<String>,
}

/// What is wrong with the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// Words are missing.
    #[error("`{0}` is not a packet: {FORM}")]
    Form(String),
    /// Neither in nor out.
    #[error("`{0}` is not a direction: write in or out")]
    Direction(String),
    /// No such protocol.
    #[error("`{0}` is not a protocol: write tcp, udp, icmp, icmpv6, igmp, or a number from 0 to 255")]
    Protocol(String),
    /// Neither an address nor a known name.
    #[error("`{0}` is neither an address nor a name in [names] of the host file")]
    Address(String),
    /// Not from 1 to 65535.
    #[error("`{0}` is not a port: ports go from 1 to 65535")]
    Port(String),
    /// A port where there is none.
    #[error("{0} has no ports: leave `:{1}` out")]
    NoPorts(String, u16),
    /// No destination port.
    #[error("{0} needs the port that the packet goes to, after `->`")]
    PortMissing(String),
    /// No remote address.
    #[error("the packet has no remote address: {FORM}")]
    RemoteMissing,
    /// The host file has no address that could be the other end.
    #[error("the host has no IPv{0} address to stand at this end: name one")]
    LocalMissing(u8),
    /// IPv4 here, IPv6 there.
    #[error("{0} and {1} are of different families")]
    Families(IpAddr, IpAddr),
    /// ICMP for IPv6, or ICMPv6 for IPv4.
    #[error("{0} is not carried by IPv{1}")]
    Carrier(&'static str, u8),
}

/// One end, as far as it is written.
#[derive(Default)]
struct End {
    address: Option<IpAddr>,
    port: Option<u16>,
}

/// The domain names in a packet's text of which no address is known.
pub(super) fn names(text: &str, known: &BTreeMap<String, Vec<IpAddr>>) -> Vec<String> {
    let host = |word: &str| {
        let host = word.rsplit_once(':').map_or(word, |(host, _port)| host);
        let numeric =
            host.parse::<IpAddr>().is_ok() || host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        domain(host).filter(|name| !numeric && !name.starts_with('*') && !known.contains_key(name))
    };
    text.split_whitespace().filter_map(host).collect()
}

impl Packet {
    /// Reads a packet; `own` stands in for the local address, `names` for names.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub(super) fn read(
        text: &str,
        own: &[IpAddr],
        names: &BTreeMap<String, Vec<IpAddr>>,
    ) -> Result<Self, PacketError> {
        let form = || PacketError::Form(text.trim().to_owned());
        let (before, after) = text.split_once("->").ok_or_else(form)?;
        let mut words = before.split_whitespace();
        let direction = direction(words.next().ok_or_else(form)?)?;
        let word = words.next().ok_or_else(form)?;
        let protocol = protocol_number(word)?;
        let source = words.next().map_or_else(|| Ok(End::default()), |word| End::read(word, names))?;
        let mut after = after.split_whitespace();
        let destination = after.next().map_or_else(|| Ok(End::default()), |word| End::read(word, names))?;
        if words.next().is_some() || after.next().is_some() {
            return Err(form());
        }
        let (source_port, port) = ports(word, protocol, &source, &destination)?;
        let (local, remote) = match direction {
            Direction::Ingress => (destination.address, source.address),
            Direction::Egress => (source.address, destination.address),
        };
        let remote = remote.ok_or(PacketError::RemoteMissing)?;
        let family = family(remote);
        let fitting = || own.iter().copied().find(|address| address.is_ipv4() == remote.is_ipv4());
        let local = local.or_else(fitting).ok_or(PacketError::LocalMissing(family))?;
        if local.is_ipv4() != remote.is_ipv4() {
            return Err(PacketError::Families(local, remote));
        }
        match (protocol, family) {
            (protocol::ICMP, 6) => Err(PacketError::Carrier("icmp", 6)),
            (protocol::IGMP, 6) => Err(PacketError::Carrier("igmp", 6)),
            (protocol::ICMPV6, 4) => Err(PacketError::Carrier("icmpv6", 4)),
            _ => Ok(Self { direction, protocol, local, remote, source_port, port, interface: None }),
        }
    }

    pub(super) const fn has_ports(&self) -> bool {
        has_ports(self.protocol)
    }

    /// Source and destination.
    pub(super) const fn ends(&self) -> (IpAddr, IpAddr) {
        match self.direction {
            Direction::Ingress => (self.remote, self.local),
            Direction::Egress => (self.local, self.remote),
        }
    }
}

impl End {
    /// A port, an address, or both; IPv6 with a port in brackets.
    fn read(word: &str, names: &BTreeMap<String, Vec<IpAddr>>) -> Result<Self, PacketError> {
        if word.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self { address: None, port: Some(port(word)?) });
        }
        if let Some(rest) = word.strip_prefix('[') {
            let unknown = || PacketError::Address(word.to_owned());
            let (address, rest) = rest.split_once(']').ok_or_else(unknown)?;
            let address: Ipv6Addr = address.parse().map_err(|_not_an_address| unknown())?;
            let written = match rest.strip_prefix(':') {
                Some(digits) => Some(port(digits)?),
                None if rest.is_empty() => None,
                None => return Err(unknown()),
            };
            return Ok(Self { address: Some(address.into()), port: written });
        }
        if let Ok(address) = word.parse() {
            return Ok(Self { address: Some(address), port: None });
        }
        let (host, digits) = word.rsplit_once(':').map_or((word, None), |(host, port)| (host, Some(port)));
        let address = if host.is_empty() { None } else { Some(address(host, names)?) };
        Ok(Self { address, port: digits.map(port).transpose()? })
    }
}

fn address(text: &str, names: &BTreeMap<String, Vec<IpAddr>>) -> Result<IpAddr, PacketError> {
    let named = || names.get(&domain(text)?)?.first().copied();
    text.parse().ok().or_else(named).ok_or_else(|| PacketError::Address(text.to_owned()))
}

fn port(text: &str) -> Result<u16, PacketError> {
    text.parse().ok().filter(|port| *port > 0).ok_or_else(|| PacketError::Port(text.to_owned()))
}

fn ports(word: &str, protocol: u8, source: &End, destination: &End) -> Result<(u16, u16), PacketError> {
    if has_ports(protocol) {
        let port = destination.port.ok_or_else(|| PacketError::PortMissing(word.to_owned()))?;
        return Ok((source.port.unwrap_or(ANY_PORT), port));
    }
    match source.port.or(destination.port) {
        Some(port) => Err(PacketError::NoPorts(word.to_owned(), port)),
        None => Ok((0, 0)),
    }
}

fn direction(word: &str) -> Result<Direction, PacketError> {
    match word {
        "in" | "ingress" => Ok(Direction::Ingress),
        "out" | "egress" => Ok(Direction::Egress),
        other => Err(PacketError::Direction(other.to_owned())),
    }
}

fn protocol_number(word: &str) -> Result<u8, PacketError> {
    match word {
        "tcp" => Ok(protocol::TCP),
        "udp" => Ok(protocol::UDP),
        "icmp" => Ok(protocol::ICMP),
        "icmpv6" => Ok(protocol::ICMPV6),
        "igmp" => Ok(protocol::IGMP),
        other => other.parse().map_err(|_not_a_number| PacketError::Protocol(other.to_owned())),
    }
}

const fn has_ports(protocol: u8) -> bool {
    matches!(protocol, protocol::TCP | protocol::UDP)
}

const fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { 4 } else { 6 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Packet, PacketError> {
        let own = ["192.0.2.10", "2001:db8:1::10"].map(|address| address.parse().unwrap());
        let names = BTreeMap::from([("dns.example.com".into(), vec!["198.51.100.53".parse().unwrap()])]);
        Packet::read(text, &own, &names)
    }

    fn packet(direction: Direction, number: u8, local: &str, remote: &str, ports: (u16, u16)) -> Packet {
        let (local, remote) = (local.parse().unwrap(), remote.parse().unwrap());
        Packet {
            direction,
            protocol: number,
            local,
            remote,
            source_port: ports.0,
            port: ports.1,
            interface: None,
        }
    }

    #[test]
    fn the_ends_may_be_short() {
        use Direction::{Egress, Ingress};
        for (text, wanted) in [
            (
                "in tcp 198.51.100.7:40000 -> 443",
                packet(Ingress, 6, "192.0.2.10", "198.51.100.7", (40_000, 443)),
            ),
            ("out udp -> 8.8.8.8:53", packet(Egress, 17, "192.0.2.10", "8.8.8.8", (ANY_PORT, 53))),
            (
                "in tcp [2001:db8::7]:40000 -> :443",
                packet(Ingress, 6, "2001:db8:1::10", "2001:db8::7", (40_000, 443)),
            ),
            ("in icmpv6 2001:db8::7 ->", packet(Ingress, 58, "2001:db8:1::10", "2001:db8::7", (0, 0))),
            ("out 47 192.0.2.11 -> 8.8.8.8", packet(Egress, 47, "192.0.2.11", "8.8.8.8", (0, 0))),
            (
                "out udp 5000 -> dns.example.com:53",
                packet(Egress, 17, "192.0.2.10", "198.51.100.53", (5000, 53)),
            ),
        ] {
            assert_eq!(read(text), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, wanted) in [
            ("in tcp 1.2.3.4", "is not a packet: write it like"),
            ("up tcp 1.2.3.4 -> 443", "`up` is not a direction"),
            ("in sctp 1.2.3.4 -> 443", "`sctp` is not a protocol"),
            ("in 256 1.2.3.4 ->", "`256` is not a protocol"),
            ("in tcp host.example.com -> 443", "`host.example.com` is neither an address nor a name"),
            ("in tcp 1.2.3.400 -> 443", "`1.2.3.400` is neither"),
            ("in tcp 1.2.3.4 -> 70000", "`70000` is not a port"),
            ("in tcp 1.2.3.4:0 -> 443", "`0` is not a port"),
            ("in tcp 1.2.3.4 ->", "tcp needs the port"),
            ("in icmp 1.2.3.4:5 ->", "icmp has no ports: leave `:5` out"),
            ("in tcp -> 443", "no remote address"),
            ("in tcp 1.2.3.4 -> [2001:db8::1]:443", "different families"),
            ("in icmp 2001:db8::1 ->", "icmp is not carried by IPv6"),
            ("in tcp 1.2.3.4 -> 443 now", "is not a packet"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}

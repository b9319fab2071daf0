//! The first packet of a flow, and its bytes on the wire.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use etherparse::{IpNumber, PacketBuilder, PacketBuilderStep};
use portreeve_common::{Direction, Service, number::protocol};

/// Locally administered, since nothing is decided by hardware addresses.
const MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
const HOPS: u8 = 64;
const WINDOW: u16 = 64_240;
/// What protocols without ports carry: no policy reads it.
const PAYLOAD: [u8; 24] = [0; 24];

/// A packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) direction: Direction,
    /// IANA number.
    pub(super) protocol: u8,
    pub(super) local: IpAddr,
    pub(super) remote: IpAddr,
    /// 0 for protocols without ports.
    pub(super) source: u16,
    /// 0 for protocols without ports.
    pub(super) port: u16,
}

impl Packet {
    /// An Ethernet frame.
    pub(super) fn frame(&self) -> Vec<u8> {
        let ethernet = PacketBuilder::ethernet2(MACS[0], MACS[1]);
        let ip = match self.ends() {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                ethernet.ipv4(source.octets(), destination.octets(), HOPS)
            }
            (source, destination) => ethernet.ipv6(sixteen(source), sixteen(destination), HOPS),
        };
        match self.protocol {
            protocol::TCP => bytes(|to| ip.tcp(self.source, self.port, 1, WINDOW).syn().write(to, &[])),
            protocol::UDP => bytes(|to| ip.udp(self.source, self.port).write(to, &[])),
            protocol::ICMP => bytes(|to| ip.icmpv4_echo_request(1, 1).write(to, &PAYLOAD)),
            protocol::ICMPV6 => bytes(|to| ip.icmpv6_echo_request(1, 1).write(to, &PAYLOAD)),
            number => other(ip, IpNumber(number)),
        }
    }

    /// Source and destination.
    const fn ends(&self) -> (IpAddr, IpAddr) {
        match self.direction {
            Direction::Ingress => (self.remote, self.local),
            Direction::Egress => (self.local, self.remote),
        }
    }
}

fn other(ip: PacketBuilderStep<etherparse::IpHeaders>, number: IpNumber) -> Vec<u8> {
    bytes(|to| ip.write(to, number, &PAYLOAD))
}

/// Memory takes all that is written to it; what can't be built is an empty frame, which nothing lets pass.
fn bytes<E>(write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if write(&mut bytes).is_err() {
        bytes.clear();
    }
    bytes
}

const fn sixteen(address: IpAddr) -> [u8; 16] {
    let address: Ipv6Addr = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    address.octets()
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (source, destination) = self.ends();
        let way = if self.direction == Direction::Ingress { "in" } else { "out" };
        let protocol =
            Service::protocol_name(self.protocol).map_or_else(|| self.protocol.to_string(), str::to_owned);
        if self.port == 0 {
            return write!(f, "{way} {protocol} {source} -> {destination}");
        }
        let (from, to) = (SocketAddr::new(source, self.source), SocketAddr::new(destination, self.port));
        write!(f, "{way} {protocol} {from} -> {to}")
    }
}

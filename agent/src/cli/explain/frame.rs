//! The bytes of a first packet, as it would stand on the wire.

use std::net::IpAddr;

use portreeve_common::{
    Direction,
    number::{ethertype, icmp, icmpv6, protocol},
};

use super::packet::Packet;

/// Locally administered, since nothing is decided by hardware addresses.
const MACS: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
const HOPS: u8 = 64;
const SYN: u8 = 2;
/// What protocols without ports carry: no policy reads it.
const PAYLOAD: usize = 24;
/// IGMP membership query, and the report of version 2 (RFC 2236).
const QUERY: u8 = 0x11;
const REPORT: u8 = 0x16;

/// An Ethernet frame. Checksums are 0: none is looked at.
pub(super) fn frame(packet: &Packet) -> Vec<u8> {
    let body = transport(packet);
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut frame = MACS.to_vec();
    match packet.ends() {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let total = u16::try_from(20 + body.len()).unwrap_or(u16::MAX).to_be_bytes();
            frame.extend(ethertype::IPV4.to_be_bytes());
            frame.extend([0x45, 0, total[0], total[1], 0, 0, 0x40, 0, HOPS, packet.protocol, 0, 0]);
            frame.extend(source.octets());
            frame.extend(destination.octets());
        }
        (source, destination) => {
            frame.extend(ethertype::IPV6.to_be_bytes());
            frame.extend([0x60, 0, 0, 0, length[0], length[1], packet.protocol, HOPS]);
            frame.extend(sixteen(source));
            frame.extend(sixteen(destination));
        }
    }
    frame.extend(body);
    frame
}

fn transport(packet: &Packet) -> Vec<u8> {
    let ports = [packet.source_port.to_be_bytes(), packet.port.to_be_bytes()].concat();
    match (packet.protocol, packet.direction) {
        (protocol::TCP, _) => {
            [&ports[..], &[0, 0, 0, 1], &[0; 4], &[0x50, SYN], &[0xff, 0xff], &[0; 4]].concat()
        }
        (protocol::UDP, _) => [&ports[..], &[0, 8, 0, 0]].concat(),
        (protocol::ICMP, _) => vec![icmp::ECHO, 0, 0, 0, 0, 1, 0, 1],
        (protocol::ICMPV6, _) => vec![icmpv6::ECHO, 0, 0, 0, 0, 1, 0, 1],
        (protocol::IGMP, Direction::Ingress) => vec![QUERY, 0, 0, 0, 0, 0, 0, 0],
        (protocol::IGMP, Direction::Egress) => vec![REPORT, 0, 0, 0, 0, 0, 0, 0],
        _ => vec![0; PAYLOAD],
    }
}

fn sixteen(address: IpAddr) -> [u8; 16] {
    portreeve_common::Address::from(address).octets()
}

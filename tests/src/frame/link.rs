//! The Ethernet header, its VLAN tags, and what it carries besides IP.

use std::net::IpAddr;

use etherparse::{ArpEthIpv4Packet, ArpOperation, EtherType, Ethernet2Header};

use super::{Body, Frame};

/// A hardware address.
pub type Mac = [u8; 6];

/// Locally administered, for the host under test.
pub const HOST_MAC: Mac = [2, 0, 0, 0, 0, 2];
/// Locally administered, for everyone else.
pub const PEER_MAC: Mac = [2, 0, 0, 0, 0, 1];

impl Frame {
    pub(super) fn link_header(&self) -> Vec<u8> {
        let inner = self.inner_ethertype();
        let destination = self.receiver.or(self.group_mac()).unwrap_or(HOST_MAC);
        let outer = self.tags.first().map_or(inner, |&(ethertype, _)| ethertype);
        let header = Ethernet2Header { source: self.sender, destination, ether_type: EtherType(outer) };
        let mut bytes = header.to_bytes().to_vec();
        for (position, &(_, id)) in self.tags.iter().enumerate() {
            let next = self.tags.get(position + 1).map_or(inner, |&(ethertype, _)| ethertype);
            bytes.extend(id.to_be_bytes());
            bytes.extend(next.to_be_bytes());
        }
        bytes
    }

    pub(super) fn arp(&self, operation: u16) -> Vec<u8> {
        let target_mac = if operation == REQUEST { [0; 6] } else { self.receiver.unwrap_or(HOST_MAC) };
        ArpEthIpv4Packet {
            operation: ArpOperation(operation),
            sender_mac: self.sender,
            sender_ipv4: self.source.ipv4().octets(),
            target_mac,
            target_ipv4: self.destination.ipv4().octets(),
        }
        .to_bytes()
        .to_vec()
    }

    /// The shortest payload that Ethernet allows, where none is given.
    pub(super) fn raw_payload(&self) -> Vec<u8> {
        const SHORTEST: usize = 46;
        if self.payload.is_empty() { vec![0; SHORTEST] } else { self.payload.clone() }
    }

    /// Where the destination is a group, its hardware address (RFC 1112, section 6.4; RFC 2464, section 7).
    pub(super) fn group_mac(&self) -> Option<Mac> {
        if self.body == (Body::Arp { operation: REQUEST }) {
            return Some(BROADCAST);
        }
        match self.destination.address {
            IpAddr::V4(address) if address.is_broadcast() => Some(BROADCAST),
            IpAddr::V4(address) if address.is_multicast() => {
                let [_, b, c, d] = address.octets();
                Some([0x01, 0x00, 0x5e, b & 0x7f, c, d])
            }
            IpAddr::V6(address) if address.is_multicast() => {
                let [.., a, b, c, d] = address.octets();
                Some([0x33, 0x33, a, b, c, d])
            }
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        }
    }

    fn inner_ethertype(&self) -> u16 {
        match self.body {
            Body::Arp { .. } => EtherType::ARP.0,
            Body::Ethertype(ethertype) => ethertype,
            Body::Tcp { .. }
            | Body::Udp
            | Body::Icmp { .. }
            | Body::Icmpv6 { .. }
            | Body::Igmp { .. }
            | Body::Protocol(_) => {
                if self.is_ipv4() {
                    EtherType::IPV4.0
                } else {
                    EtherType::IPV6.0
                }
            }
        }
    }
}

const BROADCAST: Mac = [0xff; 6];
/// ARP operation of a request (RFC 826).
const REQUEST: u16 = 1;

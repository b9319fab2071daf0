//! Who talks to whom.

use std::net::IpAddr;

use portreeve_common::Direction;

use super::{
    dissect::{ICMP, ICMPV6, Packet, TCP, UDP},
    rules::Wish,
};

/// Both ends and the protocol, from the host's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ends {
    pub(super) local: (IpAddr, u16),
    pub(super) remote: (IpAddr, u16),
    pub(super) protocol: u8,
    /// Of an echo: who asks. Both hosts may do so with one identifier.
    pub(super) asked: Option<Direction>,
}

pub(super) fn ends(packet: &Packet, direction: Direction, [source, destination]: [u16; 2]) -> Ends {
    let (source, destination) = ((packet.source, source), (packet.destination, destination));
    let (local, remote) = match direction {
        Direction::Ingress => (destination, source),
        Direction::Egress => (source, destination),
    };
    Ends { local, remote, protocol: packet.protocol, asked: None }
}

pub(super) fn echo(packet: &Packet, direction: Direction, id: u16, asks: Direction) -> Ends {
    let Ends { local, remote, protocol, asked: _ } = ends(packet, direction, [0, 0]);
    Ends { local: (local.0, id), remote, protocol, asked: Some(asks) }
}

/// What the first packet of a flow asked for.
pub(super) fn wish(ends: &Ends, began: Direction) -> Wish {
    let (port, source_port) = match began {
        Direction::Ingress => (ends.local.1, ends.remote.1),
        Direction::Egress => (ends.remote.1, ends.local.1),
    };
    let number = match ends.protocol {
        TCP | UDP => port,
        ICMP => 8,
        ICMPV6 => 128,
        _ => 0,
    };
    let (local, remote) = (ends.local.0, ends.remote.0);
    Wish { direction: began, protocol: ends.protocol, number, source_port, local, remote }
}

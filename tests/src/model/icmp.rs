//! What an ICMP message means, by family and type.

use portreeve_common::{Direction, Reason};

use super::{
    dissect::{ICMP, ICMPV6, Packet, Quote, TCP, UDP},
    flow::Ends,
    is_link_local,
};

pub(super) enum Meaning {
    Request,
    Reply,
    Error,
    Redirect,
    Neighbour,
    Listener,
    Other,
}

const ROUTER_ADVERTISEMENT: u8 = 134;
const LISTENER_QUERY: u8 = 130;

pub(super) fn meaning(v4: bool, kind: u8) -> Meaning {
    match (v4, kind) {
        (true, 8) | (false, 128) => Meaning::Request,
        (true, 0) | (false, 129) => Meaning::Reply,
        (true, 3 | 11 | 12) | (false, 1..=4) => Meaning::Error,
        (true, 5) | (false, 137) => Meaning::Redirect,
        (false, 133..=136) => Meaning::Neighbour,
        (false, 130..=132 | 143) => Meaning::Listener,
        _ => Meaning::Other,
    }
}

/// A hop limit of 255 has crossed no router (RFC 4861).
pub(super) fn neighbour(packet: &Packet, kind: u8) -> Reason {
    let who = kind != ROUTER_ADVERTISEMENT || is_link_local(packet.source);
    if packet.hops == 255 && who { Reason::BaselineNdp } else { Reason::HopLimit }
}

/// From a link-local address, or from none yet where it is no query; what leaves comes from here in any case (RFC 3810).
pub(super) fn listener(packet: &Packet, kind: u8, direction: Direction) -> Reason {
    let unready = kind != LISTENER_QUERY && packet.source.is_unspecified();
    let near = is_link_local(packet.source) || unready || direction == Direction::Egress;
    if packet.hops == 1 && near { Reason::BaselineMld } else { Reason::HopLimit }
}

/// The flow of a quoted packet that went in `went`; an error about an error belongs to none.
pub(super) fn quoted(quote: &Quote, went: Direction) -> Option<Ends> {
    let Quote { source, destination, protocol, start } = *quote;
    let ends = |source, destination, asked| {
        let (local, remote) = match went {
            Direction::Ingress => (destination, source),
            Direction::Egress => (source, destination),
        };
        Ends { local, remote, protocol, asked }
    };
    let word = |at: usize| u16::from_be_bytes([start[at], start[at + 1]]);
    match protocol {
        TCP | UDP => Some(ends((source, word(0)), (destination, word(2)), None)),
        ICMP | ICMPV6 => {
            let asks = match meaning(protocol == ICMP, start[0]) {
                Meaning::Request => went,
                Meaning::Reply => went.opposite(),
                Meaning::Error
                | Meaning::Redirect
                | Meaning::Neighbour
                | Meaning::Listener
                | Meaning::Other => return None,
            };
            let mut ends = ends((source, 0), (destination, 0), Some(asks));
            ends.local.1 = word(4);
            Some(ends)
        }
        _ => Some(ends((source, 0), (destination, 0), None)),
    }
}

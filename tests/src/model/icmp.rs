//! What an ICMP message means, by family and type.

use portreeve_common::{Direction, Reason};

use super::{
    Judged, Model,
    dissect::{Content, ICMP, ICMPV6, Packet, Piece, Quote, TCP, UDP},
    ends::{Ends, echo},
    is_link_local,
    rules::Which,
};

impl Model {
    pub(super) fn icmp(&mut self, packet: &Packet, direction: Direction) -> Result<Judged, Judged> {
        let Content::Icmp { kind, code, id, body } = &packet.content else {
            return Err((Reason::Internal, Which::new()));
        };
        let v4 = packet.source.is_ipv4();
        if v4 != (packet.protocol == ICMP) {
            return Err((Reason::Protocol, Which::new()));
        }
        let plain = |reason| Ok((reason, Which::new()));
        match meaning(v4, *kind) {
            Meaning::Request | Meaning::Reply if *code != 0 => plain(Reason::Malformed),
            Meaning::Request => self.exchange(echo(packet, direction, *id, direction), direction),
            Meaning::Reply => {
                let ends = echo(packet, direction, *id, direction.opposite());
                match self.live(&ends) {
                    Some(_) => self.exchange(ends, direction),
                    None => plain(Reason::NoState),
                }
            }
            Meaning::Error => Ok(self.error(packet, body, direction)),
            Meaning::Redirect => plain(Reason::Redirect),
            Meaning::Neighbour | Meaning::Listener if packet.piece != Piece::Whole => plain(Reason::Fragment),
            Meaning::Neighbour => plain(neighbour(packet, *kind)),
            Meaning::Listener => plain(listener(packet, *kind, direction)),
            // No rule is about it.
            Meaning::Other => plain(Reason::NoRule),
        }
    }

    /// It has to quote a packet of a live flow, which the one that it goes to has sent.
    fn error(&self, packet: &Packet, body: &[u8], direction: Direction) -> Judged {
        let unrelated = (Reason::IcmpUnrelated, Which::new());
        let Some(quote) = Quote::read(body, packet.source.is_ipv4()) else { return unrelated };
        if quote.source != packet.destination {
            return unrelated;
        }
        let went = direction.opposite();
        let ends = quoted(&quote, went);
        match ends.and_then(|ends| self.live(&ends)) {
            Some(flow) => (Reason::Related, flow.rules.clone()),
            None => unrelated,
        }
    }
}

enum Meaning {
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

fn meaning(v4: bool, kind: u8) -> Meaning {
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
fn neighbour(packet: &Packet, kind: u8) -> Reason {
    let who = kind != ROUTER_ADVERTISEMENT || is_link_local(packet.source);
    if packet.hops == 255 && who { Reason::BaselineNdp } else { Reason::HopLimit }
}

/// From a link-local address, or from none yet where it is no query; what leaves comes from here in any case (RFC 3810).
fn listener(packet: &Packet, kind: u8, direction: Direction) -> Reason {
    let unready = kind != LISTENER_QUERY && packet.source.is_unspecified();
    let near = is_link_local(packet.source) || unready || direction == Direction::Egress;
    if packet.hops == 1 && near { Reason::BaselineMld } else { Reason::HopLimit }
}

/// The flow of a quoted packet that went in `went`; an error about an error belongs to none.
fn quoted(quote: &Quote, went: Direction) -> Option<Ends> {
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

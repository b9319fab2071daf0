//! ICMP and ICMPv6: echo by state, errors only about live flows, discovery only from the link.

use super::{Part, Sight};
use crate::{
    Direction, Packet, Reason,
    number::{icmp, icmpv6, protocol},
    parse::{Headers, quoted},
};

/// Neighbour discovery proves by it that it comes from the link (RFC 4861, section 6.1).
const FROM_THE_LINK: u8 = 255;
/// Listener discovery never leaves the link (RFC 3810, section 5).
const FOR_THE_LINK: u8 = 1;

/// What a message is.
enum Meaning {
    Request,
    Reply,
    Error,
    Redirect,
    Neighbour,
    Listener,
    Other,
}

#[inline(always)]
pub(super) fn look<P: Packet + ?Sized>(packet: &P, direction: Direction, sight: &mut Sight) {
    let headers = sight.headers;
    match meaning(&headers) {
        Meaning::Request | Meaning::Reply if headers.flags != 0 => sight.judge(Reason::Malformed),
        Meaning::Request => {
            sight.headers.key.ask(headers.identifier, direction, headers.protocol);
            sight.part = Part::Sends;
        }
        Meaning::Reply => {
            sight.headers.key.ask(headers.identifier, direction.opposite(), headers.protocol);
            sight.part = Part::Answers;
        }
        Meaning::Error => error(packet, &headers, direction, sight),
        Meaning::Redirect => sight.judge(Reason::Redirect),
        // Neighbours ignore what has a fragment header (RFC 6980, section 5), and listeners never need one.
        Meaning::Neighbour | Meaning::Listener if headers.was_fragmented() => sight.judge(Reason::Fragment),
        Meaning::Neighbour => sight.judge(neighbour(&headers, direction)),
        Meaning::Listener => sight.judge(listener(&headers, direction)),
        Meaning::Other => sight.part = Part::Message,
    }
}

#[inline(always)]
const fn meaning(headers: &Headers) -> Meaning {
    let kind = headers.number as u8;
    if headers.protocol == protocol::ICMP { meaning_v4(kind) } else { meaning_v6(kind) }
}

#[inline(always)]
const fn meaning_v4(kind: u8) -> Meaning {
    match kind {
        icmp::ECHO => Meaning::Request,
        icmp::ECHO_REPLY => Meaning::Reply,
        icmp::UNREACHABLE | icmp::TIME_EXCEEDED | icmp::PARAMETER_PROBLEM => Meaning::Error,
        icmp::REDIRECT => Meaning::Redirect,
        _ => Meaning::Other,
    }
}

#[inline(always)]
const fn meaning_v6(kind: u8) -> Meaning {
    match kind {
        icmpv6::ECHO => Meaning::Request,
        icmpv6::ECHO_REPLY => Meaning::Reply,
        icmpv6::UNREACHABLE..=icmpv6::PARAMETER_PROBLEM => Meaning::Error,
        icmpv6::REDIRECT => Meaning::Redirect,
        icmpv6::ROUTER_SOLICITATION
        | icmpv6::ROUTER_ADVERTISEMENT
        | icmpv6::NEIGHBOUR_SOLICITATION
        | icmpv6::NEIGHBOUR_ADVERTISEMENT => Meaning::Neighbour,
        icmpv6::LISTENER_QUERY
        | icmpv6::LISTENER_REPORT
        | icmpv6::LISTENER_DONE
        | icmpv6::LISTENER_REPORT_V2 => Meaning::Listener,
        _ => Meaning::Other,
    }
}

/// RFC 4861, sections 6.1 and 7.1.
#[inline(always)]
const fn neighbour(headers: &Headers, direction: Direction) -> Reason {
    let advertises = headers.number == icmpv6::ROUTER_ADVERTISEMENT as u16;
    let from_router = !advertises || headers.source(direction).is_link_local_v6();
    if headers.hop_limit == FROM_THE_LINK && from_router { Reason::BaselineNdp } else { Reason::HopLimit }
}

/// RFC 3810, sections 5.1.14 and 5.2.13: from a link-local address, reports also before there is one. What the host
/// itself sends can't be forged from afar.
#[inline(always)]
const fn listener(headers: &Headers, direction: Direction) -> Reason {
    let unready =
        headers.number != icmpv6::LISTENER_QUERY as u16 && headers.source(direction).is_unspecified();
    let near =
        headers.source(direction).is_link_local_v6() || unready || matches!(direction, Direction::Egress);
    if headers.hop_limit == FOR_THE_LINK && near { Reason::BaselineMld } else { Reason::HopLimit }
}

/// An error passes when it goes to the sender of a packet of a live flow, and quotes that packet.
#[inline(always)]
fn error<P: Packet + ?Sized>(packet: &P, headers: &Headers, direction: Direction, sight: &mut Sight) {
    // The quoted packet went the other way.
    let went = direction.opposite();
    let mut inner = Headers::default();
    if !quoted(packet, went, headers, &mut inner) || inner.source(went) != headers.destination(direction) {
        sight.judge(Reason::IcmpUnrelated);
        return;
    }
    match (inner.protocol, inner.number as u8) {
        (protocol::ICMP, icmp::ECHO) | (protocol::ICMPV6, icmpv6::ECHO) => {
            inner.key.ask(inner.identifier, went, inner.protocol);
        }
        (protocol::ICMP, icmp::ECHO_REPLY) | (protocol::ICMPV6, icmpv6::ECHO_REPLY) => {
            inner.key.ask(inner.identifier, direction, inner.protocol);
        }
        // Other messages belong to no flow, and nobody reports an error about an error (RFC 1122, section 3.2.2).
        (protocol::ICMP | protocol::ICMPV6, _) => {
            sight.judge(Reason::IcmpUnrelated);
            return;
        }
        _ => {}
    }
    sight.about = inner.key;
    sight.part = Part::Reports;
}

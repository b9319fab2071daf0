//! ICMP and ICMPv6: echo by state, errors only about live flows, discovery only from the link.

use super::{Decision, Ends, datagram, fits, policy};
use crate::{
    Direction, Packet, Reason, Tables,
    flow::FlowKey,
    number::{icmp, icmpv6, protocol},
    parse::{Headers, Transport, quoted},
};

/// Neighbour discovery proves by it that it comes from the link (RFC 4861, section 6.1).
const FROM_THE_LINK: u8 = 255;
/// Listener discovery never leaves the link (RFC 3810, section 5).
const FOR_THE_LINK: u8 = 1;

#[inline(always)]
pub(super) fn judge<P: Packet + ?Sized, T: Tables>(
    packet: &P,
    headers: &Headers,
    ends: &Ends,
    tables: &T,
) -> Decision {
    let Transport::Icmp { kind, code, identifier } = headers.transport else {
        return Decision::plain(Reason::Internal);
    };
    if !fits(headers.protocol, headers.source.is_v4()) {
        return Decision::plain(Reason::Protocol);
    }
    let what = if headers.protocol == protocol::ICMP { v4(kind) } else { v6(kind, headers, ends.direction) };
    match what {
        Message::Request => {
            let key = FlowKey::echo(ends.local, ends.remote, identifier, ends.direction, headers.protocol);
            if code != 0 {
                return Decision::plain(Reason::Malformed);
            }
            datagram::go_on(&key, ends, tables, Some(ends.service(headers.protocol, kind.into())))
        }
        Message::Reply => {
            let asks = match ends.direction {
                Direction::Ingress => Direction::Egress,
                Direction::Egress => Direction::Ingress,
            };
            let key = FlowKey::echo(ends.local, ends.remote, identifier, asks, headers.protocol);
            datagram::go_on(&key, ends, tables, None)
        }
        Message::Error => error(packet, headers, ends, tables),
        Message::Verdict(reason) => Decision::plain(reason),
        Message::Other => {
            match policy::look_up(ends.service(headers.protocol, kind.into()), &ends.remote, tables) {
                Ok(rule) => Decision::under(Reason::Rule, rule),
                Err(refusal) => refusal.into(),
            }
        }
    }
}

/// What a message is to a verdict.
enum Message {
    Request,
    Reply,
    Error,
    Verdict(Reason),
    Other,
}

#[inline(always)]
const fn v4(kind: u8) -> Message {
    match kind {
        icmp::ECHO => Message::Request,
        icmp::ECHO_REPLY => Message::Reply,
        icmp::UNREACHABLE | icmp::TIME_EXCEEDED | icmp::PARAMETER_PROBLEM => Message::Error,
        icmp::REDIRECT => Message::Verdict(Reason::Redirect),
        _ => Message::Other,
    }
}

#[inline(always)]
fn v6(kind: u8, headers: &Headers, direction: Direction) -> Message {
    match kind {
        icmpv6::ECHO => Message::Request,
        icmpv6::ECHO_REPLY => Message::Reply,
        icmpv6::UNREACHABLE..=icmpv6::PARAMETER_PROBLEM => Message::Error,
        icmpv6::REDIRECT => Message::Verdict(Reason::Redirect),
        icmpv6::ROUTER_SOLICITATION
        | icmpv6::ROUTER_ADVERTISEMENT
        | icmpv6::NEIGHBOUR_SOLICITATION
        | icmpv6::NEIGHBOUR_ADVERTISEMENT => Message::Verdict(neighbour(kind, headers)),
        icmpv6::LISTENER_QUERY
        | icmpv6::LISTENER_REPORT
        | icmpv6::LISTENER_DONE
        | icmpv6::LISTENER_REPORT_V2 => Message::Verdict(listener(kind, headers, direction)),
        _ => Message::Other,
    }
}

/// RFC 4861, sections 6.1 and 7.1.
#[inline(always)]
const fn neighbour(kind: u8, headers: &Headers) -> Reason {
    let from_router = kind != icmpv6::ROUTER_ADVERTISEMENT || headers.source.is_link_local_v6();
    if headers.hop_limit == FROM_THE_LINK && from_router { Reason::BaselineNdp } else { Reason::HopLimit }
}

/// RFC 3810, sections 5.1.14 and 5.2.13: from a link-local address, reports also before there is one. What the host
/// itself sends can't be forged from afar.
#[inline(always)]
const fn listener(kind: u8, headers: &Headers, direction: Direction) -> Reason {
    let unready = kind != icmpv6::LISTENER_QUERY && headers.source.is_unspecified();
    let near = headers.source.is_link_local_v6() || unready || matches!(direction, Direction::Egress);
    if headers.hop_limit == FOR_THE_LINK && near { Reason::BaselineMld } else { Reason::HopLimit }
}

/// An error passes when it goes to the sender of a packet of a live flow, and quotes that packet.
#[inline(always)]
fn error<P: Packet + ?Sized, T: Tables>(packet: &P, headers: &Headers, ends: &Ends, tables: &T) -> Decision {
    let Some(inner) = quoted(packet, headers) else { return Decision::plain(Reason::IcmpUnrelated) };
    if inner.source != headers.destination {
        return Decision::plain(Reason::IcmpUnrelated);
    }
    // The quoted packet went the other way.
    let direction = match ends.direction {
        Direction::Ingress => Direction::Egress,
        Direction::Egress => Direction::Ingress,
    };
    let quoted = Ends::of(&inner, direction);
    let key = match inner.transport {
        Transport::Tcp(tcp) => quoted.key(tcp.source, tcp.destination, inner.protocol),
        Transport::Udp { source, destination } => quoted.key(source, destination, inner.protocol),
        Transport::Icmp { kind, identifier, .. } => {
            let asks = if is_echo_request(kind, inner.protocol) { direction } else { ends.direction };
            FlowKey::echo(quoted.local, quoted.remote, identifier, asks, inner.protocol)
        }
        Transport::Igmp { .. } | Transport::None => quoted.key(0, 0, inner.protocol),
    };
    let rule = match tables.established(&key) {
        Some((_, state)) => Some(state.rule()),
        None => tables.embryonic(&key).map(|state| state.rule()),
    };
    match rule {
        Some(rule) => Decision::under(Reason::Related, rule),
        None => Decision::plain(Reason::IcmpUnrelated),
    }
}

#[inline(always)]
const fn is_echo_request(kind: u8, number: u8) -> bool {
    matches!((number, kind), (protocol::ICMP, icmp::ECHO) | (protocol::ICMPV6, icmpv6::ECHO))
}

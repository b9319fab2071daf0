//! From a packet to its verdict, the first step that matches wins.
//!
//! Parse, what is not IP, fragments, baseline, ICMP errors, state, policy. `observe` and `enforce` come after:
//! the verdict is the same in both.

mod datagram;
mod fragment;
mod icmp;
mod link;
mod policy;
mod tcp;

pub use policy::{BROADCAST, OWN, PROTECTED_SET};

use crate::{
    Address, Direction, Packet, Reason, Service, Tables,
    class::RuleId,
    flow::FlowKey,
    number::protocol,
    parse::{Fragment, Frame, Headers, Transport, parse},
};

/// A verdict and its evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Why.
    pub reason: Reason,
    /// The rule under which it passes; for `wrong-peer` the rule that would allow another peer.
    pub rule: Option<RuleId>,
    /// What it is counted under; `None` where the frame could not be read that far.
    pub subject: Option<Subject>,
}

/// What a drop is counted under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The other end.
    pub peer: Address,
    /// IANA number.
    pub protocol: u8,
    /// Destination port of TCP and UDP, type of ICMP and IGMP; `None` for others and for later fragments.
    pub number: Option<u16>,
}

impl Decision {
    /// A verdict without a rule.
    #[inline(always)]
    const fn plain(reason: Reason) -> Self {
        Self { reason, rule: None, subject: None }
    }

    /// Passes under a rule.
    #[inline(always)]
    const fn under(reason: Reason, rule: RuleId) -> Self {
        Self { reason, rule: Some(rule), subject: None }
    }
}

/// The two ends of a packet as the host sees them.
#[derive(Clone, Copy)]
struct Ends {
    direction: Direction,
    local: Address,
    remote: Address,
}

impl Ends {
    #[inline(always)]
    const fn of(headers: &Headers, direction: Direction) -> Self {
        let (local, remote) = match direction {
            Direction::Ingress => (headers.destination, headers.source),
            Direction::Egress => (headers.source, headers.destination),
        };
        Self { direction, local, remote }
    }

    /// The key of a flow with ports.
    #[inline(always)]
    const fn key(&self, source: u16, destination: u16, protocol: u8) -> FlowKey {
        match self.direction {
            Direction::Ingress => FlowKey::new(self.local, self.remote, destination, source, protocol),
            Direction::Egress => FlowKey::new(self.local, self.remote, source, destination, protocol),
        }
    }

    /// The service that this packet would begin.
    #[inline(always)]
    const fn service(&self, protocol: u8, number: u16) -> Service {
        Service { direction: self.direction, protocol, number }
    }
}

/// Judges a packet.
#[inline(always)]
pub fn decide<P: Packet + ?Sized, T: Tables>(packet: &P, direction: Direction, tables: &T) -> Decision {
    match parse(packet) {
        Err(reason) => Decision::plain(reason),
        Ok(Frame::Other(kind)) => Decision::plain(link::judge(kind, tables)),
        Ok(Frame::Ip(headers)) => {
            let ends = Ends::of(&headers, direction);
            let decision = match headers.fragment {
                Fragment::Later { id, at } => fragment::later(&headers, id, at, tables),
                Fragment::First { id } => {
                    let decision = whole(packet, &headers, &ends, tables);
                    fragment::first(&headers, id, decision, tables);
                    decision
                }
                Fragment::Whole => whole(packet, &headers, &ends, tables),
            };
            Decision { subject: Some(subject(&headers, &ends)), ..decision }
        }
    }
}

/// A packet that has its transport header.
#[inline(always)]
fn whole<P: Packet + ?Sized, T: Tables>(packet: &P, headers: &Headers, ends: &Ends, tables: &T) -> Decision {
    match headers.transport {
        Transport::Tcp(tcp) => tcp::judge(&tcp, ends, tables),
        Transport::Udp { source, destination } => datagram::udp(source, destination, headers, ends, tables),
        Transport::Icmp { .. } => icmp::judge(packet, headers, ends, tables),
        Transport::Igmp { kind } => datagram::igmp(kind, ends, tables),
        Transport::None => datagram::other(headers.protocol, ends, tables),
    }
}

#[inline(always)]
const fn subject(headers: &Headers, ends: &Ends) -> Subject {
    let number = match headers.transport {
        Transport::Tcp(tcp) => Some(tcp.destination),
        Transport::Udp { destination, .. } => Some(destination),
        Transport::Icmp { kind, .. } | Transport::Igmp { kind } => Some(kind as u16),
        Transport::None => None,
    };
    Subject { peer: ends.remote, protocol: headers.protocol, number }
}

/// Whether the protocol belongs to the family: ICMP is no answer on IPv6.
#[inline(always)]
const fn fits(number: u8, v4: bool) -> bool {
    match number {
        protocol::ICMP | protocol::IGMP => v4,
        protocol::ICMPV6 => !v4,
        _ => true,
    }
}

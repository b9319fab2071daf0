//! What is seen of a packet before any table is asked: its headers, its flow, and its part there.

mod icmp;

use crate::{
    Decision, Direction, Packet, Reason, Service,
    flow::FlowKey,
    number::{dhcp, protocol},
    parse::{Fragment, Headers, parse},
};

/// Everything that a verdict needs of a packet.
///
/// In the kernel it holds what an earlier packet left: see [`Headers`]. [`look`] writes `part` and `judged` always.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// What was read.
    pub headers: Headers,
    /// For [`Part::Reports`]: the flow that an ICMP error is about.
    pub about: FlowKey,
    /// What it is to the state tables.
    pub part: Part,
    /// For [`Part::Judged`]: the reason's number.
    judged: u8,
    /// Explicit padding.
    reserved: [u8; 6],
    /// What clauses said of a flow that begins in either direction; 0 where they were not asked.
    answers: [u32; 2],
}

/// A packet's part in its flow.
#[repr(u8)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// It is judged without any table.
    #[default]
    Judged,
    /// Not IP.
    Link,
    /// A later fragment.
    Follows,
    /// Between a DHCP client on this host and a server.
    Dhcp,
    /// IGMP.
    Igmp,
    /// ICMP that is neither echo nor error: no rule is about it.
    Message,
    /// A TCP connection's SYN.
    Begins,
    /// Any other packet of TCP.
    GoesOn,
    /// Begins a flow without connections, or is part of one.
    Sends,
    /// The answer of an echo.
    Answers,
    /// An ICMP error about a packet of the flow.
    Reports,
}

impl Sight {
    /// The reason of [`Part::Judged`], by number.
    #[inline(always)]
    #[must_use]
    pub const fn judged(&self) -> u8 {
        self.judged
    }

    /// What the packet asks for, if it begins a flow.
    #[inline(always)]
    #[must_use]
    pub const fn service(&self, direction: Direction) -> Service {
        Service { direction, protocol: self.headers.protocol, number: self.headers.number }
    }

    /// What clauses said of a flow that begins in `began`.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn answered(&self, began: Direction) -> Option<Decision> {
        match self.answers[began.index() as usize & 1] {
            0 => None,
            word => Some(Decision::from_word(word)),
        }
    }

    /// Keeps what clauses said. They always give a rule or a reason, so the word is never 0.
    #[inline(always)]
    pub(crate) const fn answer(&mut self, began: Direction, decision: Decision) {
        self.answers[began.index() as usize & 1] = decision.word();
    }

    /// The flow that it has to do with.
    #[inline(always)]
    #[must_use]
    pub const fn key(&self) -> &FlowKey {
        if matches!(self.part, Part::Reports) { &self.about } else { &self.headers.key }
    }

    /// Nothing else has to be asked.
    #[inline(always)]
    pub(crate) const fn judge(&mut self, reason: Reason) {
        self.part = Part::Judged;
        self.judged = reason as u8;
    }
}

/// Reads a packet.
#[inline(always)]
pub fn look<P: Packet + ?Sized>(packet: &P, direction: Direction, sight: &mut Sight) {
    sight.judged = 0;
    sight.answers = [0; 2];
    if let Err(reason) = parse(packet, direction, &mut sight.headers) {
        sight.judge(reason);
        return;
    }
    let headers = &sight.headers;
    if !headers.is_ip() {
        sight.part = Part::Link;
        return;
    }
    if matches!(headers.fragment, Fragment::Later) {
        sight.part = Part::Follows;
        return;
    }
    match headers.protocol {
        protocol::TCP => sight.part = if headers.begins() { Part::Begins } else { Part::GoesOn },
        protocol::UDP => sight.part = if is_dhcp(headers, direction) { Part::Dhcp } else { Part::Sends },
        protocol::ICMP | protocol::ICMPV6 | protocol::IGMP => packet.message(direction, sight),
        _ => sight.part = Part::Sends,
    }
}

/// Completes what is seen of an ICMP or IGMP message: on the other family these three mean nothing.
#[inline(always)]
pub fn message<P: Packet + ?Sized>(packet: &P, direction: Direction, sight: &mut Sight) {
    let of_v4 = sight.headers.protocol != protocol::ICMPV6;
    if of_v4 != sight.headers.is_v4() {
        sight.judge(Reason::Protocol);
    } else if sight.headers.protocol == protocol::IGMP {
        sight.part = Part::Igmp;
    } else {
        icmp::look(packet, direction, sight);
    }
}

/// Between this host's client and any server (RFC 2131, section 4.1; RFC 8415, section 7.2).
#[inline(always)]
const fn is_dhcp(headers: &Headers, direction: Direction) -> bool {
    let (client, server) = (headers.key.local_port(), headers.key.remote_port());
    if headers.is_v4() {
        return client == dhcp::CLIENT && server == dhcp::SERVER;
    }
    client == dhcp::CLIENT_V6 && server == dhcp::SERVER_V6 && headers.source(direction).is_link_local_v6()
}

//! The short way for the packets that come most: an untagged, whole IPv4 or IPv6 packet without options, of TCP or
//! UDP, that is part of an established flow, or that is refused.
//!
//! It decides what [`crate::look`] and [`crate::decide()`] would, or nothing; a property test holds them together.
//! The kernel programs keep all of it in registers.

use crate::{
    Address, Decision, Direction, Packet, Reason, Service, Tables,
    class::{Allows, RuleId},
    decide::tcp_goes_on,
    flow::FlowKey,
    number::{dhcp, ethertype, protocol},
    parse::{flags, is_valid},
};

/// The start of an untagged IPv4 frame without options, as it lies there.
#[repr(C, packed)]
#[derive(Clone, Copy, Debug, Default)]
pub struct StartV4 {
    ethertype: u16,
    first: u32,
    fragment: u32,
    third: u32,
    source: u32,
    destination: u32,
    transport: StartTransport,
}

/// The start of an untagged IPv6 frame without extension headers, as it lies there.
#[repr(C, packed)]
#[derive(Clone, Copy, Debug, Default)]
pub struct StartV6 {
    ethertype: u16,
    first: u32,
    second: u32,
    source: [u64; 2],
    destination: [u64; 2],
    transport: StartTransport,
}

/// The start of a TCP or UDP header.
#[repr(C, packed)]
#[derive(Clone, Copy, Debug, Default)]
struct StartTransport {
    ports: u32,
    second: u32,
    third: u32,
    fourth: u32,
}

/// Both start at the EtherType.
pub const START: u32 = 12;
const NETWORK: u32 = 14;
const HEADER_V4: u32 = 20;
const HEADER_V6: u32 = 40;
const HEADER_TCP: u32 = 20;
const HEADER_UDP: u32 = 8;

impl StartV4 {
    /// Reads it.
    #[inline(always)]
    pub fn of<P: Packet + ?Sized>(packet: &P) -> Option<Self> {
        let [first, fragment, third, source, destination] = packet.words(NETWORK)?;
        let ethertype = u16::from_ne_bytes(packet.read(START)?);
        let transport = StartTransport::of(packet, NETWORK + HEADER_V4)?;
        Some(Self { ethertype, first, fragment, third, source, destination, transport })
    }
}

impl StartV6 {
    /// Reads it.
    #[inline(always)]
    pub fn of<P: Packet + ?Sized>(packet: &P) -> Option<Self> {
        let [first, second] = packet.words(NETWORK)?;
        let half = |at| packet.read(at).map(u64::from_ne_bytes);
        Some(Self {
            ethertype: u16::from_ne_bytes(packet.read(START)?),
            first,
            second,
            source: [half(22)?, half(30)?],
            destination: [half(38)?, half(46)?],
            transport: StartTransport::of(packet, NETWORK + HEADER_V6)?,
        })
    }
}

impl StartTransport {
    #[inline(always)]
    fn of<P: Packet + ?Sized>(packet: &P, at: u32) -> Option<Self> {
        let [ports, second, third, fourth] = packet.words(at)?;
        Some(Self { ports, second, third, fourth })
    }
}

/// What is known of a packet that goes the short way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain {
    /// Its flow.
    pub key: FlowKey,
    /// Destination port.
    pub number: u16,
    /// IANA number.
    pub protocol: u8,
    /// TCP flags.
    pub flags: u8,
    /// TCP sequence number.
    pub sequence: u32,
    /// TCP acknowledgement number.
    pub acknowledgement: u32,
    /// Where the IP packet ends in the frame.
    pub end: u32,
}

/// Reads a packet that may go the short way.
#[inline(always)]
pub fn plain<P: Packet + ?Sized>(packet: &P, direction: Direction) -> Option<Plain> {
    let v4 = packet.start_v4()?;
    if u16::from_be(v4.ethertype) == ethertype::IPV4 {
        return plain_v4(packet, &v4, direction);
    }
    let v6 = packet.start_v6()?;
    if u16::from_be(v6.ethertype) == ethertype::IPV6 { plain_v6(packet, &v6, direction) } else { None }
}

#[inline(always)]
fn plain_v4<P: Packet + ?Sized>(packet: &P, start: &StartV4, direction: Direction) -> Option<Plain> {
    let (first, third) = (u32::from_be(start.first), u32::from_be(start.third));
    // Version 4, five words; all but "don't fragment" is 0.
    if first >> 24 != 0x45 || u32::from_be(start.fragment) & 0x3fff != 0 {
        return None;
    }
    let key =
        FlowKey::between(Address::v4_word(start.source), Address::v4_word(start.destination), direction);
    let end = NETWORK + (first & 0xffff);
    transport(packet, &start.transport, key, (third >> 16) as u8, NETWORK + HEADER_V4, end, direction)
}

#[inline(always)]
fn plain_v6<P: Packet + ?Sized>(packet: &P, start: &StartV6, direction: Direction) -> Option<Plain> {
    let second = u32::from_be(start.second);
    if u32::from_be(start.first) >> 28 != 6 {
        return None;
    }
    let (source, destination) = (Address::from_words(start.source), Address::from_words(start.destination));
    // No IPv4 address may stand in an IPv6 header; the long way says so.
    if source.is_v4() || destination.is_v4() {
        return None;
    }
    let key = FlowKey::between(source, destination, direction);
    let end = NETWORK + HEADER_V6 + (second >> 16);
    transport(packet, &start.transport, key, (second >> 8) as u8, NETWORK + HEADER_V6, end, direction)
}

#[inline(always)]
fn transport<P: Packet + ?Sized>(
    packet: &P,
    start: &StartTransport,
    mut key: FlowKey,
    number: u8,
    offset: u32,
    end: u32,
    direction: Direction,
) -> Option<Plain> {
    let (ports, fourth) = (u32::from_be(start.ports), u32::from_be(start.fourth));
    let (source, destination) = ((ports >> 16) as u16, ports as u16);
    let flags = (fourth >> 16) as u8;
    let (fits, flags) = if number == protocol::TCP {
        let length = (fourth >> 28) * 4;
        (length >= HEADER_TCP && is_valid(flags) && offset + length <= end, flags)
    } else if number == protocol::UDP {
        let length = u32::from_be(start.second) >> 16;
        (length >= HEADER_UDP && offset + length <= end, 0)
    } else {
        (false, 0)
    };
    if !fits || !packet.reaches(end) {
        return None;
    }
    key.carry(source, destination, direction, number);
    Some(Plain {
        key,
        number: destination,
        protocol: number,
        flags,
        sequence: u32::from_be(start.second),
        acknowledgement: u32::from_be(start.third),
        end,
    })
}

/// What the short way came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Part of an established flow, under this rule.
    Established(RuleId),
    /// Dropped.
    Refused(Decision),
    /// Not for the short way to say.
    Unsaid,
}

impl Outcome {
    /// As the long way says it, where the short way says anything.
    #[must_use]
    pub const fn decision(self) -> Option<Decision> {
        match self {
            Self::Established(rule) => Some(Decision::under(Reason::Established, rule)),
            Self::Refused(decision) => Some(decision),
            Self::Unsaid => None,
        }
    }
}

/// Judges a packet that may go the short way.
#[inline(always)]
pub fn judge<T: Tables>(plain: &Plain, direction: Direction, tables: &T) -> Outcome {
    if plain.begins() {
        return refusal(plain, direction, tables);
    }
    let Some(live) = tables.established(&plain.key) else { return unknown(plain, direction, tables) };
    if live.state.generation() != tables.generation() {
        return Outcome::Unsaid;
    }
    let state = if plain.protocol == protocol::TCP {
        tcp_goes_on(live.state, plain.flags, plain.sequence, plain.acknowledgement, direction)
    } else {
        live.state
    };
    tables.refresh(&live, &plain.key, state.at(tables.now()));
    Outcome::Established(live.state.rule())
}

/// A packet of no established flow: if it waits for no answer either, TCP is in the middle of nothing, and UDP needs
/// a rule.
#[inline(always)]
fn unknown<T: Tables>(plain: &Plain, direction: Direction, tables: &T) -> Outcome {
    if tables.is_embryonic(&plain.key) {
        return Outcome::Unsaid;
    }
    if plain.protocol == protocol::UDP {
        return if plain.is_dhcp() { Outcome::Unsaid } else { refusal(plain, direction, tables) };
    }
    let adopts = tables.now() < tables.settings().adopt_until();
    if adopts { Outcome::Unsaid } else { Outcome::Refused(Decision::plain(Reason::NoState)) }
}

/// Why the packet may not begin a flow; that it may is not for the short way to say.
#[inline(always)]
fn refusal<T: Tables>(plain: &Plain, direction: Direction, tables: &T) -> Outcome {
    let service = Service { direction, protocol: plain.protocol, number: plain.number };
    let ruled = match tables.class(service).allows() {
        Allows::Nobody => return Outcome::Refused(Decision::plain(Reason::NoRule)),
        Allows::Anybody(_) | Allows::Particular(_) => return Outcome::Unsaid,
        Allows::Peers(number) => tables.among(number, &plain.key.remote()),
    };
    if ruled.passes() { Outcome::Unsaid } else { Outcome::Refused(ruled) }
}

impl Plain {
    /// Whether it is a SYN.
    #[inline(always)]
    #[must_use]
    pub const fn begins(&self) -> bool {
        self.flags & (flags::SYN | flags::ACK) == flags::SYN
    }

    /// Whether the baseline may have to do with it.
    #[inline(always)]
    const fn is_dhcp(&self) -> bool {
        matches!(self.key.local_port(), dhcp::CLIENT | dhcp::CLIENT_V6)
    }
}

//! The short way for the packets that come most: an untagged, whole IPv4 or IPv6 packet without options, of TCP or
//! UDP, that is part of an established flow, or that is refused.
//!
//! It decides what [`crate::look`] and [`crate::decide()`] would, or nothing; a suite holds them together, packet by packet.
//! The kernel programs keep all of it in registers.

mod start;

pub use self::start::{Ends, START, StartV4, StartV6};
use self::start::{EndsV4, EndsV6, StartTransport, TRANSPORT_V4, TRANSPORT_V6};
use crate::{
    Address, Direction, Packet, Reason, Service, Tables,
    class::{Allows, RuleId},
    decide::tcp_goes_on,
    flow::{FlowKey, FlowState},
    number::{dhcp, protocol},
    parse::{flags, is_valid},
    service::Transport,
};

const HEADER_TCP: u64 = 20;
const HEADER_UDP: u64 = 8;

/// What is known of a packet that goes the short way.
#[derive(Clone, Copy, Debug)]
pub struct Plain<E> {
    ends: E,
    /// TCP or UDP.
    pub transport: Transport,
    /// TCP flags; 0 for UDP.
    flags: u8,
    /// Source and destination port, as they lie in the packet.
    ports: u32,
    /// Where the transport header begins in the frame.
    offset: u32,
}

/// Judges a packet that may go the short way. Each family has its own way through: what the compiler knows of an
/// IPv4 address need not be compared.
#[inline(always)]
pub fn judge<P: Packet + ?Sized, T: Tables, O: Outcomes>(
    packet: &P,
    direction: Direction,
    tables: &T,
    outcomes: &O,
) -> O::Out {
    let Some(v4) = packet.start_v4() else { return outcomes.unsaid() };
    if v4.is_plain() {
        let ip = Ip {
            ends: EndsV4([v4.source, v4.destination]),
            protocol: v4.protocol(),
            offset: TRANSPORT_V4,
            end: v4.end(),
        };
        return v4.transport.judge(&ip, packet, direction, tables, outcomes);
    }
    let Some(v6) = packet.start_v6() else { return outcomes.unsaid() };
    if !v6.is_plain() {
        return outcomes.unsaid();
    }
    let ends = EndsV6([v6.source, v6.destination]);
    // An IPv4 address in an IPv6 header is that of no host: it begins with eight zeros, as nothing does that comes often.
    if ends.begin_with_zeros() {
        return outcomes.unsaid();
    }
    let ip = Ip { ends, protocol: v6.next, offset: TRANSPORT_V6, end: v6.end() };
    v6.transport.judge(&ip, packet, direction, tables, outcomes)
}

/// What an IP header says.
#[derive(Clone, Copy)]
struct Ip<E> {
    ends: E,
    protocol: u8,
    /// Where the transport header begins in the frame.
    offset: u32,
    /// Where the packet ends in the frame.
    end: u64,
}

impl StartTransport {
    #[inline(always)]
    fn judge<E: Ends, P: Packet + ?Sized, T: Tables, O: Outcomes>(
        self,
        ip: &Ip<E>,
        packet: &P,
        direction: Direction,
        tables: &T,
        outcomes: &O,
    ) -> O::Out {
        // A frame in several buffers goes the long way.
        if ip.end > packet.length() {
            return outcomes.unsaid();
        }
        let plain = |transport, flags| Plain {
            ends: ip.ends,
            transport,
            flags,
            ports: self.ports,
            offset: ip.offset,
        };
        if ip.protocol == protocol::TCP {
            let Some(flags) = self.tcp_flags(ip) else { return outcomes.unsaid() };
            let tcp = plain(Transport::TCP, flags);
            if tcp.begins() {
                return tcp.refusal(direction, tables, outcomes);
            }
            if is_valid(flags) {
                return tcp.goes_on(packet, direction, tables, outcomes);
            }
        } else if ip.protocol == protocol::UDP && self.is_udp(ip) {
            return plain(Transport::UDP, 0).goes_on(packet, direction, tables, outcomes);
        }
        outcomes.unsaid()
    }

    /// The flags of a TCP header that fits into the packet.
    #[inline(always)]
    fn tcp_flags<E>(self, ip: &Ip<E>) -> Option<u8> {
        let [length, flags] = self.fourth.to_ne_bytes();
        let length = u64::from(length & 0xf0) / 4;
        (length >= HEADER_TCP && u64::from(ip.offset) + length <= ip.end).then_some(flags)
    }

    /// Whether it is a UDP header that fits into the packet, with what it announces.
    #[inline(always)]
    fn is_udp<E>(self, ip: &Ip<E>) -> bool {
        let [high, low, ..] = self.second.to_ne_bytes();
        let length = u64::from(u16::from_be_bytes([high, low]));
        length >= HEADER_UDP && u64::from(ip.offset) + length <= ip.end
    }
}

/// What becomes of a packet. Each outcome is named where it arises, so that the kernel programs know it when they
/// are compiled. A refusal is not for the short way to say where its direction alone is observed, since it begins a flow
/// then: see [`Posture::observes_alone`](crate::switch::Posture::observes_alone).
pub trait Outcomes {
    /// What it comes to.
    type Out;

    /// Part of an established flow, under this rule, at this tick.
    fn established<E: Ends>(&self, plain: &Plain<E>, rule: RuleId, now: u64) -> Self::Out;

    /// Dropped: nothing documents the port.
    fn no_rule<E: Ends>(&self, plain: &Plain<E>) -> Self::Out;

    /// Dropped: this rule documents the port, for other peers.
    fn wrong_peer<E: Ends>(&self, plain: &Plain<E>, nearest: RuleId) -> Self::Out;

    /// Dropped: in the middle of nothing.
    fn no_state<E: Ends>(&self, plain: &Plain<E>) -> Self::Out;

    /// Not for the short way to say.
    fn unsaid(&self) -> Self::Out;
}

impl<E: Ends> Plain<E> {
    #[inline(always)]
    fn goes_on<P: Packet + ?Sized, T: Tables, O: Outcomes>(
        &self,
        packet: &P,
        direction: Direction,
        tables: &T,
        outcomes: &O,
    ) -> O::Out {
        let (key, now) = (self.key(direction), tables.now());
        let Some(live) = tables.established(&key, now) else {
            return self.unknown(&key, now, direction, tables, outcomes);
        };
        if live.state.generation() != tables.generation() {
            return outcomes.unsaid();
        }
        let Some(state) = self.advance(packet, live.state, direction) else { return outcomes.unsaid() };
        tables.refresh(&live, &key, state.at(now));
        outcomes.established(self, live.state.rule(), now)
    }

    /// A packet of no established flow: if it waits for no answer either, TCP is in the middle of nothing, and UDP
    /// needs a rule.
    #[inline(always)]
    fn unknown<T: Tables, O: Outcomes>(
        &self,
        key: &FlowKey,
        now: u64,
        direction: Direction,
        tables: &T,
        outcomes: &O,
    ) -> O::Out {
        if tables.is_embryonic(key) {
            return outcomes.unsaid();
        }
        if self.transport.is_tcp() {
            let adopts = now < tables.settings().adopt_until();
            return if adopts { outcomes.unsaid() } else { outcomes.no_state(self) };
        }
        if matches!(key.local_port(), dhcp::CLIENT | dhcp::CLIENT_V6) {
            return outcomes.unsaid();
        }
        self.refusal(direction, tables, outcomes)
    }

    /// Why the packet may not begin a flow; that it may is not for the short way to say.
    #[inline(always)]
    fn refusal<T: Tables, O: Outcomes>(&self, direction: Direction, tables: &T, outcomes: &O) -> O::Out {
        if !tables.documents(direction, self.transport, self.number()) {
            return outcomes.no_rule(self);
        }
        let slot = Service::port_slot(direction, self.transport, self.number());
        match tables.class_at(slot).allows() {
            Allows::Nobody => outcomes.no_rule(self),
            Allows::Anybody(_) | Allows::Particular(_) => outcomes.unsaid(),
            Allows::Peers(number) => self.stranger(number, direction, tables, outcomes),
        }
    }

    /// Whether it is a SYN, and nothing else that would make it one of no host.
    #[inline(always)]
    const fn begins(&self) -> bool {
        use flags::{ACK, FIN, RST, SYN};
        self.flags & (FIN | SYN | RST | ACK) == SYN
    }

    /// Whether the peer is none of a numbered class.
    #[inline(always)]
    fn stranger<T: Tables, O: Outcomes>(
        &self,
        number: u16,
        direction: Direction,
        tables: &T,
        outcomes: &O,
    ) -> O::Out {
        let remote = self.remote(direction);
        let Some(peering) = tables.peering(number) else { return outcomes.unsaid() };
        if peering.excludes(&remote) {
            return outcomes.wrong_peer(self, peering.nearest());
        }
        match tables.among(number, &remote) {
            ruled if ruled.is(Reason::WrongPeer) => outcomes.wrong_peer(self, ruled.id()),
            _ => outcomes.unsaid(),
        }
    }

    /// The other end.
    #[inline(always)]
    #[must_use]
    pub fn remote(&self, direction: Direction) -> Address {
        match direction {
            Direction::Ingress => self.ends.source(),
            Direction::Egress => self.ends.destination(),
        }
    }

    /// Destination port.
    #[inline(always)]
    #[must_use]
    pub const fn number(&self) -> u16 {
        let [_, _, high, low] = self.ports.to_ne_bytes();
        u16::from_be_bytes([high, low])
    }

    #[inline(always)]
    fn key(&self, direction: Direction) -> FlowKey {
        let mut key = FlowKey::between(self.ends.source(), self.ends.destination(), direction);
        let ports = u32::from_be(self.ports);
        key.carry((ports >> 16) as u16, ports as u16, direction, self.transport.number());
        key
    }

    /// The state of its flow with this packet.
    #[inline(always)]
    fn advance<P: Packet + ?Sized>(
        &self,
        packet: &P,
        state: FlowState,
        direction: Direction,
    ) -> Option<FlowState> {
        if !self.transport.is_tcp() {
            return Some(state);
        }
        let [acknowledgement] = packet.words(self.offset + 8)?.map(u32::from_be);
        // Without one, a reset is none that its receiver would take: far off what was acknowledged.
        let sequence = || packet.words(self.offset + 4).map_or(0, |[sequence]| u32::from_be(sequence));
        Some(tcp_goes_on(state, self.flags, sequence, acknowledgement, direction))
    }
}

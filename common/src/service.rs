//! What a first packet asks for: direction, protocol and number, and its place in the class table.

use crate::{Direction, number::protocol};

/// Protocols with a table of 65,536 ports each.
const PORTS: u32 = 1 << 16;
/// Numbers of ICMP types, of ICMPv6 types, of IGMP types and of IP protocols.
const NUMBERS: u32 = 1 << 8;
/// Slots of one direction.
const DIRECTION: u32 = 2 * PORTS + 4 * NUMBERS;

/// A protocol with ports: TCP or UDP.
///
/// A number and no enum, since the kernel programs compute with it: a choice between two is a branch there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport(u64);

impl Transport {
    /// TCP.
    pub const TCP: Self = Self(protocol::TCP as u64);
    /// UDP.
    pub const UDP: Self = Self(protocol::UDP as u64);

    /// That of an IANA number, if it has ports.
    #[inline(always)]
    #[must_use]
    pub const fn of(number: u8) -> Option<Self> {
        match number {
            protocol::TCP | protocol::UDP => Some(Self(number as u64)),
            _ => None,
        }
    }

    /// IANA number.
    #[inline(always)]
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0 as u8
    }

    /// Place of its tables: 0 for TCP, 1 for UDP.
    #[inline(always)]
    #[must_use]
    pub const fn index(self) -> u64 {
        self.0 & 1
    }

    /// Whether it is TCP.
    #[inline(always)]
    #[must_use]
    pub const fn is_tcp(self) -> bool {
        self.0 == Self::TCP.0
    }
}

const _: () = assert!(Transport::TCP.index() == 0 && Transport::UDP.index() == 1);

/// A direction, an IP protocol, and the number that tells its services apart: the destination port of TCP and
/// UDP, the type of ICMP, ICMPv6 and IGMP, 0 for other protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Service {
    /// Who sends the first packet.
    pub direction: Direction,
    /// IANA number.
    pub protocol: u8,
    /// Port or type.
    pub number: u16,
}

impl Service {
    /// Slots in the class table.
    pub const SLOTS: u32 = 2 * DIRECTION;

    /// The slot of a port in the class table.
    #[inline(always)]
    #[must_use]
    pub const fn port_slot(direction: Direction, transport: Transport, port: u16) -> u32 {
        direction.index() * DIRECTION + transport.index() as u32 * PORTS + port as u32
    }

    /// The slot in the class table.
    #[inline(always)]
    #[must_use]
    pub const fn slot(self) -> u32 {
        if let Some(transport) = Transport::of(self.protocol) {
            return Self::port_slot(self.direction, transport, self.number);
        }
        let kind = self.number as u32 & (NUMBERS - 1);
        let within = match self.protocol {
            protocol::ICMP => 2 * PORTS + kind,
            protocol::ICMPV6 => 2 * PORTS + NUMBERS + kind,
            protocol::IGMP => 2 * PORTS + 2 * NUMBERS + kind,
            other => 2 * PORTS + 3 * NUMBERS + other as u32,
        };
        self.direction.index() * DIRECTION + within
    }

    /// The name of its protocol in outputs; `None` for protocols that go by number.
    #[must_use]
    pub const fn protocol_name(protocol: u8) -> Option<&'static str> {
        match protocol {
            protocol::TCP => Some("tcp"),
            protocol::UDP => Some("udp"),
            protocol::ICMP => Some("icmp"),
            protocol::ICMPV6 => Some("icmpv6"),
            protocol::IGMP => Some("igmp"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_has_its_own_slot() {
        let mut seen = [false; Service::SLOTS as usize];
        for direction in Direction::ALL {
            for number in 0..=u16::MAX {
                for protocol in [protocol::TCP, protocol::UDP] {
                    let slot = Service { direction, protocol, number }.slot() as usize;
                    assert!(!core::mem::replace(&mut seen[slot], true));
                }
            }
            for number in 0..256 {
                for protocol in [protocol::ICMP, protocol::ICMPV6, protocol::IGMP] {
                    let slot = Service { direction, protocol, number }.slot() as usize;
                    assert!(!core::mem::replace(&mut seen[slot], true));
                }
            }
            for protocol in [0, 41, 47, 50, 51, 132, 255] {
                let slot = Service { direction, protocol, number: 0 }.slot() as usize;
                assert!(!core::mem::replace(&mut seen[slot], true));
            }
        }
    }
}

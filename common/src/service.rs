//! What a first packet asks for: direction, protocol and number, and its place in the class table.

use crate::{Direction, number::protocol};

/// Protocols with a table of 65,536 ports each.
const PORTS: u32 = 1 << 16;
/// Numbers of ICMP types, of ICMPv6 types, of IGMP types and of IP protocols.
const NUMBERS: u32 = 1 << 8;
/// Slots of one direction.
const DIRECTION: u32 = 2 * PORTS + 4 * NUMBERS;

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

    /// The slot in the class table.
    #[inline(always)]
    #[must_use]
    pub const fn slot(self) -> u32 {
        let number = self.number as u32;
        let kind = number & (NUMBERS - 1);
        let within = match self.protocol {
            protocol::TCP => number,
            protocol::UDP => PORTS + number,
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

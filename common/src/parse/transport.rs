//! The first bytes of the transport: TCP, UDP, ICMP, ICMPv6 and IGMP.

use super::Fragment;
use crate::{Packet, Reason, number::protocol};

/// Bytes before an ICMP message's body (RFC 792, RFC 4443).
pub(super) const ICMP_HEADER: usize = 8;
const TCP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
const IGMP_HEADER: usize = 8;

/// What a verdict needs of the transport header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp(Tcp),
    /// UDP.
    Udp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
    },
    /// ICMP, or ICMPv6: the IP header's family tells.
    Icmp {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
        /// Identifier of an echo, otherwise whatever stands there.
        identifier: u16,
    },
    /// IGMP, by type.
    Igmp {
        /// Type.
        kind: u8,
    },
    /// Another protocol, or a later fragment.
    None,
}

/// A TCP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
    /// The flags of [`flags`].
    pub flags: u8,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number.
    pub acknowledgement: u32,
}

/// TCP flags (RFC 9293).
pub mod flags {
    /// No more data.
    pub const FIN: u8 = 0x01;
    /// Begin.
    pub const SYN: u8 = 0x02;
    /// Abort.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement number counts.
    pub const ACK: u8 = 0x10;
    /// The urgent pointer counts.
    pub const URG: u8 = 0x20;
}

impl Tcp {
    /// A first packet: SYN without ACK.
    #[inline(always)]
    #[must_use]
    pub const fn begins(&self) -> bool {
        self.flags & (flags::SYN | flags::ACK) == flags::SYN
    }
}

/// Flags that no host sends together are a scan or a fault. The combinations are those that Linux's own tracking
/// takes (`tcp_valid_flags` in `nf_conntrack_proto_tcp.c`).
#[inline(always)]
const fn valid(all: u8) -> bool {
    use flags::{ACK, FIN, RST, SYN};
    matches!(all & (FIN | SYN | RST | ACK), SYN | 0x12 | RST | 0x14 | 0x11 | ACK)
}

/// Reads the header; a fragment's first part must hold all of it.
#[inline(always)]
pub(super) fn parse<P: Packet + ?Sized>(
    packet: &P,
    offset: usize,
    end: usize,
    number: u8,
    fragment: Fragment,
) -> Result<Transport, Reason> {
    let short = match fragment {
        Fragment::Whole => Reason::Malformed,
        Fragment::First { .. } => Reason::Fragment,
        Fragment::Later { .. } => return Ok(Transport::None),
    };
    let holds = |length: usize| if offset + length <= end { Ok(()) } else { Err(short) };
    match number {
        protocol::TCP => {
            holds(TCP_HEADER)?;
            let tcp: [u8; TCP_HEADER] = packet.read(offset).ok_or(short)?;
            let [s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, length, flags, ..] = tcp;
            let length = usize::from(length >> 4) * 4;
            if length < TCP_HEADER || !valid(flags) {
                return Err(Reason::Malformed);
            }
            holds(length)?;
            Ok(Transport::Tcp(Tcp {
                source: u16::from_be_bytes([s0, s1]),
                destination: u16::from_be_bytes([d0, d1]),
                flags,
                sequence: u32::from_be_bytes([q0, q1, q2, q3]),
                acknowledgement: u32::from_be_bytes([a0, a1, a2, a3]),
            }))
        }
        protocol::UDP => {
            holds(UDP_HEADER)?;
            let [s0, s1, d0, d1, l0, l1, ..]: [u8; UDP_HEADER] = packet.read(offset).ok_or(short)?;
            let length = usize::from(u16::from_be_bytes([l0, l1]));
            // A super-packet beyond 64 KiB says 0.
            let short = length < UDP_HEADER && (length != 0 || packet.segments() == 1);
            let long = matches!(fragment, Fragment::Whole) && offset + length > end;
            if short || long {
                return Err(Reason::Malformed);
            }
            Ok(Transport::Udp {
                source: u16::from_be_bytes([s0, s1]),
                destination: u16::from_be_bytes([d0, d1]),
            })
        }
        protocol::ICMP | protocol::ICMPV6 => {
            holds(ICMP_HEADER)?;
            let [kind, code, _, _, i0, i1, ..]: [u8; ICMP_HEADER] = packet.read(offset).ok_or(short)?;
            Ok(Transport::Icmp { kind, code, identifier: u16::from_be_bytes([i0, i1]) })
        }
        protocol::IGMP => {
            holds(IGMP_HEADER)?;
            let [kind] = packet.read(offset).ok_or(short)?;
            Ok(Transport::Igmp { kind })
        }
        _ => Ok(Transport::None),
    }
}

/// The first eight bytes, which every quote has (RFC 792; RFC 4443 quotes more).
#[inline(always)]
pub(super) fn quoted<P: Packet + ?Sized>(packet: &P, offset: usize, number: u8) -> Option<Transport> {
    let [b0, b1, b2, b3, b4, b5, b6, b7]: [u8; 8] = packet.read(offset)?;
    let (source, destination) = (u16::from_be_bytes([b0, b1]), u16::from_be_bytes([b2, b3]));
    match number {
        protocol::TCP => {
            let sequence = u32::from_be_bytes([b4, b5, b6, b7]);
            Some(Transport::Tcp(Tcp { source, destination, flags: flags::ACK, sequence, acknowledgement: 0 }))
        }
        protocol::UDP => Some(Transport::Udp { source, destination }),
        protocol::ICMP | protocol::ICMPV6 => {
            Some(Transport::Icmp { kind: b0, code: b1, identifier: u16::from_be_bytes([b4, b5]) })
        }
        _ => Some(Transport::None),
    }
}

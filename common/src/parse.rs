//! From bytes to headers: Ethernet, two VLAN tags, IPv4, IPv6, and the transport's first bytes.

mod ethernet;
mod ipv4;
mod ipv6;
mod transport;

pub use transport::{Tcp, Transport, flags};

use crate::{Address, Packet, Reason, number::ethertype};

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Not IP: its EtherType, or a length below 0x600 for LLC.
    Other(u16),
    /// An IP packet.
    Ip(Headers),
}

/// The headers of an IP packet that a verdict needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers {
    /// Who sent it.
    pub source: Address,
    /// To whom.
    pub destination: Address,
    /// IANA number of the transport protocol.
    pub protocol: u8,
    /// Time to live or hop limit.
    pub hop_limit: u8,
    /// Where it stands in a fragmented datagram.
    pub fragment: Fragment,
    /// The transport header's fields.
    pub transport: Transport,
    /// Offset of the transport header in the frame.
    pub offset: usize,
    /// Offset at which the IP packet ends in the frame.
    pub end: usize,
}

/// A packet's place in its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragment {
    /// Not fragmented.
    Whole,
    /// The first of several: it has the transport header.
    First {
        /// The datagram's id.
        id: u32,
    },
    /// A later one: it has no transport header.
    Later {
        /// The datagram's id.
        id: u32,
        /// Offset in the datagram's payload, bytes.
        at: u16,
    },
}

/// Reads a frame.
///
/// # Errors
///
/// A drop's reason: `malformed`, `vlan-depth`, `ext-header` or `fragment`.
#[inline(always)]
pub fn parse<P: Packet + ?Sized>(packet: &P) -> Result<Frame, Reason> {
    let (kind, offset) = ethernet::parse(packet)?;
    match kind {
        ethertype::IPV4 => ipv4::parse(packet, offset).map(Frame::Ip),
        ethertype::IPV6 => ipv6::parse(packet, offset).map(Frame::Ip),
        other => Ok(Frame::Other(other)),
    }
}

/// The addresses and ports of the packet that an ICMP error quotes, as far as the quote goes.
///
/// `None` where the quote is too short or is not a first fragment.
#[inline(always)]
pub fn quoted<P: Packet + ?Sized>(packet: &P, headers: &Headers) -> Option<Headers> {
    let offset = headers.offset + transport::ICMP_HEADER;
    if headers.source.is_v4() { ipv4::quoted(packet, offset) } else { ipv6::quoted(packet, offset) }
}

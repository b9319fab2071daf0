//! From bytes to headers: Ethernet, two VLAN tags, IPv4, IPv6, and the transport's first bytes.
//!
//! Everything is read into one plain [`Headers`]: the kernel programs keep its fields in registers, which an enum
//! with different fields a variant would not let them.

mod ethernet;
mod ipv4;
mod ipv6;
mod transport;

pub use ipv6::{Walk, walk};
pub(crate) use transport::is_valid;

use crate::{
    Address, Direction, Packet, Reason,
    flow::FlowKey,
    number::{ethertype, protocol},
    service::Transport,
};

/// The headers of a frame, as far as they were read.
///
/// In the kernel it holds what an earlier packet left, so what is read of it must have been written for this packet:
/// [`parse`] clears all from `offset` on, and the rest only counts where these say so.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// Both ends, for IP packets; ports and protocol where the transport header was read.
    pub key: FlowKey,
    /// TCP sequence number.
    pub sequence: u32,
    /// TCP acknowledgement number.
    pub acknowledgement: u32,
    /// Offset of the transport header in the frame.
    pub offset: u32,
    /// Offset at which the IP packet ends in the frame; 0 where there is none.
    pub end: u32,
    /// The datagram's id, if it is fragmented.
    pub fragment_id: u32,
    /// Where a fragment's transport bytes begin in what is fragmented: of the first one behind its extension headers.
    pub fragment_at: u16,
    /// EtherType behind the tags, or a length below 0x600 for LLC.
    pub ethertype: u16,
    /// Identifier of an echo.
    pub identifier: u16,
    /// Destination port of TCP and UDP, type of ICMP, ICMPv6 and IGMP.
    pub number: u16,
    /// IANA number of the transport protocol.
    pub protocol: u8,
    /// Time to live or hop limit.
    pub hop_limit: u8,
    /// TCP flags, code of ICMP.
    pub flags: u8,
    /// Its place in a fragmented datagram.
    pub fragment: Fragment,
    /// Whether something comes behind the TCP header.
    pub data: bool,
}

/// A packet's place in its datagram.
#[repr(u8)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fragment {
    /// Not fragmented.
    #[default]
    Whole,
    /// The only one of its datagram, which is whole (RFC 6946).
    Only,
    /// The first of several: it has the transport header.
    First,
    /// A later one: it has no transport header.
    Later,
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
}

impl Headers {
    /// Whether it is an IP packet.
    #[inline(always)]
    #[must_use]
    pub const fn is_ip(&self) -> bool {
        matches!(self.ethertype, ethertype::IPV4 | ethertype::IPV6)
    }

    /// Whether it is an IPv4 packet.
    #[inline(always)]
    #[must_use]
    pub const fn is_v4(&self) -> bool {
        self.ethertype == ethertype::IPV4
    }

    /// Whether its transport header was read, and gives a port or type to count under.
    #[inline(always)]
    #[must_use]
    pub const fn has_number(&self) -> bool {
        let numbered = matches!(
            self.protocol,
            protocol::TCP | protocol::UDP | protocol::ICMP | protocol::ICMPV6 | protocol::IGMP
        );
        self.is_ip() && numbered && !matches!(self.fragment, Fragment::Later)
    }

    /// TCP or UDP, if its header was read.
    #[inline(always)]
    #[must_use]
    pub const fn transport(&self) -> Option<Transport> {
        if self.has_number() { Transport::of(self.protocol) } else { None }
    }

    /// Whether any of these TCP flags is set.
    #[inline(always)]
    #[must_use]
    pub const fn has(&self, flags: u8) -> bool {
        self.flags & flags != 0
    }

    /// A TCP connection's first packet: SYN without ACK.
    #[inline(always)]
    #[must_use]
    pub const fn begins(&self) -> bool {
        self.flags & (flags::SYN | flags::ACK) == flags::SYN
    }

    /// Who sent it, in `direction`.
    #[inline(always)]
    #[must_use]
    pub const fn source(&self, direction: Direction) -> Address {
        match direction {
            Direction::Ingress => *self.key.remote(),
            Direction::Egress => *self.key.local(),
        }
    }

    /// To whom, in `direction`.
    #[inline(always)]
    #[must_use]
    pub const fn destination(&self, direction: Direction) -> Address {
        self.source(direction.opposite())
    }

    /// Whether it came as a fragment, be it the only one.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn was_fragmented(&self) -> bool {
        !matches!(self.fragment, Fragment::Whole)
    }

    #[inline(always)]
    const fn clear(&mut self) {
        self.offset = 0;
        self.end = 0;
        self.fragment_id = 0;
        self.fragment_at = 0;
        self.ethertype = 0;
        self.identifier = 0;
        self.number = 0;
        self.protocol = 0;
        self.hop_limit = 0;
        self.flags = 0;
        self.fragment = Fragment::Whole;
        self.data = false;
    }
}

/// Reads a frame's headers.
///
/// # Errors
///
/// A drop's reason: `malformed`, `vlan-depth`, `ext-header` or `fragment`.
#[inline(always)]
pub fn parse<P: Packet + ?Sized>(
    packet: &P,
    direction: Direction,
    headers: &mut Headers,
) -> Result<(), Reason> {
    headers.clear();
    ethernet::parse(packet, headers)?;
    match headers.ethertype {
        ethertype::IPV4 => ipv4::parse(packet, direction, headers)?,
        ethertype::IPV6 => ipv6::parse(packet, direction, headers)?,
        _ => return Ok(()),
    }
    transport::parse(packet, direction, headers)
}

/// Reads the packet that an ICMP error quotes, which went in `direction`, as far as the quote goes; `false` where it
/// is too short or is not a first fragment.
#[inline(always)]
pub fn quoted<P: Packet + ?Sized>(
    packet: &P,
    direction: Direction,
    outer: &Headers,
    inner: &mut Headers,
) -> bool {
    inner.ethertype = outer.ethertype;
    inner.offset = outer.offset + transport::ICMP_HEADER;
    let read = if outer.is_v4() {
        ipv4::quoted(packet, direction, inner)
    } else {
        ipv6::quoted(packet, direction, inner)
    };
    // What lies behind the packet's end is padding.
    let quoted = inner.offset + transport::QUOTED <= outer.end;
    read && quoted && transport::quoted(packet, direction, inner)
}

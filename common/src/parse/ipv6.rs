//! The IPv6 header and its extension headers (RFC 8200).

use super::{Fragment, Headers};
use crate::{Address, Direction, Packet, Reason, flow::FlowKey, number::extension};

const HEADER: u32 = 40;
/// Extension headers that are walked: each kind of RFC 8200 once, destination options twice.
const MAX_EXTENSIONS: usize = 6;
const FRAGMENT_HEADER: u32 = 8;
const MORE_FRAGMENTS: u16 = 1;
const OFFSET: u16 = 0xfff8;
/// Routing headers of type 0 let a sender choose the path; forbidden since RFC 5095.
const ROUTING_TYPE_0: u8 = 0;

#[inline(always)]
pub(super) fn parse<P: Packet + ?Sized>(
    packet: &P,
    direction: Direction,
    headers: &mut Headers,
) -> Result<(), Reason> {
    let payload = fixed(packet, direction, headers).ok_or(Reason::Malformed)?;
    // A super-packet beyond 64 KiB says 0 (kernel commit 09f3d1a3a52c6); so does a jumbogram, which no NIC sends.
    let big = payload == 0 && packet.segments() > 1;
    headers.end = if big { packet.length() as u32 } else { headers.offset + payload };
    if !packet.reaches(headers.end.into()) {
        return Err(Reason::Malformed);
    }
    // It would be taken for the IPv4 host of that address.
    if headers.key.local().is_v4() || headers.key.remote().is_v4() {
        return Err(Reason::Martian);
    }
    pass_extensions(packet, headers)?;
    if headers.offset > headers.end { Err(Reason::Malformed) } else { Ok(()) }
}

/// One fragment header is all that a quote may have before its transport header here: a host that sends other
/// extension headers gets no error through, which is the safe side.
#[inline(always)]
pub(super) fn quoted<P: Packet + ?Sized>(packet: &P, direction: Direction, headers: &mut Headers) -> bool {
    if fixed(packet, direction, headers).is_none() {
        return false;
    }
    if headers.protocol == extension::FRAGMENT {
        let Some([next, _, o0, o1]) = packet.read(headers.offset) else { return false };
        headers.protocol = next;
        headers.offset += 8;
        return u16::from_be_bytes([o0, o1]) & OFFSET == 0;
    }
    true
}

/// Reads the fixed part, moves behind it, and returns the payload's length that it states.
#[inline(always)]
fn fixed<P: Packet + ?Sized>(packet: &P, direction: Direction, headers: &mut Headers) -> Option<u32> {
    let at = headers.offset;
    let [version, _, _, _, p0, p1, next, hop_limit]: [u8; 8] = packet.read(at)?;
    if version >> 4 != 6 {
        return None;
    }
    headers.protocol = next;
    headers.hop_limit = hop_limit;
    let source = Address::v6(packet.read(at + 8)?, packet.read(at + 16)?);
    let destination = Address::v6(packet.read(at + 24)?, packet.read(at + 32)?);
    headers.key = FlowKey::between(source, destination, direction);
    headers.offset += HEADER;
    Some(u16::from_be_bytes([p0, p1]).into())
}

/// Where a walk over the extension headers ended, in one word: a function in the kernel returns it.
///
/// The offset behind them in bits 0 to 15, the offset of the fragment header (0: none) in bits 16 to 31, the protocol
/// in bits 32 to 39, and in bits 40 to 47 the number of the reason why it stopped (0: it did not).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk(u64);

impl Walk {
    /// Six extension headers end within 12.5 KiB. The verifier learns it from this mask.
    const OFFSET: u64 = 0x3fff;

    #[inline(always)]
    const fn arrived(offset: u32, fragment: u32, protocol: u8) -> Self {
        Self((protocol as u64) << 32 | (fragment as u64 & Self::OFFSET) << 16 | offset as u64 & Self::OFFSET)
    }

    #[inline(always)]
    const fn stopped(reason: Reason) -> Self {
        Self((reason as u64) << 40)
    }

    /// As it is returned.
    #[inline(always)]
    #[must_use]
    pub const fn word(self) -> u64 {
        self.0
    }

    /// As it was returned.
    #[inline(always)]
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        Self(word)
    }

    #[inline(always)]
    const fn stop(self) -> u8 {
        (self.0 >> 40) as u8
    }

    #[inline(always)]
    const fn protocol(self) -> u8 {
        (self.0 >> 32) as u8
    }

    #[inline(always)]
    const fn fragment(self) -> u32 {
        (self.0 >> 16 & Self::OFFSET) as u32
    }

    #[inline(always)]
    const fn offset(self) -> u32 {
        (self.0 & Self::OFFSET) as u32
    }
}

/// Walks over the extension headers from `first` at `start`, up to the transport header or into a later fragment.
#[inline(always)]
pub fn walk<P: Packet + ?Sized>(packet: &P, first: u8, start: u32) -> Walk {
    let (mut protocol, mut at, mut fragmented) = (first, start, 0);
    for position in 0..MAX_EXTENSIONS {
        let Some([next, length, b2, b3]) = packet.read(at) else { return Walk::stopped(Reason::Malformed) };
        let size = (u32::from(length) + 1) * 8;
        let word = u16::from_be_bytes([b2, b3]);
        let last = match protocol {
            extension::FRAGMENT => {
                fragmented = at;
                at += 8;
                word & OFFSET != 0
            }
            extension::HOP_BY_HOP if position != 0 => return Walk::stopped(Reason::ExtHeader),
            extension::ROUTING if b2 == ROUTING_TYPE_0 => return Walk::stopped(Reason::ExtHeader),
            _ => {
                at += size;
                false
            }
        };
        protocol = next;
        if last || !is_extension(next) {
            return Walk::arrived(at, fragmented, protocol);
        }
    }
    Walk::stopped(Reason::ExtHeader)
}

/// Goes behind the extension headers, if there are any.
#[inline(always)]
fn pass_extensions<P: Packet + ?Sized>(packet: &P, headers: &mut Headers) -> Result<(), Reason> {
    if !is_extension(headers.protocol) {
        return Ok(());
    }
    let walk = packet.walk(headers.protocol, headers.offset);
    match walk.stop() {
        0 => {}
        stop if stop == Reason::ExtHeader as u8 => return Err(Reason::ExtHeader),
        _ => return Err(Reason::Malformed),
    }
    headers.offset = walk.offset();
    headers.protocol = walk.protocol();
    if walk.fragment() != 0 {
        let [_, _, o0, o1, i0, i1, i2, i3]: [u8; 8] =
            packet.read(walk.fragment()).ok_or(Reason::Malformed)?;
        let behind = (headers.offset - walk.fragment()).saturating_sub(FRAGMENT_HEADER) as u16;
        fragment(headers, u16::from_be_bytes([o0, o1]), u32::from_be_bytes([i0, i1, i2, i3]), behind);
    }
    Ok(())
}

/// A datagram in one fragment is whole (RFC 6946). `behind`: bytes of extension headers that are fragmented too.
#[inline(always)]
const fn fragment(headers: &mut Headers, word: u16, id: u32, behind: u16) {
    if word & (OFFSET | MORE_FRAGMENTS) != 0 {
        let first = word & OFFSET == 0;
        headers.fragment_id = id;
        headers.fragment_at = if first { behind } else { word & OFFSET };
        headers.fragment = if first { Fragment::First } else { Fragment::Later };
    } else {
        headers.fragment = Fragment::Only;
    }
}

#[inline(always)]
const fn is_extension(protocol: u8) -> bool {
    matches!(
        protocol,
        extension::HOP_BY_HOP
            | extension::ROUTING
            | extension::FRAGMENT
            | extension::DESTINATION
            | extension::MOBILITY
            | extension::HIP
            | extension::SHIM6
    )
}

//! The IPv4 header (RFC 791).

use super::{Fragment, Headers};
use crate::{Address, Direction, Packet, Reason, flow::FlowKey};

/// A header without options.
const HEADER: u32 = 20;
const MORE_FRAGMENTS: u32 = 0x2000;
const OFFSET: u32 = 0x1fff;

#[inline(always)]
pub(super) fn parse<P: Packet + ?Sized>(
    packet: &P,
    direction: Direction,
    headers: &mut Headers,
) -> Result<(), Reason> {
    let start = headers.offset;
    let total = fixed(packet, direction, headers).ok_or(Reason::Malformed)?;
    // A super-packet beyond 64 KiB says 0 (kernel commit b1a78b9b98862).
    let big = total == 0 && packet.segments() > 1;
    headers.end = if big { packet.length() as u32 } else { start + total };
    if headers.end < headers.offset || !packet.reaches(headers.end.into()) {
        return Err(Reason::Malformed);
    }
    Ok(())
}

/// A quoted header may be cut off behind the first eight bytes of its payload (RFC 792).
#[inline(always)]
pub(super) fn quoted<P: Packet + ?Sized>(packet: &P, direction: Direction, headers: &mut Headers) -> bool {
    fixed(packet, direction, headers).is_some() && !matches!(headers.fragment, Fragment::Later)
}

/// Reads the fixed part, moves behind the options, and returns the total length that it states.
#[inline(always)]
fn fixed<P: Packet + ?Sized>(packet: &P, direction: Direction, headers: &mut Headers) -> Option<u32> {
    let [first, fragment, third, source, destination] = packet.words(headers.offset)?;
    let (first, fragment, third) = (u32::from_be(first), u32::from_be(fragment), u32::from_be(third));
    let length = first >> 24 & 0x0f;
    if first >> 28 != 4 || length < HEADER / 4 {
        return None;
    }
    headers.key = FlowKey::between(Address::v4_word(source), Address::v4_word(destination), direction);
    headers.protocol = (third >> 16) as u8;
    headers.hop_limit = (third >> 24) as u8;
    headers.offset += length * 4;
    if fragment & (OFFSET | MORE_FRAGMENTS) != 0 {
        headers.fragment_id = fragment >> 16;
        headers.fragment_at = ((fragment & OFFSET) << 3) as u16;
        headers.fragment = if fragment & OFFSET == 0 { Fragment::First } else { Fragment::Later };
    }
    Some(first & 0xffff)
}

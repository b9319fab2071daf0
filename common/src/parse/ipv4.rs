//! The IPv4 header (RFC 791).

use super::{Fragment, Headers};
use crate::{Address, Packet, Reason};

/// A header without options.
const HEADER: u32 = 20;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;

#[inline(always)]
pub(super) fn parse<P: Packet + ?Sized>(packet: &P, headers: &mut Headers) -> Result<(), Reason> {
    let start = headers.offset;
    let total = fixed(packet, headers).ok_or(Reason::Malformed)?;
    // A super-packet beyond 64 KiB says 0 (kernel commit b1a78b9b98862).
    let big = total == 0 && packet.segments() > 1;
    headers.end = if big { packet.length() } else { start + total };
    if headers.end < headers.offset || !packet.reaches(headers.end) {
        return Err(Reason::Malformed);
    }
    Ok(())
}

/// A quoted header may be cut off behind the first eight bytes of its payload (RFC 792).
#[inline(always)]
pub(super) fn quoted<P: Packet + ?Sized>(packet: &P, headers: &mut Headers) -> bool {
    fixed(packet, headers).is_some() && !matches!(headers.fragment, Fragment::Later)
}

/// Reads the fixed part, moves behind the options, and returns the total length that it states.
#[inline(always)]
fn fixed<P: Packet + ?Sized>(packet: &P, headers: &mut Headers) -> Option<u32> {
    let bytes: [u8; HEADER as usize] = packet.read(headers.offset)?;
    let [version, _, t0, t1, i0, i1, f0, f1, hop_limit, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] =
        bytes;
    let length = u32::from(version & 0x0f) * 4;
    if version >> 4 != 4 || length < HEADER {
        return None;
    }
    headers.source = Address::v4([s0, s1, s2, s3]);
    headers.destination = Address::v4([d0, d1, d2, d3]);
    headers.protocol = protocol;
    headers.hop_limit = hop_limit;
    headers.offset += length;
    let fragment = u16::from_be_bytes([f0, f1]);
    if fragment & (OFFSET | MORE_FRAGMENTS) != 0 {
        headers.fragment_id = u16::from_be_bytes([i0, i1]).into();
        headers.fragment_at = (fragment & OFFSET) << 3;
        headers.fragment = if fragment & OFFSET == 0 { Fragment::First } else { Fragment::Later };
    }
    Some(u16::from_be_bytes([t0, t1]).into())
}

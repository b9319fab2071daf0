//! The IPv4 header (RFC 791).

use super::{Fragment, Headers, transport};
use crate::{Address, Packet, Reason};

/// A header without options.
const HEADER: usize = 20;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;

/// The fixed part, read in words that lie well for the kernel programs.
struct Fixed {
    header: usize,
    total: usize,
    id: u16,
    fragment: u16,
    hop_limit: u8,
    protocol: u8,
    source: Address,
    destination: Address,
}

#[inline(always)]
pub(super) fn parse<P: Packet + ?Sized>(packet: &P, offset: usize) -> Result<Headers, Reason> {
    let fixed = fixed(packet, offset)?;
    // A super-packet beyond 64 KiB says 0 (kernel commit b1a78b9b98862).
    let total =
        if fixed.total == 0 && packet.segments() > 1 { packet.length() - offset } else { fixed.total };
    if total < fixed.header || offset + total > packet.length() {
        return Err(Reason::Malformed);
    }
    let end = offset + total;
    let at = (fixed.fragment & OFFSET) << 3;
    let fragment = if at != 0 {
        Fragment::Later { id: fixed.id.into(), at }
    } else if fixed.fragment & MORE_FRAGMENTS != 0 {
        Fragment::First { id: fixed.id.into() }
    } else {
        Fragment::Whole
    };
    let offset = offset + fixed.header;
    Ok(Headers {
        source: fixed.source,
        destination: fixed.destination,
        protocol: fixed.protocol,
        hop_limit: fixed.hop_limit,
        fragment,
        transport: transport::parse(packet, offset, end, fixed.protocol, fragment)?,
        offset,
        end,
    })
}

/// A quoted header may be cut off behind the first eight bytes of its payload (RFC 792).
#[inline(always)]
pub(super) fn quoted<P: Packet + ?Sized>(packet: &P, offset: usize) -> Option<Headers> {
    let fixed = fixed(packet, offset).ok()?;
    if fixed.fragment & OFFSET != 0 {
        return None;
    }
    let offset = offset + fixed.header;
    let transport = transport::quoted(packet, offset, fixed.protocol)?;
    Some(Headers {
        source: fixed.source,
        destination: fixed.destination,
        protocol: fixed.protocol,
        hop_limit: fixed.hop_limit,
        fragment: Fragment::Whole,
        transport,
        offset,
        end: offset,
    })
}

#[inline(always)]
fn fixed<P: Packet + ?Sized>(packet: &P, offset: usize) -> Result<Fixed, Reason> {
    let bytes: [u8; HEADER] = packet.read(offset).ok_or(Reason::Malformed)?;
    let [version, _, t0, t1, i0, i1, f0, f1, hop_limit, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] =
        bytes;
    let header = usize::from(version & 0x0f) * 4;
    if version >> 4 != 4 || header < HEADER {
        return Err(Reason::Malformed);
    }
    Ok(Fixed {
        header,
        total: u16::from_be_bytes([t0, t1]).into(),
        id: u16::from_be_bytes([i0, i1]),
        fragment: u16::from_be_bytes([f0, f1]),
        hop_limit,
        protocol,
        source: Address::v4([s0, s1, s2, s3]),
        destination: Address::v4([d0, d1, d2, d3]),
    })
}

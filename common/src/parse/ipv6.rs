//! The IPv6 header and its extension headers (RFC 8200).

use super::{Fragment, Headers, transport};
use crate::{Address, Packet, Reason, number::extension};

const HEADER: usize = 40;
/// Extension headers that are walked: each kind of RFC 8200 once, destination options twice.
const MAX_EXTENSIONS: usize = 6;
const MORE_FRAGMENTS: u16 = 1;
const OFFSET: u16 = 0xfff8;
/// Routing headers of type 0 let a sender choose the path; forbidden since RFC 5095.
const ROUTING_TYPE_0: u8 = 0;

/// Where the walk over the extension headers ended.
struct Walked {
    protocol: u8,
    offset: usize,
    fragment: Fragment,
}

#[inline(always)]
pub(super) fn parse<P: Packet + ?Sized>(packet: &P, offset: usize) -> Result<Headers, Reason> {
    let fixed = fixed(packet, offset).ok_or(Reason::Malformed)?;
    let length = packet.length();
    // A super-packet beyond 64 KiB says 0 (kernel commit 09f3d1a3a52c6); so does a jumbogram, which no NIC sends.
    let end =
        if fixed.payload == 0 && packet.segments() > 1 { length } else { offset + HEADER + fixed.payload };
    if end > length {
        return Err(Reason::Malformed);
    }
    let walked = walk(packet, fixed.next, offset + HEADER)?;
    if walked.offset > end {
        return Err(Reason::Malformed);
    }
    let Walked { protocol, offset, fragment } = walked;
    Ok(Headers {
        source: fixed.source,
        destination: fixed.destination,
        protocol,
        hop_limit: fixed.hop_limit,
        fragment,
        transport: transport::parse(packet, offset, end, protocol, fragment)?,
        offset,
        end,
    })
}

#[inline(always)]
pub(super) fn quoted<P: Packet + ?Sized>(packet: &P, offset: usize) -> Option<Headers> {
    let fixed = fixed(packet, offset)?;
    // One fragment header is all that a quote may have before its transport header here: a host that sends
    // other extension headers gets no error through, which is the safe side.
    let (protocol, offset) = if fixed.next == extension::FRAGMENT {
        let [next, _, o0, o1, ..]: [u8; 8] = packet.read(offset + HEADER)?;
        if u16::from_be_bytes([o0, o1]) & OFFSET != 0 {
            return None;
        }
        (next, offset + HEADER + 8)
    } else {
        (fixed.next, offset + HEADER)
    };
    Some(Headers {
        source: fixed.source,
        destination: fixed.destination,
        protocol,
        hop_limit: fixed.hop_limit,
        fragment: Fragment::Whole,
        transport: transport::quoted(packet, offset, protocol)?,
        offset,
        end: offset,
    })
}

struct Fixed {
    payload: usize,
    next: u8,
    hop_limit: u8,
    source: Address,
    destination: Address,
}

#[inline(always)]
fn fixed<P: Packet + ?Sized>(packet: &P, offset: usize) -> Option<Fixed> {
    let [version, _, _, _, p0, p1, next, hop_limit]: [u8; 8] = packet.read(offset)?;
    if version >> 4 != 6 {
        return None;
    }
    Some(Fixed {
        payload: u16::from_be_bytes([p0, p1]).into(),
        next,
        hop_limit,
        source: Address::v6(packet.read(offset + 8)?, packet.read(offset + 16)?),
        destination: Address::v6(packet.read(offset + 24)?, packet.read(offset + 32)?),
    })
}

#[inline(always)]
fn walk<P: Packet + ?Sized>(packet: &P, first: u8, start: usize) -> Result<Walked, Reason> {
    let mut at = Walked { protocol: first, offset: start, fragment: Fragment::Whole };
    for _ in 0..MAX_EXTENSIONS {
        if !is_extension(at.protocol) {
            return Ok(at);
        }
        let [next, length, b2, b3]: [u8; 4] = packet.read(at.offset).ok_or(Reason::Malformed)?;
        let this = at.protocol;
        at.protocol = next;
        if this == extension::FRAGMENT {
            let id = packet.read(at.offset + 4).map(u32::from_be_bytes).ok_or(Reason::Malformed)?;
            let word = u16::from_be_bytes([b2, b3]);
            at.offset += 8;
            if word & OFFSET != 0 {
                at.fragment = Fragment::Later { id, at: word & OFFSET };
                return Ok(at);
            }
            if word & MORE_FRAGMENTS != 0 {
                at.fragment = Fragment::First { id };
            }
            continue;
        }
        let misplaced = this == extension::HOP_BY_HOP && at.offset != start;
        if misplaced || (this == extension::ROUTING && b2 == ROUTING_TYPE_0) {
            return Err(Reason::ExtHeader);
        }
        at.offset += (usize::from(length) + 1) * 8;
    }
    if is_extension(at.protocol) { Err(Reason::ExtHeader) } else { Ok(at) }
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

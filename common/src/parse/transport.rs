//! The first bytes of the transport: TCP, UDP, ICMP, ICMPv6 and IGMP.

use super::{Fragment, Headers, flags};
use crate::{Direction, Packet, Reason, number::protocol};

/// Bytes before an ICMP message's body (RFC 792, RFC 4443).
pub(super) const ICMP_HEADER: u32 = 8;
/// Bytes of a transport header that every quote has.
pub(super) const QUOTED: u32 = 8;
const TCP_HEADER: u32 = 20;
const UDP_HEADER: u32 = 8;

/// Reads the header; a fragment's first part must hold all of it.
#[inline(always)]
pub(super) fn parse<P: Packet + ?Sized>(
    packet: &P,
    direction: Direction,
    headers: &mut Headers,
) -> Result<(), Reason> {
    let short = match headers.fragment {
        Fragment::Whole | Fragment::Only => Reason::Malformed,
        Fragment::First => Reason::Fragment,
        Fragment::Later => return Ok(()),
    };
    match headers.protocol {
        protocol::TCP => tcp(packet, direction, headers, short),
        protocol::UDP => udp(packet, direction, headers, short),
        protocol::ICMP | protocol::ICMPV6 => {
            let [first, second] = read(packet, headers, short)?;
            headers.number = (first >> 24) as u16;
            headers.flags = (first >> 16) as u8;
            headers.identifier = (second >> 16) as u16;
            Ok(())
        }
        protocol::IGMP => {
            let [first, _] = read(packet, headers, short)?;
            headers.number = (first >> 24) as u16;
            Ok(())
        }
        other => {
            headers.key.carry(0, 0, direction, other);
            Ok(())
        }
    }
}

/// The transport's first `N` words in the host's byte order, if the IP packet holds them.
#[inline(always)]
fn read<const N: usize, P: Packet + ?Sized>(
    packet: &P,
    headers: &Headers,
    short: Reason,
) -> Result<[u32; N], Reason> {
    if headers.offset + 4 * N as u32 > headers.end {
        return Err(short);
    }
    packet.words(headers.offset).map(|words| words.map(u32::from_be)).ok_or(short)
}

#[inline(always)]
fn tcp<P: Packet + ?Sized>(
    packet: &P,
    direction: Direction,
    headers: &mut Headers,
    short: Reason,
) -> Result<(), Reason> {
    let [ports, sequence, acknowledgement, fourth, _] = read(packet, headers, short)?;
    let length = (fourth >> 28) * 4;
    let flags = (fourth >> 16) as u8;
    if length < TCP_HEADER || !is_valid(flags) {
        return Err(Reason::Malformed);
    }
    if headers.offset + length > headers.end {
        return Err(short);
    }
    headers.key.carry((ports >> 16) as u16, ports as u16, direction, protocol::TCP);
    headers.number = ports as u16;
    headers.flags = flags;
    headers.sequence = sequence;
    headers.acknowledgement = acknowledgement;
    headers.data = headers.offset + length < headers.end;
    Ok(())
}

/// Flags that no host sends together are a scan or a fault. The combinations are those that Linux's own tracking
/// takes (`tcp_valid_flags` in `nf_conntrack_proto_tcp.c`): one bit each, of the 32 that five flags can make.
#[inline(always)]
pub(crate) const fn is_valid(all: u8) -> bool {
    use flags::{ACK, FIN, RST, SYN};
    const VALID: u32 =
        1 << SYN | 1 << (SYN | ACK) | 1 << RST | 1 << (RST | ACK) | 1 << (FIN | ACK) | 1 << ACK;
    VALID >> (all & (FIN | SYN | RST | ACK)) & 1 != 0
}

#[inline(always)]
fn udp<P: Packet + ?Sized>(
    packet: &P,
    direction: Direction,
    headers: &mut Headers,
    short: Reason,
) -> Result<(), Reason> {
    let [ports, second] = read(packet, headers, short)?;
    let length = second >> 16;
    // A super-packet beyond 64 KiB says 0.
    let too_short = length < UDP_HEADER && (length != 0 || packet.segments() == 1);
    let whole = matches!(headers.fragment, Fragment::Whole | Fragment::Only);
    let too_long = whole && headers.offset + length > headers.end;
    if too_short || too_long {
        return Err(Reason::Malformed);
    }
    headers.key.carry((ports >> 16) as u16, ports as u16, direction, protocol::UDP);
    headers.number = ports as u16;
    Ok(())
}

/// The first eight bytes, which every quote has (RFC 792; RFC 4443 quotes more).
#[inline(always)]
pub(super) fn quoted<P: Packet + ?Sized>(packet: &P, direction: Direction, headers: &mut Headers) -> bool {
    let Some([first, second]) = packet.words(headers.offset) else { return false };
    let (first, second) = (u32::from_be(first), u32::from_be(second));
    match headers.protocol {
        protocol::TCP | protocol::UDP => {
            headers.key.carry((first >> 16) as u16, first as u16, direction, headers.protocol);
        }
        protocol::ICMP | protocol::ICMPV6 => {
            headers.number = (first >> 24) as u16;
            headers.identifier = (second >> 16) as u16;
        }
        other => headers.key.carry(0, 0, direction, other),
    }
    true
}

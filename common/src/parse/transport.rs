//! The first bytes of the transport: TCP, UDP, ICMP, ICMPv6 and IGMP.

use super::{Fragment, Headers, flags};
use crate::{Direction, Packet, Reason, number::protocol};

/// Bytes before an ICMP message's body (RFC 792, RFC 4443).
pub(super) const ICMP_HEADER: usize = 8;
const TCP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
const IGMP_HEADER: usize = 8;

/// Reads the header; a fragment's first part must hold all of it.
#[inline(always)]
pub(super) fn parse<P: Packet + ?Sized>(
    packet: &P,
    direction: Direction,
    headers: &mut Headers,
) -> Result<(), Reason> {
    let short = match headers.fragment {
        Fragment::Whole => Reason::Malformed,
        Fragment::First => Reason::Fragment,
        Fragment::Later => return Ok(()),
    };
    match headers.protocol {
        protocol::TCP => tcp(packet, direction, headers, short),
        protocol::UDP => udp(packet, direction, headers, short),
        protocol::ICMP | protocol::ICMPV6 => {
            let [kind, code, _, _, i0, i1, _, _]: [u8; ICMP_HEADER] = read(packet, headers, short)?;
            headers.number = kind.into();
            headers.flags = code;
            headers.identifier = u16::from_be_bytes([i0, i1]);
            Ok(())
        }
        protocol::IGMP => {
            let [kind, ..]: [u8; IGMP_HEADER] = read(packet, headers, short)?;
            headers.number = kind.into();
            Ok(())
        }
        other => {
            headers.key.carry(0, 0, direction, other);
            Ok(())
        }
    }
}

/// The transport's first `N` bytes, if the IP packet holds them.
#[inline(always)]
fn read<const N: usize, P: Packet + ?Sized>(
    packet: &P,
    headers: &Headers,
    short: Reason,
) -> Result<[u8; N], Reason> {
    if headers.offset + N as u32 > headers.end {
        return Err(short);
    }
    packet.read(headers.offset).ok_or(short)
}

#[inline(always)]
fn tcp<P: Packet + ?Sized>(
    packet: &P,
    direction: Direction,
    headers: &mut Headers,
    short: Reason,
) -> Result<(), Reason> {
    let bytes: [u8; TCP_HEADER] = read(packet, headers, short)?;
    let [s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, length, flags, ..] = bytes;
    let (source, destination) = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]));
    headers.sequence = u32::from_be_bytes([q0, q1, q2, q3]);
    headers.acknowledgement = u32::from_be_bytes([a0, a1, a2, a3]);
    let length = u32::from(length >> 4) * 4;
    if length < TCP_HEADER as u32 || !is_valid(flags) {
        return Err(Reason::Malformed);
    }
    if headers.offset + length > headers.end {
        return Err(short);
    }
    headers.key.carry(source, destination, direction, protocol::TCP);
    headers.number = destination;
    headers.flags = flags;
    Ok(())
}

/// Flags that no host sends together are a scan or a fault. The combinations are those that Linux's own tracking
/// takes (`tcp_valid_flags` in `nf_conntrack_proto_tcp.c`): one bit each, of the 32 that five flags can make.
#[inline(always)]
const fn is_valid(all: u8) -> bool {
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
    let [s0, s1, d0, d1, l0, l1, _, _]: [u8; UDP_HEADER] = read(packet, headers, short)?;
    let length = u32::from(u16::from_be_bytes([l0, l1]));
    // A super-packet beyond 64 KiB says 0.
    let too_short = length < UDP_HEADER as u32 && (length != 0 || packet.segments() == 1);
    let too_long = matches!(headers.fragment, Fragment::Whole) && headers.offset + length > headers.end;
    if too_short || too_long {
        return Err(Reason::Malformed);
    }
    let (source, destination) = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]));
    headers.key.carry(source, destination, direction, protocol::UDP);
    headers.number = destination;
    Ok(())
}

/// The first eight bytes, which every quote has (RFC 792; RFC 4443 quotes more).
#[inline(always)]
pub(super) fn quoted<P: Packet + ?Sized>(packet: &P, direction: Direction, headers: &mut Headers) -> bool {
    let Some([b0, b1, b2, b3, b4, b5, _, _]) = packet.read::<8>(headers.offset) else { return false };
    match headers.protocol {
        protocol::TCP | protocol::UDP => {
            let (source, destination) = (u16::from_be_bytes([b0, b1]), u16::from_be_bytes([b2, b3]));
            headers.key.carry(source, destination, direction, headers.protocol);
        }
        protocol::ICMP | protocol::ICMPV6 => {
            headers.number = b0.into();
            headers.identifier = u16::from_be_bytes([b4, b5]);
        }
        other => headers.key.carry(0, 0, direction, other),
    }
    true
}

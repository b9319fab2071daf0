//! A frame taken apart by hand, one slice after the other, as the standards draw it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use portreeve_common::Reason;

/// What a frame is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Not IP: the EtherType behind the tags, or a length.
    Link(u16),
    /// An IP packet.
    Packet(Packet),
}

/// An IP packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    /// Who sends it.
    pub(super) source: IpAddr,
    /// To whom.
    pub(super) destination: IpAddr,
    /// Time to live, or hop limit.
    pub(super) hops: u8,
    /// What it carries, by number.
    pub(super) protocol: u8,
    /// Its place in a datagram.
    pub(super) piece: Piece,
    /// What it carries, taken apart.
    pub(super) content: Content,
}

/// A packet's place in its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// All of it.
    Whole,
    /// All of it, behind a fragment header.
    Only,
    /// Its beginning, up to `end`.
    First {
        /// The datagram's.
        id: u32,
        /// Where it ends in what is fragmented.
        end: usize,
    },
    /// What lies behind.
    Later {
        /// The datagram's.
        id: u32,
        /// Where it begins in what is fragmented.
        at: usize,
    },
}

/// The transport header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// TCP.
    Tcp {
        /// Source and destination.
        ports: [u16; 2],
        /// Sequence number.
        sequence: u32,
        /// Acknowledgment number.
        acknowledgment: u32,
        /// FIN lowest.
        flags: u8,
        /// What stands behind the header.
        payload: Vec<u8>,
    },
    /// UDP.
    Udp {
        /// Source and destination.
        ports: [u16; 2],
        /// What stands behind the header, to the end of the packet.
        payload: Vec<u8>,
    },
    /// ICMP or ICMPv6.
    Icmp {
        /// Its type.
        kind: u8,
        /// Its code.
        code: u8,
        /// Of an echo.
        id: u16,
        /// What an error quotes.
        body: Vec<u8>,
    },
    /// IGMP, by its type.
    Igmp(u8),
    /// Anything else, and later fragments.
    Opaque,
}

/// The packet that an ICMP error quotes, as far as it is quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quote {
    /// Who sent it.
    pub(super) source: IpAddr,
    /// To whom.
    pub(super) destination: IpAddr,
    /// What it carried.
    pub(super) protocol: u8,
    /// The first eight bytes of that.
    pub(super) start: [u8; 8],
}

/// The four bits of TCP that a connection goes by.
pub(super) mod flag {
    /// No more data.
    pub(in crate::model) const FIN: u8 = 1;
    /// Begin.
    pub(in crate::model) const SYN: u8 = 2;
    /// Abort.
    pub(in crate::model) const RST: u8 = 4;
    /// The acknowledgment counts.
    pub(in crate::model) const ACK: u8 = 16;
}

/// ICMP, as IPv4 numbers it.
pub(super) const ICMP: u8 = 1;
/// IGMP.
pub(super) const IGMP: u8 = 2;
/// TCP.
pub(super) const TCP: u8 = 6;
/// UDP.
pub(super) const UDP: u8 = 17;
/// ICMPv6.
pub(super) const ICMPV6: u8 = 58;

type Seeing<T> = Result<T, Reason>;

/// Takes a frame apart.
///
/// # Errors
/// Why that can't be done.
pub(super) fn dissect(frame: &[u8]) -> Seeing<Seen> {
    let mut rest = from(frame, 12)?;
    let mut tags = 0;
    loop {
        let kind = word(rest, 0)?;
        rest = from(rest, 2)?;
        match kind {
            0x0800 => return ipv4(rest).map(Seen::Packet),
            0x86dd => return ipv6(rest).map(Seen::Packet),
            0x8100 | 0x88a8 | 0x9100 if tags == 2 => return Err(Reason::VlanDepth),
            0x8100 | 0x88a8 | 0x9100 => {
                tags += 1;
                rest = from(rest, 2)?;
            }
            other => return Ok(Seen::Link(other)),
        }
    }
}

fn ipv4(bytes: &[u8]) -> Seeing<Packet> {
    let header = &bytes.get(..20).ok_or(Reason::Malformed)?;
    let behind = usize::from(header[0] & 0xf) * 4;
    let total = usize::from(word(header, 2)?);
    if header[0] >> 4 != 4 || behind < 20 || total < behind {
        return Err(Reason::Malformed);
    }
    let payload = bytes.get(behind..total).ok_or(Reason::Malformed)?;
    let (id, place) = (u32::from(word(header, 4)?), word(header, 6)?);
    let (at, more) = (usize::from(place & 0x1fff) * 8, place & 0x2000 != 0);
    let piece = match (at, more) {
        (0, false) => Piece::Whole,
        (0, true) => Piece::First { id, end: payload.len() },
        (at, _) => Piece::Later { id, at },
    };
    Ok(Packet {
        source: address_v4(header, 12),
        destination: address_v4(header, 16),
        hops: header[8],
        protocol: header[9],
        piece,
        content: content(header[9], payload, piece)?,
    })
}

fn ipv6(bytes: &[u8]) -> Seeing<Packet> {
    let header = bytes.get(..40).ok_or(Reason::Malformed)?;
    let end = 40 + usize::from(word(header, 4)?);
    if header[0] >> 4 != 6 || bytes.len() < end {
        return Err(Reason::Malformed);
    }
    let (source, destination) = (address_v6(header, 8), address_v6(header, 24));
    if [source, destination].iter().any(|address| address.to_ipv4_mapped().is_some()) {
        // An IPv4 address has no place in an IPv6 header, and would be taken for that host.
        return Err(Reason::Martian);
    }
    let Chain { protocol, at, fragment } = extensions(bytes, header[6])?;
    let payload = bytes.get(at..end).ok_or(Reason::Malformed)?;
    let piece = match fragment {
        None => Piece::Whole,
        Some(FragmentHeader { offset: 0, more: false, .. }) => Piece::Only,
        Some(FragmentHeader { offset: 0, id, begins, .. }) => Piece::First { id, end: end - begins },
        Some(FragmentHeader { offset, id, .. }) => Piece::Later { id, at: offset },
    };
    Ok(Packet {
        source: source.into(),
        destination: destination.into(),
        hops: header[7],
        protocol,
        piece,
        content: content(protocol, payload, piece)?,
    })
}

/// Where the extension headers lead.
struct Chain {
    protocol: u8,
    at: usize,
    fragment: Option<FragmentHeader>,
}

#[derive(Clone, Copy)]
struct FragmentHeader {
    offset: usize,
    more: bool,
    id: u32,
    /// Where what is fragmented begins.
    begins: usize,
}

/// Follows at most six of them.
fn extensions(bytes: &[u8], first: u8) -> Seeing<Chain> {
    const MOST: usize = 6;
    let mut chain = Chain { protocol: first, at: 40, fragment: None };
    for position in 0.. {
        let kind = chain.protocol;
        if ![0, 43, 44, 60, 135, 139, 140].contains(&kind) {
            break;
        }
        if position == MOST || (kind == 0 && position > 0) {
            // A seventh, or hop-by-hop options that are not the first.
            return Err(if position == MOST || bytes.len() >= chain.at + 4 {
                Reason::ExtHeader
            } else {
                Reason::Malformed
            });
        }
        let header = bytes.get(chain.at..chain.at + 4).ok_or(Reason::Malformed)?;
        if kind == 43 && header[2] == 0 {
            return Err(Reason::ExtHeader);
        }
        chain.protocol = header[0];
        if kind == 44 {
            let place = word(header, 2)?;
            let offset = usize::from(place & 0xfff8);
            let id = bytes.get(chain.at + 4..chain.at + 8).ok_or(Reason::Malformed)?;
            let id = id.iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
            chain.at += 8;
            chain.fragment = Some(FragmentHeader { offset, more: place & 1 != 0, id, begins: chain.at });
            if offset != 0 {
                break;
            }
        } else {
            chain.at += (usize::from(header[1]) + 1) * 8;
        }
    }
    Ok(chain)
}

fn content(protocol: u8, payload: &[u8], piece: Piece) -> Seeing<Content> {
    let short = match piece {
        Piece::Whole | Piece::Only => Reason::Malformed,
        Piece::First { .. } => Reason::Fragment,
        Piece::Later { .. } => return Ok(Content::Opaque),
    };
    let header = |length: usize| payload.get(..length).ok_or(short);
    match protocol {
        TCP => tcp(header(20)?, payload, short),
        UDP => {
            let header = header(8)?;
            let length = usize::from(word(header, 4)?);
            if length < 8 || (matches!(piece, Piece::Whole | Piece::Only) && length > payload.len()) {
                return Err(Reason::Malformed);
            }
            Ok(Content::Udp { ports: [word(header, 0)?, word(header, 2)?], payload: payload[8..].to_vec() })
        }
        ICMP | ICMPV6 => {
            let header = header(8)?;
            let body = payload[8..].to_vec();
            Ok(Content::Icmp { kind: header[0], code: header[1], id: word(header, 4)?, body })
        }
        IGMP => Ok(Content::Igmp(header(8)?[0])),
        _ => Ok(Content::Opaque),
    }
}

fn tcp(header: &[u8], whole: &[u8], short: Reason) -> Seeing<Content> {
    use flag::{ACK, FIN, RST, SYN};
    let behind = usize::from(header[12] >> 4) * 4;
    let flags = header[13];
    let sensible = [SYN, SYN | ACK, ACK, FIN | ACK, RST, RST | ACK];
    if behind < 20 || !sensible.contains(&(flags & (FIN | SYN | RST | ACK))) {
        return Err(Reason::Malformed);
    }
    let payload = whole.get(behind..).ok_or(short)?.to_vec();
    let long = |at| Ok(u32::from(word(header, at)?) << 16 | u32::from(word(header, at + 2)?));
    Ok(Content::Tcp {
        ports: [word(header, 0)?, word(header, 2)?],
        sequence: long(4)?,
        acknowledgment: long(8)?,
        flags,
        payload,
    })
}

impl Quote {
    /// Reads what an ICMP error quotes. Nothing but a fragment header may stand before the transport's.
    #[must_use]
    pub(super) fn read(body: &[u8], v4: bool) -> Option<Self> {
        let (source, destination, protocol, at): (IpAddr, IpAddr, u8, usize) = if v4 {
            let header = body.get(..20)?;
            let behind = usize::from(header[0] & 0xf) * 4;
            if header[0] >> 4 != 4 || behind < 20 || word(header, 6).ok()? & 0x1fff != 0 {
                return None;
            }
            (address_v4(header, 12), address_v4(header, 16), header[9], behind)
        } else {
            let header = body.get(..40)?;
            if header[0] >> 4 != 6 {
                return None;
            }
            let ends = (address_v6(header, 8).into(), address_v6(header, 24).into());
            if header[6] == 44 {
                let fragment = body.get(40..48)?;
                if word(fragment, 2).ok()? & 0xfff8 != 0 {
                    return None;
                }
                (ends.0, ends.1, fragment[0], 48)
            } else {
                (ends.0, ends.1, header[6], 40)
            }
        };
        let start = body.get(at..at + 8)?.try_into().ok()?;
        Some(Self { source, destination, protocol, start })
    }
}

fn from(bytes: &[u8], at: usize) -> Seeing<&[u8]> {
    bytes.get(at..).ok_or(Reason::Malformed)
}

fn word(bytes: &[u8], at: usize) -> Seeing<u16> {
    let pair = bytes.get(at..at + 2).ok_or(Reason::Malformed)?;
    Ok(u16::from_be_bytes([pair[0], pair[1]]))
}

fn address_v4(bytes: &[u8], at: usize) -> IpAddr {
    Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]).into()
}

fn address_v6(bytes: &[u8], at: usize) -> Ipv6Addr {
    let mut octets = [0; 16];
    octets.copy_from_slice(&bytes[at..at + 16]);
    octets.into()
}

//! Questions and answers of resolvers, read by hand (RFC 1035, section 4).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use portreeve_common::dns::Outcome;

/// Bytes of a message that are read.
const LONGEST: usize = 2_048;
/// Records that are read.
const MOST: usize = 64;
/// Where the question stands.
const HEADER: usize = 12;
/// Bytes of a name's text (RFC 1035, section 2.3.4).
const LONGEST_NAME: usize = 253;
/// Lengths, letters and pointers that are read of one name: more than 60 pointers in a long one.
const LONGEST_WALK: usize = 320;

/// What a packet carries of a message.
#[derive(Clone, Debug)]
pub(super) struct Carried<'p> {
    bytes: &'p [u8],
    /// Why that is not all.
    pub(super) cut: Option<Outcome>,
}

/// Labels in lower case, the root's not among them.
pub(super) type Name = Vec<Vec<u8>>;

/// What somebody wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) name: Name,
    /// Type and class.
    pub(super) kind: [u8; 4],
}

/// Transaction and flags, of a message with one question.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) id: u16,
    flags: u16,
}

/// What the answer section says of the name that was asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// Addresses with their lifetimes in seconds, as stated.
    pub(super) addresses: Vec<(IpAddr, u32)>,
    /// Why it ends before it should.
    pub(super) ends: Option<End>,
}

/// Where reading ended too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// A record can't be read.
    Broken,
    /// There are more records than are read.
    Many,
}

impl<'p> Carried<'p> {
    /// All that a datagram carries.
    pub(super) fn by_udp(payload: &'p [u8]) -> Option<Self> {
        Self::of(payload, None)
    }

    /// The messages of a segment, as far as they are read: two where something stands behind the first.
    pub(super) fn all_by_tcp(payload: &'p [u8]) -> Vec<Self> {
        let first = Self::by_tcp(payload);
        let behind = match &first {
            Some(first) if first.bytes.as_ptr() != payload.as_ptr() => {
                number(payload, 0).and_then(|length| payload.get(2 + usize::from(length)..))
            }
            _ => None,
        };
        let second = behind.filter(|rest| !rest.is_empty()).and_then(Self::by_tcp);
        first.into_iter().chain(second).collect()
    }

    /// One message behind its length. In a segment where the length is wrong may stand a message whose length went ahead.
    pub(super) fn by_tcp(payload: &'p [u8]) -> Option<Self> {
        let (length, message) = (number(payload, 0)?, payload.get(2..)?);
        if usize::from(length) == message.len() {
            return Self::of(message, None);
        }
        let alone = number(payload, 2).zip(number(payload, 4));
        if alone.is_some_and(|(flags, questions)| flags & 0x7800 == 0 && questions == 1) {
            return Self::of(payload, Some(Outcome::Segmented));
        }
        Self::of(&message[..message.len().min(length.into())], Some(Outcome::Segmented))
    }

    fn of(bytes: &'p [u8], cut: Option<Outcome>) -> Option<Self> {
        let cut = if bytes.len() > LONGEST { Some(Outcome::TooLong) } else { cut };
        (bytes.len() >= HEADER).then_some(Self { bytes: &bytes[..bytes.len().min(LONGEST)], cut })
    }

    /// Of a datagram whose other pieces follow.
    pub(super) fn of_a_fragment(self) -> Self {
        Self { cut: self.cut.or(Some(Outcome::Fragmented)), ..self }
    }

    /// What it comes to where it can't be read on.
    pub(super) fn ended(&self) -> Outcome {
        self.cut.unwrap_or(Outcome::Malformed)
    }

    pub(super) fn header(&self) -> Option<Header> {
        let header = Header { id: number(self.bytes, 0)?, flags: number(self.bytes, 2)? };
        (number(self.bytes, 4)? == 1).then_some(header)
    }

    pub(super) fn question(&self) -> Option<Question> {
        let (name, end) = name(self.bytes, HEADER)?;
        Some(Question { name, kind: self.bytes.get(end..end + 4)?.try_into().ok()? })
    }

    /// Reads the answer section: along the aliases of the name, and nothing of the others.
    pub(super) fn told(&self) -> Option<Told> {
        let (mut owner, mut at) = name(self.bytes, HEADER)?;
        at += 4;
        let count = usize::from(number(self.bytes, 6)?);
        let mut told = Told::default();
        for _ in 0..count.min(MOST) {
            let Some(end) = self.record(at, &mut owner, &mut told.addresses) else {
                told.ends = Some(End::Broken);
                return Some(told);
            };
            at = end;
        }
        told.ends = (count > MOST).then_some(End::Many);
        Some(told)
    }

    /// One record; where the next one begins.
    fn record(&self, at: usize, wanted: &mut Name, addresses: &mut Vec<(IpAddr, u32)>) -> Option<usize> {
        const INTERNET: u16 = 1;
        let (owner, fixed) = name(self.bytes, at)?;
        let (kind, class) = (number(self.bytes, fixed)?, number(self.bytes, fixed + 2)?);
        let life =
            u32::from(number(self.bytes, fixed + 4)?) << 16 | u32::from(number(self.bytes, fixed + 6)?);
        let (begin, length) = (fixed + 10, usize::from(number(self.bytes, fixed + 8)?));
        let data = self.bytes.get(begin..begin + length)?;
        if owner != *wanted || class != INTERNET {
            return Some(begin + length);
        }
        match kind {
            1 => addresses.push((Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).into(), life)),
            28 => {
                let address = Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?);
                // An IPv4 address in its IPv6 form is that of no host.
                if address.to_ipv4_mapped().is_none() {
                    addresses.push((address.into(), life));
                }
            }
            5 => {
                let (target, end) = name(self.bytes, begin)?;
                if end != begin + length {
                    return None;
                }
                *wanted = target;
            }
            _ => {}
        }
        Some(begin + length)
    }
}

impl Header {
    /// Response bit and operation; 0 is a query.
    pub(super) const fn is_query(self) -> bool {
        self.flags & 0xf800 == 0
    }

    pub(super) const fn is_answer(self) -> bool {
        self.flags & 0xf800 == 0x8000
    }

    pub(super) const fn is_truncated(self) -> bool {
        self.flags & 0x0200 != 0
    }

    pub(super) const fn is_refusal(self) -> bool {
        self.flags & 0x000f != 0
    }
}

/// The name at `at`, and where it ends there. Each pointer leads to before the piece that it stands in.
fn name(bytes: &[u8], at: usize) -> Option<(Name, usize)> {
    let (mut name, mut end) = (Name::new(), None);
    let (mut piece, mut place, mut walked, mut text) = (at, at, 0, 0);
    loop {
        let length = *bytes.get(place)?;
        walked += 1;
        match length {
            0 => {
                let end = end.unwrap_or(place + 1);
                return (walked <= LONGEST_WALK && text <= LONGEST_NAME).then_some((name, end));
            }
            1..=63 => {
                let label = bytes.get(place + 1..place + 1 + usize::from(length))?;
                text += label.len() + usize::from(!name.is_empty());
                walked += label.len();
                place += 1 + label.len();
                name.push(label.to_ascii_lowercase());
            }
            64..=191 => return None,
            192.. => {
                let target = usize::from(number(bytes, place)? & 0x3fff);
                if target >= piece {
                    return None;
                }
                end = end.or(Some(place + 2));
                (piece, place) = (target, target);
            }
        }
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes([pair[0], pair[1]]))
}

//! IPv4 and IPv6 headers with their options, extensions and fragments.

use etherparse::{
    IpFragOffset, IpNumber, Ipv4Header, Ipv6FragmentHeader, Ipv6Header, checksum::Sum16BitWords,
};

use super::{Body, Extension, Frame};

/// The Router Alert option of IPv4 (RFC 2113).
pub const ROUTER_ALERT: [u8; 4] = [0x94, 4, 0, 0];

/// Which part of a datagram a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// In units of 8 bytes, at most 8191.
    pub offset: u16,
    /// More fragments follow.
    pub more: bool,
    /// Of the datagram; IPv4 uses the lower half.
    pub id: u32,
    /// Most bytes to carry; `None`: all that is left.
    pub length: Option<usize>,
}

impl Frame {
    pub(super) fn network(&self) -> Vec<u8> {
        if self.is_ipv4() { self.ipv4() } else { self.ipv6() }
    }

    /// Whole words; a fifth option word and more would need a longer header than IHL can say.
    pub(super) fn padded_options(&self) -> Vec<u8> {
        const MOST: usize = 40;
        let mut options = self.options.clone();
        options.resize(options.len().next_multiple_of(4).min(MOST), 0);
        options
    }

    fn ipv4(&self) -> Vec<u8> {
        let payload = self.carried(self.datagram());
        let mut header = Ipv4Header {
            time_to_live: self.hops(),
            protocol: IpNumber(self.body.protocol()),
            source: self.source.ipv4().octets(),
            destination: self.destination.ipv4().octets(),
            ..Ipv4Header::default()
        };
        if let Some(fragment) = self.fragment {
            header.dont_fragment = false;
            header.fragment_offset = fragment.offset();
            header.more_fragments = fragment.more;
            header.identification = (fragment.id & 0xffff) as u16;
        }
        let mut bytes = header.to_bytes().to_vec();
        bytes.extend(self.padded_options());
        let length = clamp(bytes.len() + payload.len());
        let words = u8::try_from(bytes.len() / 4).unwrap_or(0xf);
        bytes[0] = self.flaws.version.unwrap_or(4) << 4 | self.flaws.ihl.unwrap_or(words);
        bytes[2..4].copy_from_slice(&self.flaws.length.unwrap_or(length).to_be_bytes());
        bytes[10..12].fill(0);
        let checksum = Sum16BitWords::new().add_slice(&bytes).ones_complement();
        bytes[10..12].copy_from_slice(&checksum.to_ne_bytes());
        bytes.extend(payload);
        bytes
    }

    fn ipv6(&self) -> Vec<u8> {
        let (next, payload) = self.chain();
        let header = Ipv6Header {
            payload_length: self.flaws.length.unwrap_or(clamp(payload.len())),
            next_header: IpNumber(next),
            hop_limit: self.hops(),
            source: self.source.ipv6().octets(),
            destination: self.destination.ipv6().octets(),
            ..Ipv6Header::default()
        };
        let mut bytes = header.to_bytes().to_vec();
        bytes[0] = self.flaws.version.unwrap_or(6) << 4 | bytes[0] & 0xf;
        bytes.extend(payload);
        bytes
    }

    /// The extension headers and what they carry, with the number of the first of them.
    fn chain(&self) -> (u8, Vec<u8>) {
        let fragmented = self.fragment.map(|fragment| {
            let place = self.extensions.iter().position(|extension| *extension == Extension::Fragment);
            (place.unwrap_or(self.extensions.len()), fragment)
        });
        let mut chain = (self.body.protocol(), self.datagram());
        if let Some((place, fragment)) = fragmented {
            chain = prepend(self.extensions.get(place + 1..).unwrap_or_default(), chain);
            chain = fragment.ipv6(chain.0, self.carried(chain.1));
            return prepend(&self.extensions[..place], chain);
        }
        prepend(&self.extensions, chain)
    }

    /// What the packet carries of `datagram`; zeros where it lies behind the end.
    fn carried(&self, datagram: Vec<u8>) -> Vec<u8> {
        const BEHIND_THE_END: usize = 64;
        let Some(fragment) = self.fragment else { return datagram };
        let start = usize::from(fragment.offset) * UNIT;
        let mut part = match datagram.get(start..) {
            Some([]) | None => vec![0; BEHIND_THE_END],
            Some(part) => part.to_vec(),
        };
        part.truncate(fragment.length.unwrap_or(usize::MAX));
        if fragment.more {
            part.resize(part.len().next_multiple_of(UNIT), 0);
        }
        part
    }

    fn hops(&self) -> u8 {
        self.hop_limit.unwrap_or(match self.body {
            Body::Icmpv6 { kind: 133..=137, .. } => 255,
            Body::Icmpv6 { kind: 130..=132 | 143, .. } | Body::Igmp { .. } => 1,
            Body::Icmpv6 { .. }
            | Body::Icmp { .. }
            | Body::Tcp { .. }
            | Body::Udp
            | Body::Protocol(_)
            | Body::Arp { .. }
            | Body::Ethertype(_) => 64,
        })
    }
}

impl Fragment {
    fn ipv6(self, next: u8, part: Vec<u8>) -> (u8, Vec<u8>) {
        let header = Ipv6FragmentHeader::new(IpNumber(next), self.offset(), self.more, self.id);
        (Extension::Fragment.number(), [&header.to_bytes()[..], &part].concat())
    }

    fn offset(self) -> IpFragOffset {
        IpFragOffset::try_new(self.offset & IpFragOffset::MAX_U16).unwrap_or(IpFragOffset::ZERO)
    }
}

fn prepend(extensions: &[Extension], chain: (u8, Vec<u8>)) -> (u8, Vec<u8>) {
    extensions
        .iter()
        .rev()
        .fold(chain, |(next, bytes), extension| (extension.number(), [extension.bytes(next), bytes].concat()))
}

fn clamp(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

/// Bytes that a fragment offset counts by.
const UNIT: usize = 8;

//! What a network header carries: transport headers with their checksums, control messages, and the rest.

use etherparse::{TcpHeader, UdpHeader, checksum::Sum16BitWords};

use super::{End, Frame, HOST_MAC};

/// The kind of a frame's innermost header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A TCP segment.
    Tcp {
        /// The flags byte, FIN lowest.
        flags: u8,
        /// Sequence number.
        sequence: u32,
        /// Acknowledgment number.
        acknowledgment: u32,
    },
    /// A UDP datagram.
    Udp,
    /// An ICMP message.
    Icmp {
        /// Its type.
        kind: u8,
        /// Its code.
        code: u8,
        /// The second word of its header.
        rest: [u8; 4],
    },
    /// An ICMPv6 message.
    Icmpv6 {
        /// Its type.
        kind: u8,
        /// Its code.
        code: u8,
        /// The second word of its header.
        rest: [u8; 4],
    },
    /// An IGMP message about the group that the packet goes to.
    Igmp {
        /// Its type: 0x11 query, 0x16 report of version 2, 0x17 leave, 0x22 report of version 3.
        kind: u8,
    },
    /// Another IP protocol; the payload is all there is.
    Protocol(u8),
    /// ARP instead of IP.
    Arp {
        /// 1 asks, 2 answers.
        operation: u16,
    },
    /// Neither IP nor ARP.
    Ethertype(u16),
}

impl Body {
    /// # Panics
    /// On a letter that is no flag: it is an expression in a test.
    pub(super) fn tcp(flags: &str) -> Self {
        const LETTERS: &str = "FSRPAUEC";
        let bit = |letter| LETTERS.find(letter).unwrap_or_else(|| panic!("`{letter}` is not a TCP flag"));
        let flags = flags.chars().fold(0, |bits, letter| bits | 1 << bit(letter));
        Self::Tcp { flags, sequence: 1000, acknowledgment: if flags & ACK == 0 { 0 } else { 1001 } }
    }

    /// The IP protocol number; 59 (no next header) where the frame holds no IP.
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        match self {
            Self::Tcp { .. } => TCP,
            Self::Udp => UDP,
            Self::Icmp { .. } => 1,
            Self::Icmpv6 { .. } => ICMPV6,
            Self::Igmp { .. } => 2,
            Self::Protocol(number) => *number,
            Self::Arp { .. } | Self::Ethertype(_) => 59,
        }
    }
}

impl Frame {
    /// The whole datagram, before it is fragmented.
    pub(super) fn datagram(&self) -> Vec<u8> {
        let mut bytes = match self.body {
            Body::Tcp { flags, sequence, acknowledgment } => {
                self.tcp_segment(flags, sequence, acknowledgment)
            }
            Body::Udp => self.udp_datagram(),
            Body::Icmp { kind, code, rest } => {
                let payload = self.payload_or(|| icmp_payload(kind));
                summed([&[kind, code, 0, 0][..], &rest, &payload].concat(), 2, Sum16BitWords::new())
            }
            Body::Icmpv6 { kind, code, rest } => {
                let payload = self.payload_or(|| self.icmpv6_payload(kind));
                let bytes = [&[kind, code, 0, 0][..], &icmpv6_rest(kind, rest), &payload].concat();
                let pseudo = self.pseudo_header(ICMPV6, bytes.len());
                summed(bytes, 2, pseudo)
            }
            Body::Igmp { kind } => {
                let group = self.destination.ipv4().octets();
                summed(igmp_message(kind, group), 2, Sum16BitWords::new())
            }
            Body::Protocol(_) | Body::Arp { .. } | Body::Ethertype(_) => self.payload.clone(),
        };
        bytes.truncate(self.flaws.transport_bytes.unwrap_or(usize::MAX));
        bytes
    }

    fn tcp_segment(&self, flags: u8, sequence: u32, acknowledgment: u32) -> Vec<u8> {
        const WINDOW: u16 = 64_240;
        let mut header = TcpHeader::new(self.source.port, self.destination.port, sequence, WINDOW);
        header.acknowledgment_number = acknowledgment;
        let mut bytes = header.to_bytes().to_vec();
        bytes[12] = self.flaws.data_offset.unwrap_or(5) << 4;
        bytes[13] = flags;
        bytes.extend(&self.payload);
        let pseudo = self.pseudo_header(TCP, bytes.len());
        summed(bytes, 16, pseudo)
    }

    fn udp_datagram(&self) -> Vec<u8> {
        let length = UdpHeader::LEN + self.payload.len();
        let header = UdpHeader {
            source_port: self.source.port,
            destination_port: self.destination.port,
            length: self.flaws.udp_length.unwrap_or(u16::try_from(length).unwrap_or(u16::MAX)),
            checksum: 0,
        };
        let bytes = [&header.to_bytes()[..], &self.payload].concat();
        let mut bytes = summed(bytes, 6, self.pseudo_header(UDP, length));
        if bytes[6..8] == [0, 0] {
            bytes[6..8].fill(0xff);
        }
        bytes
    }

    /// RFC 9293, section 3.1, and RFC 8200, section 8.1.
    fn pseudo_header(&self, protocol: u8, length: usize) -> Sum16BitWords {
        let (source, destination) = (self.source, self.destination);
        let mut sum = Sum16BitWords::new();
        if self.is_ipv4() {
            sum = sum.add_slice(&source.ipv4().octets()).add_slice(&destination.ipv4().octets());
        } else {
            sum = sum.add_slice(&source.ipv6().octets()).add_slice(&destination.ipv6().octets());
        }
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        sum.add_slice(&length.to_be_bytes()).add_2bytes([0, protocol])
    }

    fn payload_or(&self, default: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
        if self.payload.is_empty() { default() } else { self.payload.clone() }
    }

    /// Targets and groups of NDP (RFC 4861) and MLD (RFC 2710, RFC 3810).
    fn icmpv6_payload(&self, kind: u8) -> Vec<u8> {
        let octets = |end: End| end.ipv6().octets().to_vec();
        let (source, destination) = (octets(self.source), octets(self.destination));
        match kind {
            // Queries, reports of version 1 and dones name a group.
            130..=132 => destination,
            // Reachable and retransmission times of a router.
            134 => vec![0; 8],
            // A solicitation's target, and the sender's hardware address.
            135 => [&destination[..], &[1, 1], &self.sender].concat(),
            136 => [&source[..], &[2, 1], &self.receiver.unwrap_or(HOST_MAC)].concat(),
            // The better hop, and for whom.
            137 => [source, destination].concat(),
            // One record: change to exclude mode, no sources.
            143 => [&[4, 0, 0, 0][..], &GROUP_V6].concat(),
            _ => Vec::new(),
        }
    }
}

/// The rest of an ICMP message that is longer than its header.
fn icmp_payload(kind: u8) -> Vec<u8> {
    match kind {
        // Time stamps.
        13 | 14 => vec![0; 12],
        // Errors quote a packet; an empty one, where none is given.
        3 | 4 | 5 | 11 | 12 => frame_for_quotes().packet(),
        _ => Vec::new(),
    }
}

fn frame_for_quotes() -> Frame {
    super::frame().from("192.0.2.10:49200").to("203.0.113.9:53")
}

/// MLDv2 reports count their records in it.
fn icmpv6_rest(kind: u8, rest: [u8; 4]) -> [u8; 4] {
    if kind == 143 && rest == [0; 4] { [0, 0, 0, 1] } else { rest }
}

/// RFC 2236, and RFC 3376 for reports of version 3.
fn igmp_message(kind: u8, group: [u8; 4]) -> Vec<u8> {
    const GENERAL_QUERY: [u8; 4] = [224, 0, 0, 1];
    const TENTHS_TO_ANSWER: u8 = 100;
    match kind {
        0x11 if group == GENERAL_QUERY => vec![kind, TENTHS_TO_ANSWER, 0, 0, 0, 0, 0, 0],
        0x22 => [&[kind, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0][..], &group].concat(),
        _ => [&[kind, 0, 0, 0][..], &group].concat(),
    }
}

/// Puts the checksum of `bytes` behind `pseudo` at `at`.
fn summed(mut bytes: Vec<u8>, at: usize, pseudo: Sum16BitWords) -> Vec<u8> {
    // etherparse adds up in the machine's byte order, which the checksum is indifferent to (RFC 1071, section 2).
    let checksum = pseudo.add_slice(&bytes).ones_complement();
    bytes[at..at + 2].copy_from_slice(&checksum.to_ne_bytes());
    bytes
}

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
const ACK: u8 = 0x10;
/// A group of the documentation prefix's flags: link-local, transient.
const GROUP_V6: [u8; 16] = [0xff, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x25];

//! The start of a frame, as it lies there, and its two ends.

use crate::{Address, Packet};

/// The start of an untagged IPv4 frame without options, as it lies there from the EtherType on.
#[repr(C, packed)]
#[derive(Clone, Copy, Debug, Default)]
pub struct StartV4 {
    /// EtherType, version and length of the header, type of service, length, identification.
    pub(super) first: u64,
    /// Fragment, time to live, protocol.
    pub(super) second: u32,
    pub(super) checksum: u16,
    pub(super) source: u32,
    pub(super) destination: u32,
    pub(super) transport: StartTransport,
}

/// The start of an untagged IPv6 frame without extension headers, as it lies there from the EtherType on.
#[repr(C, packed)]
#[derive(Clone, Copy, Debug, Default)]
pub struct StartV6 {
    /// EtherType, version, traffic class, flow label, length.
    pub(super) first: u64,
    pub(super) next: u8,
    pub(super) hop_limit: u8,
    pub(super) source: [u64; 2],
    pub(super) destination: [u64; 2],
    pub(super) transport: StartTransport,
}

/// The start of a TCP or UDP header, as it lies there: no more of it than the shortest Ethernet frame has.
#[repr(C, packed)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StartTransport {
    pub(super) ports: u32,
    pub(super) second: u32,
    pub(super) third: u32,
    pub(super) fourth: u16,
}

/// Both start at the EtherType.
pub const START: u32 = 12;
pub(super) const TRANSPORT_V4: u32 = 34;
pub(super) const TRANSPORT_V6: u32 = 54;

impl StartV4 {
    /// Reads it.
    #[inline(always)]
    pub fn of<P: Packet + ?Sized>(packet: &P) -> Option<Self> {
        let [second] = packet.words(20)?;
        let [source, destination] = packet.words(26)?;
        Some(Self {
            first: u64::from_ne_bytes(packet.read(START)?),
            second,
            checksum: u16::from_ne_bytes(packet.read(24)?),
            source,
            destination,
            transport: StartTransport::of(packet, TRANSPORT_V4)?,
        })
    }

    /// Whether it is IPv4 of five words, and whole: only "don't fragment" may be set.
    #[inline(always)]
    pub(super) const fn is_plain(&self) -> bool {
        const MASK: u64 = u64::from_ne_bytes([0xff, 0xff, 0xff, 0, 0, 0, 0, 0]);
        const IS: u64 = u64::from_ne_bytes([0x08, 0x00, 0x45, 0, 0, 0, 0, 0]);
        const FRAGMENT: u32 = u32::from_ne_bytes([0x3f, 0xff, 0, 0]);
        self.first & MASK == IS && self.second & FRAGMENT == 0
    }

    /// Where the packet ends in the frame.
    #[inline(always)]
    pub(super) const fn end(&self) -> u64 {
        let [_, _, _, _, high, low, ..] = self.first.to_ne_bytes();
        14 + u16::from_be_bytes([high, low]) as u64
    }

    #[inline(always)]
    pub(super) const fn protocol(&self) -> u8 {
        let [_, _, _, protocol] = self.second.to_ne_bytes();
        protocol
    }
}

impl StartV6 {
    /// Reads it.
    #[inline(always)]
    pub fn of<P: Packet + ?Sized>(packet: &P) -> Option<Self> {
        let word = |at| packet.read(at).map(u64::from_ne_bytes);
        let [next, hop_limit] = packet.read(20)?;
        Some(Self {
            first: word(START)?,
            next,
            hop_limit,
            source: [word(22)?, word(30)?],
            destination: [word(38)?, word(46)?],
            transport: StartTransport::of(packet, TRANSPORT_V6)?,
        })
    }

    /// Whether it is IPv6.
    #[inline(always)]
    pub(super) const fn is_plain(&self) -> bool {
        const MASK: u64 = u64::from_ne_bytes([0xff, 0xff, 0xf0, 0, 0, 0, 0, 0]);
        const IS: u64 = u64::from_ne_bytes([0x86, 0xdd, 0x60, 0, 0, 0, 0, 0]);
        self.first & MASK == IS
    }

    /// Where the packet ends in the frame.
    #[inline(always)]
    pub(super) const fn end(&self) -> u64 {
        let [.., high, low] = self.first.to_ne_bytes();
        54 + u16::from_be_bytes([high, low]) as u64
    }
}

impl StartTransport {
    #[inline(always)]
    fn of<P: Packet + ?Sized>(packet: &P, at: u32) -> Option<Self> {
        let [ports, second, third] = packet.words(at)?;
        Some(Self { ports, second, third, fourth: u16::from_ne_bytes(packet.read(at + 12)?) })
    }
}

/// Source and destination as a header has them: an address is made only of the one that is asked for.
pub trait Ends: Copy {
    /// The source.
    fn source(&self) -> Address;
    /// The destination.
    fn destination(&self) -> Address;
}

#[derive(Clone, Copy)]
pub(super) struct EndsV4(pub(super) [u32; 2]);

#[derive(Clone, Copy)]
pub(super) struct EndsV6(pub(super) [[u64; 2]; 2]);

impl Ends for EndsV4 {
    #[inline(always)]
    fn source(&self) -> Address {
        Address::v4_word(self.0[0])
    }

    #[inline(always)]
    fn destination(&self) -> Address {
        Address::v4_word(self.0[1])
    }
}

impl EndsV6 {
    /// Whether the first half of either is zero.
    #[inline(always)]
    pub(super) const fn begin_with_zeros(&self) -> bool {
        let [[source, _], [destination, _]] = self.0;
        source == 0 || destination == 0
    }
}

impl Ends for EndsV6 {
    #[inline(always)]
    fn source(&self) -> Address {
        Address::from_words(self.0[0])
    }

    #[inline(always)]
    fn destination(&self) -> Address {
        Address::from_words(self.0[1])
    }
}

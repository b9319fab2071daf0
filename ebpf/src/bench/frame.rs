//! The benchmark's own frames: Ethernet, IPv4 without options or IPv6, then TCP or UDP. Their sources are rewritten in
//! place, and their checksums with them.

use aya_ebpf::programs::XdpContext;

const ETHERTYPE: usize = 12;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const TCP: u8 = 6;

/// Where things are in IPv4.
const V4: Places = Places { protocol: 23, low: 28, transport: 34, address: 4 };
/// Where things are in IPv6.
const V6: Places = Places { protocol: 20, low: 36, transport: 54, address: 16 };
const V4_CHECKSUM: usize = 24;
const V6_HIGH: usize = 34;
/// In TCP and in UDP.
const TCP_FLAGS: usize = 12;
const TCP_CHECKSUM: usize = 16;
const UDP_CHECKSUM: usize = 6;
/// A header of twenty bytes, and what it says.
const SYN: u16 = 0x5002;
const ACK: u16 = 0x5010;

/// Offsets of one family.
#[derive(Clone, Copy)]
pub(crate) struct Places {
    pub(crate) protocol: usize,
    low: usize,
    pub(crate) transport: usize,
    /// Bytes of an address.
    pub(crate) address: usize,
}

/// A frame's bytes.
pub(crate) struct Frame {
    data: usize,
    end: usize,
}

impl Frame {
    #[inline(always)]
    pub(crate) fn new(ctx: &XdpContext) -> Self {
        Self { data: ctx.data(), end: ctx.data_end() }
    }

    /// A value of the frame; offsets are constants, so the verifier follows the check.
    #[inline(always)]
    pub(crate) fn at<T>(&self, offset: usize) -> Option<*mut T> {
        let start = self.data + offset;
        if start + size_of::<T>() > self.end { None } else { Some(start as *mut T) }
    }

    #[inline(always)]
    pub(crate) fn read<T: Copy>(&self, offset: usize) -> Option<T> {
        let place = self.at::<T>(offset)?;
        // SAFETY: within the frame; callers read integers and arrays of bytes, for which every bit pattern is a value.
        Some(unsafe { place.read_unaligned() })
    }

    #[inline(always)]
    pub(crate) fn word(&self, offset: usize) -> Option<u16> {
        self.read::<[u8; 2]>(offset).map(u16::from_be_bytes)
    }

    /// Which family, if it is one.
    #[inline(always)]
    pub(crate) fn places(&self) -> Option<Places> {
        match self.word(ETHERTYPE)? {
            IPV4 => Some(V4),
            IPV6 => Some(V6),
            _ => None,
        }
    }

    /// Another source, and with `begins` a SYN or an acknowledgement.
    #[inline(always)]
    pub(crate) fn rewrite(&self, port: u16, address: u32, begins: Option<bool>) {
        match self.word(ETHERTYPE) {
            Some(IPV4) => {
                let low = self.word(V4.low).unwrap_or(0);
                let word = low & 0xff00 | address as u16 & 0xff;
                self.change(V4.low, word, V4_CHECKSUM);
                self.set(V4.low, low);
                self.rewrite_transport(V4, &[(V4.low, word)], port, begins);
            }
            Some(IPV6) => {
                let words = [(V6_HIGH, (address >> 16) as u16), (V6.low, address as u16)];
                self.rewrite_transport(V6, &words, port, begins);
            }
            _ => {}
        }
    }

    #[inline(always)]
    fn rewrite_transport(&self, places: Places, address: &[(usize, u16)], port: u16, begins: Option<bool>) {
        let tcp = self.read::<u8>(places.protocol) == Some(TCP);
        let checksum = places.transport + if tcp { TCP_CHECKSUM } else { UDP_CHECKSUM };
        for (offset, word) in address {
            self.change(*offset, *word, checksum);
        }
        self.change(places.transport, port, checksum);
        if let (true, Some(begins)) = (tcp, begins) {
            self.change(places.transport + TCP_FLAGS, if begins { SYN } else { ACK }, checksum);
        }
    }

    /// Writes a word, and its difference into a checksum (RFC 1624).
    #[inline(always)]
    fn change(&self, offset: usize, word: u16, checksum: usize) {
        let (Some(old), Some(sum)) = (self.word(offset), self.word(checksum)) else { return };
        let sum = u32::from(!sum) + u32::from(!old) + u32::from(word);
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = (sum & 0xffff) + (sum >> 16);
        self.set(offset, word);
        self.set(checksum, !(sum as u16));
    }

    #[inline(always)]
    fn set(&self, offset: usize, word: u16) {
        if let Some(place) = self.at::<[u8; 2]>(offset) {
            // SAFETY: within the frame.
            unsafe { place.write(word.to_be_bytes()) };
        }
    }
}

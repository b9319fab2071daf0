//! What the decision core needs of a packet.

use crate::{
    Direction, Sight,
    dns::MAX_MESSAGE,
    parse::{Walk, walk},
    quick::{StartV4, StartV6},
    sight,
};

/// A frame that starts with its Ethernet header, wherever its bytes are.
pub trait Packet {
    /// `N` bytes at `offset` from the start of the frame; `None` where the frame ends before.
    fn read<const N: usize>(&self, offset: u32) -> Option<[u8; N]>;

    /// `N` words at `offset`, as they lie in the frame; `None` where the frame ends before. In the kernel each word is
    /// one load, which bytes that are put together are not.
    fn words<const N: usize>(&self, offset: u32) -> Option<[u32; N]> {
        let mut words = [0; N];
        for (word, at) in words.iter_mut().zip((offset..).step_by(4)) {
            *word = u32::from_ne_bytes(self.read(at)?);
        }
        Some(words)
    }

    /// The start of a frame that may go the short way. In the kernel one look at the first buffer.
    fn start_v4(&self) -> Option<StartV4> {
        StartV4::of(self)
    }

    /// As above, for IPv6.
    fn start_v6(&self) -> Option<StartV6> {
        StartV6::of(self)
    }

    /// Length of the frame in bytes; a reader whose frame lies in several buffers may leave out those that it can't
    /// see at once.
    fn length(&self) -> u64;

    /// Whether the frame has at least `length` bytes, all buffers included.
    #[inline(always)]
    fn reaches(&self, length: u64) -> bool {
        length <= self.length()
    }

    /// Copies `length` bytes at `offset`, no more than there are in `to`; `false` where the frame ends before.
    fn copy(&self, offset: u32, length: u32, to: &mut [u8; MAX_MESSAGE]) -> bool {
        let bytes = (offset..).zip(to.iter_mut().take(length as usize));
        for (at, byte) in bytes {
            let Some([read]) = self.read(at) else { return false };
            *byte = read;
        }
        true
    }

    /// Walks over IPv6 extension headers. In the kernel this is a function of its own.
    fn walk(&self, first: u8, start: u32) -> Walk {
        walk(self, first, start)
    }

    /// Completes what is seen of an ICMP or IGMP message. In the kernel this is a function of its own.
    fn message(&self, direction: Direction, sight: &mut Sight) {
        sight::message(self, direction, sight);
    }

    /// Whether a VLAN tag was taken off the frame and lies beside it.
    fn tag_beside(&self) -> bool {
        false
    }

    /// How many packets on the wire this one stands for: more than one after GRO or before GSO.
    fn segments(&self) -> u32 {
        1
    }
}

/// A frame in a slice.
impl Packet for [u8] {
    fn read<const N: usize>(&self, offset: u32) -> Option<[u8; N]> {
        self.get(offset as usize..)?.first_chunk().copied()
    }

    fn length(&self) -> u64 {
        self.len() as u64
    }
}

/// The beginning of a frame that was longer on the wire: a capture with a snap length.
#[derive(Clone, Copy, Debug)]
pub struct Snapped<'a> {
    bytes: &'a [u8],
    length: u64,
}

impl<'a> Snapped<'a> {
    /// `length`: bytes on the wire; less than the slice's counts as the slice's.
    #[must_use]
    pub fn new(bytes: &'a [u8], length: u32) -> Self {
        Self { bytes, length: u64::from(length).max(bytes.length()) }
    }
}

impl Packet for Snapped<'_> {
    fn read<const N: usize>(&self, offset: u32) -> Option<[u8; N]> {
        self.bytes.read(offset)
    }

    fn length(&self) -> u64 {
        self.length
    }
}

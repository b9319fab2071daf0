//! What the decision core needs of a packet.

/// A frame that starts with its Ethernet header, wherever its bytes are.
pub trait Packet {
    /// `N` bytes at `offset` from the start of the frame; `None` where the frame ends before.
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;

    /// Length of the frame in bytes, paged parts included.
    fn length(&self) -> usize;

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
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.get(offset..)?.first_chunk().copied()
    }

    fn length(&self) -> usize {
        self.len()
    }
}

/// The beginning of a frame that was longer on the wire: a capture with a snap length.
#[derive(Clone, Copy, Debug)]
pub struct Snapped<'a> {
    bytes: &'a [u8],
    length: usize,
}

impl<'a> Snapped<'a> {
    /// `length`: bytes on the wire; less than the slice's counts as the slice's.
    #[must_use]
    pub fn new(bytes: &'a [u8], length: usize) -> Self {
        Self { bytes, length: length.max(bytes.len()) }
    }
}

impl Packet for Snapped<'_> {
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.bytes.read(offset)
    }

    fn length(&self) -> usize {
        self.length
    }
}

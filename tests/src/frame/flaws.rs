//! What a malformed frame gets wrong; everything else in it stays right.

/// Each field that is set replaces what would be right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flaws {
    /// IP version.
    pub version: Option<u8>,
    /// IPv4 header length in words.
    pub ihl: Option<u8>,
    /// IPv4 total length or IPv6 payload length, in bytes.
    pub length: Option<u16>,
    /// TCP header length in words.
    pub data_offset: Option<u8>,
    /// UDP length in bytes.
    pub udp_length: Option<u16>,
    /// The IP packet, whole by its own length, carries only so many bytes of the transport.
    pub transport_bytes: Option<usize>,
    /// The frame is cut to so many bytes.
    pub frame_bytes: Option<usize>,
    /// Zeros behind the packet, as Ethernet pads short frames; not wrong, but often mistaken.
    pub padding: usize,
}

impl Flaws {
    /// No flaw but padding.
    #[must_use]
    pub fn none(&self) -> bool {
        *self == Self { padding: self.padding, ..Self::default() }
    }
}

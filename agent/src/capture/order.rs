//! Byte orders, which a file tells in its header and a pcapng file in each section.

use pcap_parser::{Block, parse_block_be, parse_block_le};

/// How a file writes its numbers.
#[derive(Clone, Copy, Default)]
pub(super) enum Order {
    #[default]
    Little,
    Big,
}

impl Order {
    /// From the byte-order magic behind the header of a section block.
    pub(super) fn of_section(section: &[u8]) -> Option<Self> {
        match section.get(8..12)? {
            [0x4d, 0x3c, 0x2b, 0x1a] => Some(Self::Little),
            [0x1a, 0x2b, 0x3c, 0x4d] => Some(Self::Big),
            _ => None,
        }
    }

    /// A whole pcapng block.
    pub(super) fn block(self, bytes: &[u8]) -> Option<Block<'_>> {
        let parsed = match self {
            Self::Little => parse_block_le(bytes),
            Self::Big => parse_block_be(bytes),
        };
        parsed.ok().map(|(_, block)| block)
    }

    /// The 32-bit word at `at`; 0 where there is none, which no caller meets: it has asked the source for the bytes.
    pub(super) fn word(self, bytes: &[u8], at: usize) -> u32 {
        let Some(&word) = bytes.get(at..).and_then(<[u8]>::first_chunk) else { return 0 };
        match self {
            Self::Little => u32::from_le_bytes(word),
            Self::Big => u32::from_be_bytes(word),
        }
    }

    pub(super) fn signed(self, bytes: [u8; 8]) -> i64 {
        match self {
            Self::Little => i64::from_le_bytes(bytes),
            Self::Big => i64::from_be_bytes(bytes),
        }
    }
}

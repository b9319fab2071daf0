//! How a generation's tables lie in the kernel's maps: in pages of a few kilobytes, so that little is written for a small
//! change, and in two halves.

/// Generations that are held: the current one and the one before or after it.
pub const HALVES: u32 = 2;
/// Words in a page of the class table and of the shared rules.
pub const WORDS: u32 = 2_048;
/// Numbered classes in a page.
pub const PEERINGS: u32 = 64;
/// Buckets in a page of the peer table.
pub const BUCKETS: u32 = 32;
/// Clauses in a page.
pub const CLAUSES: u32 = 64;

/// The half of a generation.
#[inline(always)]
#[must_use]
pub const fn half(generation: u16) -> u32 {
    generation as u32 & (HALVES - 1)
}

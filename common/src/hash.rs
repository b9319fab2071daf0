//! Mixing of a few words into a table position: multiply and fold, a handful of instructions in the kernel.

/// Odd constants with well spread bits: the golden ratio and those of `splitmix64`.
pub(crate) const MULTIPLIERS: [u64; 4] =
    [0x9e37_79b9_7f4a_7c15, 0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb, 0xd6e8_feb8_6659_fd93];

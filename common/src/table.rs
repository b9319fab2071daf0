//! The layout of the state tables: sets of eight places, two sets a flow, found by a tag before a key is compared.
//!
//! A reader takes no lock. A writer holds the set's lock, clears a place's tag before it writes there, and sets the
//! tag last. Two flows in one set never share a tag, so a reader compares one key at most.

use crate::flow::{FlowKey, FlowState};

/// Places of a set.
pub const WAYS: usize = 8;
/// Places of an established set that flows without connections may have: answered UDP and echo, which cost a sender nothing,
/// never keep a TCP connection out.
pub const OTHERS: usize = WAYS / 2;
/// Sets of the established table with its default capacity of 65,536 flows.
pub const ESTABLISHED_SETS: u32 = 1 << 13;
/// Sets of the embryonic table at most by default, with room for 65,536 flows. A host file's default is a quarter: at
/// 100,000 forged sources a second a handshake has 0.16 seconds to complete.
pub const EMBRYONIC_SETS: u32 = 1 << 13;

/// The kernel's lock inside a map's value: it goes by this name in the value's BTF.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(non_camel_case_types, reason = "the verifier looks for a struct of this name")]
pub struct bpf_spin_lock {
    /// The kernel's.
    pub val: u32,
}

/// A flow in its place.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowEntry {
    /// Which.
    pub key: FlowKey,
    /// What is known of it.
    pub state: FlowState,
}

/// Eight places and their lock.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowSet {
    /// Held by writers.
    pub lock: bpf_spin_lock,
    /// Explicit padding.
    pub reserved: u32,
    /// Of each place, 0 where it is free: four to a word, the first in the lowest bits.
    pub tags: Tags,
    /// The places.
    pub entries: [FlowEntry; WAYS],
}

const _: () = assert!(size_of::<FlowEntry>() == 64);
const _: () = assert!(size_of::<FlowSet>() == 24 + 64 * WAYS);

/// Where a flow may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The set to look in first, and to fill first.
    pub first: u32,
    /// The other set.
    pub second: u32,
    /// Never 0.
    pub tag: u16,
}

impl Place {
    /// `sets`: a power of two.
    #[inline(always)]
    #[must_use]
    pub const fn of(key: &FlowKey, secret: &[u64; 2], sets: u32) -> Self {
        let hash = key.hash(secret);
        let tag = (hash >> 48) as u16 | 1;
        let first = (hash >> 8) as u32 & (sets - 1);
        // An odd factor spreads the tags over all sets; the tag's lowest bit is always set, so the two differ.
        let second = (first ^ (tag as u32).wrapping_mul(0x9e37_79b1)) & (sets - 1);
        Self { first, second, tag }
    }
}

/// The tags of a set.
pub type Tags = [u64; 2];

/// Tags in a word.
const LANES: usize = 4;
/// The lowest bit of each lane.
const ONES: u64 = 0x0001_0001_0001_0001;
/// The highest bit of each lane.
const TOPS: u64 = 0x8000_8000_8000_8000;

/// The first place with this tag, or [`WAYS`]; tag 0 finds a free one.
///
/// Without a branch for each place: the kernel's verifier would follow every one of them.
#[inline(always)]
#[must_use]
pub const fn position(tags: &Tags, tag: u16) -> usize {
    let low = equal_lanes(tags[0], tag);
    if low != 0 {
        return first_lane(low);
    }
    let high = equal_lanes(tags[1], tag);
    if high != 0 { LANES + first_lane(high) } else { WAYS }
}

/// The word of a place's tag, and that word with another tag there.
#[inline(always)]
#[must_use]
pub const fn with_tag(tags: &Tags, place: usize, tag: u16) -> (usize, u64) {
    let word = (place / LANES) & 1;
    let shift = (place % LANES * 16) as u32;
    (word, tags[word] & !(0xffff << shift) | (tag as u64) << shift)
}

/// The highest bit of each lane that equals `tag`. Lanes above the first such one may be marked too.
#[inline(always)]
const fn equal_lanes(word: u64, tag: u16) -> u64 {
    let differ = word ^ (tag as u64).wrapping_mul(ONES);
    differ.wrapping_sub(ONES) & !differ & TOPS
}

/// The lowest marked lane: its bit, moved to the lane's foot, shifts the lane's number to the top of the product.
#[inline(always)]
const fn first_lane(marked: u64) -> usize {
    const NUMBERS: u64 = 1 << 46 | 2 << 30 | 3 << 14;
    let feet = marked >> 15;
    let lowest = feet & feet.wrapping_neg();
    (lowest.wrapping_mul(NUMBERS) >> 62) as usize
}

#[cfg(feature = "user")]
// SAFETY: `repr(C)` of integers and their structs, its padding spelled out; every bit pattern is a value.
unsafe impl aya::Pod for FlowSet {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Address;

    #[test]
    fn a_tag_is_found_in_its_place() {
        let mut tags = [0; 2];
        for (place, tag) in [1u16, 3, 0x8001, 0xffff, 5, 0x7fff, 9, 11].into_iter().enumerate() {
            assert_eq!(position(&tags, 0), place);
            let (word, with) = with_tag(&tags, place, tag);
            tags[word] = with;
            assert_eq!(position(&tags, tag), place);
        }
        assert_eq!((position(&tags, 0), position(&tags, 13)), (WAYS, WAYS));
        for place in 0..WAYS {
            let (word, with) = with_tag(&tags, place, 0);
            let mut freed = tags;
            freed[word] = with;
            assert_eq!(position(&freed, 0), place);
        }
    }

    #[test]
    fn flows_spread_over_both_of_their_sets() {
        let mut load = [0u32; 256];
        for port in 0..8_192 {
            let key =
                FlowKey::new(Address::v4([192, 0, 2, 10]), Address::v4([198, 51, 100, 7]), 443, port, 6);
            let place = Place::of(&key, &[9, 8], 256);
            assert!(place.first != place.second && place.tag != 0);
            load[place.first as usize] += 1;
            load[place.second as usize] += 1;
        }
        assert!(load.iter().all(|count| (32..=100).contains(count)), "{load:?}");
    }
}

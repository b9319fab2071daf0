//! The layout of the state tables: sets of eight places, two sets a flow, found by a tag before a key is compared.
//!
//! A reader takes no lock. A writer holds the set's lock, clears a place's tag before it writes there, and sets the
//! tag last. Two flows in one set never share a tag, so a reader compares one key at most.

use crate::flow::{FlowKey, FlowState};

/// Places of a set.
pub const WAYS: usize = 8;
/// Sets of the established table with its default capacity of 65,536 flows.
pub const ESTABLISHED_SETS: u32 = 1 << 13;
/// Sets of the embryonic table with its default capacity of 65,536 flows: at 100,000 forged sources a second a
/// handshake has more than half a second to complete.
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
    /// Of each place, 0 where it is free.
    pub tags: [u16; WAYS],
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
    pub const fn of(key: &FlowKey, secret: &[u64; 4], sets: u32) -> Self {
        let hash = key.hash(secret);
        let tag = (hash >> 48) as u16 | 1;
        let first = (hash >> 8) as u32 & (sets - 1);
        // An odd factor spreads the tags over all sets; the tag's lowest bit is always set, so the two differ.
        let second = (first ^ (tag as u32).wrapping_mul(0x9e37_79b1)) & (sets - 1);
        Self { first, second, tag }
    }
}

/// The place with this tag; tag 0 finds a free one.
#[inline(always)]
#[must_use]
pub fn position(tags: &[u16; WAYS], tag: u16) -> Option<usize> {
    tags.iter().position(|other| *other == tag)
}

#[cfg(feature = "user")]
// SAFETY: `repr(C)` of integers and their structs, its padding spelled out; every bit pattern is a value.
unsafe impl aya::Pod for FlowSet {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Address;

    #[test]
    fn flows_spread_over_both_of_their_sets() {
        let mut load = [0u32; 256];
        for port in 0..8_192 {
            let key =
                FlowKey::new(Address::v4([192, 0, 2, 10]), Address::v4([198, 51, 100, 7]), 443, port, 6);
            let place = Place::of(&key, &[9, 8, 7, 6], 256);
            assert!(place.first != place.second && place.tag != 0);
            load[place.first as usize] += 1;
            load[place.second as usize] += 1;
        }
        assert!(load.iter().all(|count| (32..=100).contains(count)), "{load:?}");
    }
}

//! Peers of all sets in one static hash table, and the search for one.

use super::Peering;
use crate::{Address, Tables, names::NameId};

/// Peers over all sets at most, beside which the table stays half empty.
pub const MAX_PEERS: u32 = 1 << 15;
/// Buckets of the peer table.
pub const PEER_BUCKETS: u32 = 1 << 14;
/// Entries of a bucket.
pub const BUCKET_PEERS: usize = 4;
/// Buckets that are looked at before a peer counts as unknown; the compiler keeps to it.
pub const MAX_PROBES: u32 = 8;

/// A peer of a set: a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey {
    /// Masked.
    pub address: Address,
    /// The set.
    pub set: u16,
    /// Prefix length in bits of the sixteen bytes.
    pub length: u8,
}

impl PeerKey {
    /// Set and length in a word that is never 0.
    #[inline(always)]
    #[must_use]
    pub const fn tag(&self) -> u32 {
        1 << 31 | (self.set as u32) << 8 | self.length as u32
    }

    /// The first bucket to look in.
    #[inline(always)]
    #[must_use]
    pub const fn bucket(&self, seed: u64) -> u32 {
        let [high, low] = self.address.words();
        // One multiplication: its upper bits depend on all that is below them.
        let mixed = low ^ high.rotate_left(29) ^ (self.tag() as u64) << 7 ^ seed;
        (mixed.wrapping_mul(crate::hash::MULTIPLIERS[0]) >> (64 - PEER_BUCKETS.trailing_zeros())) as u32
    }
}

/// Four places for peers; a full bucket continues in the next one.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerBucket {
    peers: [PeerEntry; BUCKET_PEERS],
}

/// One place.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct PeerEntry {
    address: Address,
    tag: u32,
    member: u32,
}

const _: () = assert!(size_of::<PeerBucket>() == 96);

/// What a bucket says of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The key's position among the rules of its class.
    Member(u16),
    /// Not here, and nowhere else.
    Nowhere,
    /// Not here; the bucket is full, so look in the next one.
    Further,
}

impl PeerBucket {
    /// Looks a key up.
    #[inline(always)]
    #[must_use]
    pub fn find(&self, key: &PeerKey) -> Found {
        let tag = key.tag();
        for entry in &self.peers {
            if entry.tag == tag && entry.address == key.address {
                return Found::Member(entry.member as u16);
            }
            if entry.tag == 0 {
                return Found::Nowhere;
            }
        }
        Found::Further
    }

    /// Takes a free place; `false` where there is none.
    #[must_use]
    pub fn insert(&mut self, key: &PeerKey, member: u16) -> bool {
        let Some(entry) = self.peers.iter_mut().find(|entry| entry.tag == 0) else { return false };
        *entry = PeerEntry { address: key.address, tag: key.tag(), member: member.into() };
        true
    }
}

/// A peer's position among the rules of its class: the set's prefix lengths are tried, longest first.
#[inline(always)]
pub(crate) fn member<T: Tables>(tables: &T, peering: &Peering, peer: &Address) -> Option<u16> {
    for length in peering.lengths(peer.is_v4()) {
        if length == 0 {
            return None;
        }
        let key = PeerKey { address: peer.masked(length), set: peering.set(), length };
        if let Some(member) = find(tables, &key) {
            return Some(member);
        }
    }
    None
}

/// The position of the first of a peer's names that is in a set. A name holds for its time; for a flow that `lives`, as
/// long as it is remembered.
#[inline(always)]
pub(crate) fn named<T: Tables>(tables: &T, set: u16, peer: &Address, lives: bool) -> Option<u16> {
    let now = if lives { 0 } else { tables.now() };
    tables.learned(peer, |learned| {
        for name in &learned.places {
            // A place that is written meanwhile has no name, or one that was this address's just now.
            let id = name.id;
            if id != 0 && name.address == *peer && now <= name.until && name.id == id {
                let member = tables.pattern(set, NameId::from_word(id));
                if member.is_some() {
                    return member;
                }
            }
        }
        None
    })
}

/// The position of a name in a set.
#[inline(always)]
pub fn pattern<T: Tables>(set: u16, name: NameId, tables: &T) -> Option<u16> {
    find(tables, &name.peer(set))
}

/// Walks the buckets of a key.
#[inline(always)]
pub(crate) fn find<T: Tables>(tables: &T, key: &PeerKey) -> Option<u16> {
    let mut bucket = key.bucket(tables.settings().peer_seed());
    for _ in 0..MAX_PROBES {
        match tables.peers(bucket)?.find(key) {
            Found::Member(member) => return Some(member),
            Found::Nowhere => return None,
            Found::Further => bucket = bucket.wrapping_add(1),
        }
    }
    None
}

#[cfg(feature = "user")]
// SAFETY: `repr(C)` of addresses and integers without padding; every bit pattern is a value.
unsafe impl aya::Pod for PeerBucket {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_bucket_sends_on_and_a_free_place_ends_the_search() {
        let key = |n: u8| PeerKey { address: Address::v4([192, 0, 2, n]), set: 7, length: 128 };
        let mut bucket = PeerBucket::default();
        for n in 0..4 {
            assert_eq!(bucket.find(&key(n)), Found::Nowhere);
            assert!(bucket.insert(&key(n), u16::from(n) + 40));
            assert_eq!(bucket.find(&key(n)), Found::Member(u16::from(n) + 40));
        }
        assert!(!bucket.insert(&key(4), 44));
        assert_eq!(bucket.find(&key(4)), Found::Further);
        assert_eq!(bucket.find(&PeerKey { set: 8, ..key(0) }), Found::Further);
        assert_eq!(bucket.find(&PeerKey { length: 127, ..key(0) }), Found::Further);
    }
}

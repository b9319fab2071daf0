//! A numbered class: which set its peers are in, and its rules.

use super::RuleId;
use crate::Address;

/// Lengths of prefix that one set of peers may have in one family; the compiler splits the rarest beyond it.
pub const MAX_LENGTHS: usize = 8;

/// IPv4 prefixes of a small set.
pub const SMALL_V4: usize = 4;
/// IPv6 prefixes of a small set.
pub const SMALL_V6: usize = 2;

/// A numbered class: the set that its peers are in, the prefix lengths to try, and its rules.
///
/// Small sets, as most are, stand in it once more: who is in none of their prefixes is refused without a search.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peering {
    small_v6: [Prefix<2>; SMALL_V6],
    small_v4: [Prefix<1>; SMALL_V4],
    lengths_v4: [u8; MAX_LENGTHS],
    lengths_v6: [u8; MAX_LENGTHS],
    set: u16,
    rules: u16,
    nearest: RuleId,
    /// 1 where the set does not fit in here.
    large: u16,
    /// 1 where the set has names among its peers.
    names: u16,
    reserved: [u16; 3],
}

const _: () = assert!(size_of::<Peering>() == 160);

/// A prefix of so many words that an address is compared by.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Prefix<const WORDS: usize> {
    mask: [u64; WORDS],
    value: [u64; WORDS],
}

impl<const WORDS: usize> Default for Prefix<WORDS> {
    /// Matches nothing.
    fn default() -> Self {
        Self { mask: [0; WORDS], value: [u64::MAX; WORDS] }
    }
}

impl<const WORDS: usize> Prefix<WORDS> {
    #[inline(always)]
    fn has(&self, words: [u64; WORDS]) -> bool {
        let mut differ = 0;
        for ((word, mask), value) in words.iter().zip(&self.mask).zip(&self.value) {
            differ |= word & mask ^ value;
        }
        differ == 0
    }
}

impl Peering {
    /// `lengths_*`: longest first, in bits of the sixteen bytes and at least 1, ended by 0; `rules`: where its rules
    /// begin in the list of shared rules; `nearest`: the first of them.
    #[must_use]
    pub fn new(
        set: u16,
        rules: u16,
        nearest: RuleId,
        lengths_v4: [u8; MAX_LENGTHS],
        lengths_v6: [u8; MAX_LENGTHS],
    ) -> Self {
        Self { lengths_v4, lengths_v6, set, rules, nearest, large: 1, ..Self::default() }
    }

    /// Holds the prefixes of its set itself, each an address and its length in bits of the sixteen bytes, if there are
    /// few enough.
    #[must_use]
    pub fn with_peers(mut self, peers: &[(Address, u8)]) -> Self {
        let (mut v4, mut v6) = (self.small_v4.iter_mut(), self.small_v6.iter_mut());
        for (address, length) in peers {
            let mask = Address::from_words([u64::MAX; 2]).masked(*length).words();
            let value = address.masked(*length).words();
            // An IPv4 prefix has all of the first word and half of the second.
            let ([_, mask_low], [_, value_low]) = (mask, value);
            let room = if address.is_v4() && *length >= 96 {
                v4.next().map(|place| *place = Prefix { mask: [mask_low], value: [value_low] })
            } else {
                v6.next().map(|place| *place = Prefix { mask, value })
            };
            if room.is_none() {
                return self;
            }
        }
        self.large = 0;
        self
    }

    /// Has names among its peers, whose addresses only the tables know.
    #[must_use]
    pub const fn with_names(self) -> Self {
        Self { names: 1, large: 1, ..self }
    }

    /// Whether it has.
    #[inline(always)]
    #[must_use]
    pub const fn has_names(&self) -> bool {
        self.names != 0
    }

    /// The set of peers.
    #[inline(always)]
    #[must_use]
    pub const fn set(&self) -> u16 {
        self.set
    }

    /// Where the rules of the set's members begin.
    #[inline(always)]
    #[must_use]
    pub const fn rules(&self) -> u16 {
        self.rules
    }

    /// The rule that a refused peer is told of.
    #[inline(always)]
    #[must_use]
    pub const fn nearest(&self) -> RuleId {
        self.nearest
    }

    /// Whether a peer is known, without a search, to be in none of the set's prefixes.
    #[inline(always)]
    #[must_use]
    pub fn excludes(&self, peer: &Address) -> bool {
        let [high, low] = peer.words();
        let listed = if peer.is_v4() {
            self.small_v4.iter().any(|prefix| prefix.has([low]))
        } else {
            self.small_v6.iter().any(|prefix| prefix.has([high, low]))
        };
        self.large == 0 && !listed
    }

    /// The prefix lengths to try for an address of either family.
    #[inline(always)]
    #[must_use]
    pub const fn lengths(&self, v4: bool) -> [u8; MAX_LENGTHS] {
        if v4 { self.lengths_v4 } else { self.lengths_v6 }
    }
}

#[cfg(feature = "user")]
// SAFETY: `repr(C)` of integers, its padding spelled out as `reserved`; every bit pattern is a value.
unsafe impl aya::Pod for Peering {}

//! Domain names as peers: their numbers, the key by which a name finds its pattern, and the addresses learned for it.

use crate::{
    Address,
    class::PeerKey,
    hash::{FNV_BASIS, MULTIPLIERS, fnv1a},
    page::half,
    table::bpf_spin_lock,
};

/// Bytes of a name as text, without the root's dot (RFC 1035, section 2.3.4).
pub const MAX_NAME: usize = 253;
/// Bytes of a [`NameKey`]'s data: the half, the longest name, and its end.
pub const KEY_BYTES: usize = 256;
const _: () = assert!(1 + MAX_NAME < KEY_BYTES);
/// Sets of the table of what was learned.
pub const LEARNED_SETS: u32 = 1 << 11;
/// Places of a set.
pub const LEARNED_WAYS: usize = 8;
/// Addresses that are remembered of one name; the oldest gives way.
pub const ADDRESSES_PER_NAME: usize = 64;
/// Names and wildcards of a policy.
pub const MAX_NAMES: u32 = 1 << 11;
/// A length that no prefix has: the peer is a name.
const NAMED: u8 = 0xff;

/// A pattern of a policy, exact or `*.name`, in one word: the same in every generation. 0 is none.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameId(u64);

impl NameId {
    /// No pattern.
    pub const NONE: Self = Self(0);

    /// FNV-1a over the pattern. Who writes a policy chooses its patterns, so nobody makes two of them collide; the
    /// compiler refuses those that do.
    #[must_use]
    pub const fn of(pattern: &str) -> Self {
        Self(fnv1a(FNV_BASIS, pattern.as_bytes()) | 1)
    }

    /// As it lies in the maps.
    #[inline(always)]
    #[must_use]
    pub const fn word(self) -> u64 {
        self.0
    }

    /// From the maps.
    #[inline(always)]
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// The pattern as one more peer of a set.
    #[inline(always)]
    #[must_use]
    pub const fn peer(self, set: u16) -> PeerKey {
        PeerKey { address: Address::from_words([self.0, 0]), set, length: NAMED }
    }
}

/// A name back to front, so that the longest pattern which it begins with is the one that it belongs to.
///
/// The generation's half, then the text's bytes from the last to the first. An exact name ends with a zero, a wildcard
/// with the dot in front of its name: what is below matches, at a label's boundary only, and the name itself does not. As
/// the kernel's trie wants it: the number of bits that count, then the bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NameKey {
    /// Bits that count.
    pub bits: u32,
    /// The bytes.
    pub data: [u8; KEY_BYTES],
}

const _: () = assert!(size_of::<NameKey>() == 260);

impl Default for NameKey {
    fn default() -> Self {
        Self { bits: 0, data: [0; KEY_BYTES] }
    }
}

impl NameKey {
    /// All bits.
    pub const WHOLE: u32 = 8 * KEY_BYTES as u32;

    /// Where a pattern, lower case and of at most [`MAX_NAME`] bytes, stands in a generation.
    #[must_use]
    pub fn of(generation: u16, pattern: &str) -> Self {
        let mut key = Self::default();
        let text = pattern.strip_prefix('*').unwrap_or(pattern).bytes().rev();
        let mut used = 1;
        key.data[0] = half(generation) as u8;
        for (place, byte) in key.data[1..].iter_mut().zip(text.take(MAX_NAME)) {
            *place = byte;
            used += 1;
        }
        let end = u32::from(!pattern.starts_with('*'));
        key.bits = 8 * (used + end);
        key
    }

    /// Whether it is of a generation's half.
    #[must_use]
    pub const fn is_of(&self, generation: u16) -> bool {
        self.data[0] == half(generation) as u8
    }

    /// Whether a whole name begins with it.
    #[must_use]
    pub fn matches(&self, whole: &Self) -> bool {
        let bytes = self.bits as usize / 8;
        self.data.iter().zip(&whole.data).take(bytes).all(|(one, other)| one == other)
    }
}

/// One name of an address, learned.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LearnedName {
    /// Its pattern's [`NameId`]; 0 where the place is free.
    pub id: u64,
    /// The address.
    pub address: Address,
    /// Tick at which it was learned first.
    pub since: u64,
    /// Tick until which it holds.
    pub until: u64,
    /// Who answered.
    pub resolver: Address,
}

/// A set of places for addresses and their names, and its lock. An address has one set, and a place for each name.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LearnedSet {
    /// Held by writers.
    pub lock: bpf_spin_lock,
    /// Explicit padding.
    pub reserved: u32,
    /// The places.
    pub places: [LearnedName; LEARNED_WAYS],
}

const _: () = assert!(size_of::<LearnedName>() == 56);
const _: () = assert!(size_of::<LearnedSet>() == 8 + 56 * LEARNED_WAYS);

/// The set of an address; `secret` keeps those who choose addresses from aiming at one.
#[inline(always)]
#[must_use]
pub const fn learned_set(address: &Address, secret: u64) -> u32 {
    let [high, low] = address.words();
    let mixed = (low ^ high.rotate_left(29) ^ secret).wrapping_mul(MULTIPLIERS[0]);
    (mixed >> (64 - LEARNED_SETS.trailing_zeros())) as u32
}

impl LearnedSet {
    /// Where a name of an address goes: to its own place, to a free one, or to that of the name which ends first.
    #[inline(always)]
    #[must_use]
    pub fn place(&self, address: &Address, id: u64) -> usize {
        const AT: u32 = LEARNED_WAYS.trailing_zeros();
        let [high, low] = address.words();
        let mut best = u64::MAX >> 1;
        // Without a branch for each place: the verifier would follow every one of them.
        for (at, name) in self.places.iter().enumerate() {
            let [of_high, of_low] = name.address.words();
            let other = is_not_zero(name.id ^ id | of_high ^ high | of_low ^ low);
            let rank = other * (1 + is_not_zero(name.id) * (1 + name.until));
            let place = rank << AT | at as u64;
            best ^= (best ^ place) & ((place.wrapping_sub(best) as i64) >> 63) as u64;
        }
        best as usize & (LEARNED_WAYS - 1)
    }
}

/// 1 or 0, without a branch.
#[inline(always)]
const fn is_not_zero(word: u64) -> u64 {
    (word | word.wrapping_neg()) >> 63
}

impl LearnedName {
    /// What becomes of a place that `self` is put in: a name that was known keeps when it was learned first, and never ends
    /// earlier.
    #[inline(always)]
    #[must_use]
    pub const fn over(self, old: &Self) -> Self {
        let (since, until) = self.times_over(old);
        Self { since, until, ..self }
    }

    /// Since when and until when it holds then.
    #[inline(always)]
    #[must_use]
    pub const fn times_over(&self, old: &Self) -> (u64, u64) {
        if !self.is(old) {
            return (self.since, self.until);
        }
        (old.since, if old.until > self.until { old.until } else { self.until })
    }

    /// Whether it is about the same name of the same address.
    #[inline(always)]
    #[must_use]
    pub const fn is(&self, other: &Self) -> bool {
        let ([a, b], [c, d]) = (self.address.words(), other.address.words());
        self.id == other.id && a == c && b == d
    }
}

/// The addresses of a name, to be given up oldest first.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// How many were ever put in; the next one's place is this, modulo their number.
    pub count: u64,
    /// As a ring.
    pub all: [Address; ADDRESSES_PER_NAME],
}

impl Default for Addresses {
    fn default() -> Self {
        Self { count: 0, all: [Address::UNSPECIFIED; ADDRESSES_PER_NAME] }
    }
}

impl Addresses {
    /// Puts one in; the one that gives way for it.
    pub fn push(&mut self, address: Address) -> Option<Address> {
        // One that comes again is the newest, and not the oldest too.
        for old in &mut self.all {
            if *old == address {
                *old = Address::UNSPECIFIED;
            }
        }
        let place = self.count as usize & (ADDRESSES_PER_NAME - 1);
        self.count = self.count.wrapping_add(1);
        let old = core::mem::replace(&mut self.all[place], address);
        (old != Address::UNSPECIFIED).then_some(old)
    }
}

/// What the agent wants done with a name of an address: by a program that it runs, since it can't hold a set's lock.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// [`Order::LEARN`] or [`Order::FORGET`].
    pub what: u64,
    /// Which; to forget it takes the name and the address.
    pub name: LearnedName,
}

impl Order {
    /// Put it in.
    pub const LEARN: u64 = 1;
    /// Take it out.
    pub const FORGET: u64 = 2;
}

#[cfg(feature = "user")]
// SAFETY: `repr(C)` of words and addresses; every bit pattern is a value.
unsafe impl aya::Pod for Order {}
#[cfg(feature = "user")]
// SAFETY: `repr(C)` of integers without padding; every bit pattern is a value.
unsafe impl aya::Pod for NameKey {}
#[cfg(feature = "user")]
// SAFETY: `repr(C)` of words and addresses; every bit pattern is a value.
unsafe impl aya::Pod for LearnedName {}
#[cfg(feature = "user")]
// SAFETY: as above.
unsafe impl aya::Pod for LearnedSet {}
#[cfg(feature = "user")]
// SAFETY: as above.
unsafe impl aya::Pod for Addresses {}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(name: &str) -> NameKey {
        NameKey { bits: NameKey::WHOLE, ..NameKey::of(1, name) }
    }

    #[test]
    fn a_wildcard_is_for_what_is_below_at_a_labels_boundary() {
        let cloud = NameKey::of(1, "*.balena-cloud.com");
        for below in ["api.balena-cloud.com", "a.b.balena-cloud.com"] {
            assert!(cloud.matches(&whole(below)), "{below}");
        }
        for other in ["balena-cloud.com", "evilbalena-cloud.com", "evil-balena-cloud.com", "com", ""] {
            assert!(!cloud.matches(&whole(other)), "{other}");
        }
        assert!(!NameKey::of(2, "*.balena-cloud.com").matches(&whole("api.balena-cloud.com")));
    }

    #[test]
    fn an_exact_name_is_itself() {
        let api = NameKey::of(1, "api.example.com");
        assert!(api.matches(&whole("api.example.com")));
        for other in ["x.api.example.com", "pi.example.com", "example.com", "xapi.example.com"] {
            assert!(!api.matches(&whole(other)), "{other}");
        }
        assert!(api.bits > NameKey::of(1, "*.example.com").bits, "the longer one wins");
    }

    #[test]
    fn a_name_takes_its_own_place_then_a_free_one_then_the_one_that_ends_first() {
        let (one, other) = (Address::v4([203, 0, 113, 1]), Address::v4([203, 0, 113, 2]));
        let name = |address, id, until| LearnedName { id, address, until, ..LearnedName::default() };
        let mut set = LearnedSet::default();
        assert_eq!(set.place(&one, 1), 0);
        set.places[0] = name(one, 1, 90);
        assert_eq!((set.place(&one, 1), set.place(&one, 2), set.place(&other, 1)), (0, 1, 1));
        for at in 0..LEARNED_WAYS {
            set.places[at] = name(other, at as u64 + 10, 90 - at as u64);
        }
        assert_eq!((set.place(&one, 1), set.place(&other, 12)), (LEARNED_WAYS - 1, 2));
        let again = LearnedName { since: 7, ..name(one, 1, 50) };
        assert_eq!(again.over(&name(one, 1, 90)), name(one, 1, 90));
        assert_eq!(again.over(&name(other, 1, 90)), again);
    }

    #[test]
    fn the_oldest_address_of_a_name_gives_way() {
        let mut ring = Addresses::default();
        let address = |n| Address::from_words([n, 1]);
        for n in 0..ADDRESSES_PER_NAME as u64 {
            assert_eq!(ring.push(address(n)), None);
        }
        assert_eq!(ring.push(address(99)), Some(address(0)));
        // Resolved again after it was forgotten: it does not give way for its own sake, nor is it the oldest then.
        assert_eq!(ring.push(address(2)), Some(address(1)));
        assert_eq!(ring.push(address(98)), None);
        assert_eq!(ring.push(address(97)), Some(address(3)));
    }

    #[test]
    fn ids_are_never_none() {
        assert_ne!(NameId::of(""), NameId::NONE);
        assert_ne!(NameId::of("a.example.com"), NameId::of("*.example.com"));
    }
}

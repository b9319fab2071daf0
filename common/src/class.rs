//! How the compiler lays rules out, so that a look-up costs the same for ten of them and for ten thousand.
//!
//! A service's slot holds its [`Class`]: nothing, a rule for any peer, or a number. The numbered class says which
//! set of peers to look in ([`Peering`]); the peers of all sets stand in one static hash table ([`PeerKey`],
//! [`PeerBucket`]) that user space fills and the kernel only reads. A service whose rules look at more than the peer has
//! a list of [`Clause`](crate::clause::Clause)s.

use crate::{Address, Direction, Tables, names::NameId, service::Transport};

/// Number of a rule, which is also the slot of its flow's counters: it stays the same while the flow's id lives.
pub type RuleId = u16;
/// Rules at most: two bits of a class word are taken.
pub const MAX_RULES: u32 = 1 << 14;
/// Numbered classes at most.
pub const MAX_CLASSES: u32 = 1 << 14;
/// Peers over all sets at most, beside which the table stays half empty.
pub const MAX_PEERS: u32 = 1 << 15;
/// Buckets of the peer table.
pub const PEER_BUCKETS: u32 = 1 << 14;
/// Entries of a bucket.
pub const BUCKET_PEERS: usize = 4;
/// Buckets that are looked at before a peer counts as unknown; the compiler keeps to it.
pub const MAX_PROBES: u32 = 8;
/// Rules that share a service, over all classes.
pub const MAX_SHARED: u32 = 1 << 15;
/// Lengths of prefix that one set of peers may have in one family; the compiler splits the rarest beyond it.
pub const MAX_LENGTHS: usize = 8;

/// A slot of the class table.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Class(u16);

/// One bit for each port of both protocols and directions: whether any rule documents it. It spares packets to the
/// ports that nothing documents the search for their class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Documented {
    /// The byte.
    pub byte: u32,
    /// Its bit.
    pub bit: u32,
}

impl Documented {
    /// Bytes of a generation.
    pub const BYTES: usize = 2 * 2 * 65_536 / 8;

    /// Where a port's bit is.
    #[inline(always)]
    #[must_use]
    pub const fn of(direction: Direction, transport: Transport, port: u16) -> Self {
        let number = direction.index() << 17 | (transport.index() as u32) << 16 | port as u32;
        Self { byte: number >> 3, bit: number & 7 }
    }
}

/// What a class says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allows {
    /// Nothing documents the service.
    Nobody,
    /// Any peer may use it, by this rule.
    Anybody(RuleId),
    /// The peers of this numbered class may.
    Peers(u16),
    /// It depends on more than the peer: on the clauses from this one on.
    Particular(u16),
}

impl Class {
    /// Nothing documents it.
    pub const NONE: Self = Self(0);
    const ANYBODY: u16 = 0x8000;
    const PARTICULAR: u16 = 0x4000;

    /// Any peer, by `rule`.
    #[must_use]
    pub const fn anybody(rule: RuleId) -> Self {
        Self(Self::ANYBODY | rule)
    }

    /// The clauses from `first` on.
    #[must_use]
    pub const fn particular(first: u16) -> Self {
        Self(Self::PARTICULAR | first)
    }

    /// The numbered class `number`, from 1 and below [`MAX_CLASSES`].
    #[must_use]
    pub const fn numbered(number: u16) -> Self {
        Self(number)
    }

    /// What it says.
    #[inline(always)]
    #[must_use]
    pub const fn allows(self) -> Allows {
        match self.0 {
            0 => Allows::Nobody,
            word if word & Self::ANYBODY != 0 => Allows::Anybody(word & !Self::ANYBODY),
            word if word & Self::PARTICULAR != 0 => Allows::Particular(word & !Self::PARTICULAR),
            number => Allows::Peers(number),
        }
    }

    /// As it lies in the table.
    #[must_use]
    pub const fn word(self) -> u16 {
        self.0
    }

    /// From the table.
    #[inline(always)]
    #[must_use]
    pub const fn from_word(word: u16) -> Self {
        Self(word)
    }
}

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
// SAFETY: `repr(C)` of integers, its padding spelled out as `reserved`; every bit pattern is a value.
unsafe impl aya::Pod for Peering {}
#[cfg(feature = "user")]
// SAFETY: `repr(C)` of addresses and integers without padding; every bit pattern is a value.
unsafe impl aya::Pod for PeerBucket {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_word_says_what_was_put_in() {
        assert_eq!(Class::NONE.allows(), Allows::Nobody);
        assert_eq!(Class::anybody(0).allows(), Allows::Anybody(0));
        assert_eq!(Class::anybody(16_383).allows(), Allows::Anybody(16_383));
        assert_eq!(Class::numbered(1).allows(), Allows::Peers(1));
        assert_eq!(Class::from_word(Class::numbered(16_383).word()).allows(), Allows::Peers(16_383));
        assert_eq!(Class::particular(0).allows(), Allows::Particular(0));
        assert_eq!(Class::from_word(Class::particular(2_047).word()).allows(), Allows::Particular(2_047));
    }

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

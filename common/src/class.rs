//! How the compiler lays rules out, so that a look-up costs the same for ten of them and for ten thousand.
//!
//! A service's slot holds its [`Class`]: nothing, a rule for any peer, or a number. The numbered class says which
//! set of peers to look in ([`Peering`]); the peers of all sets stand in one static hash table ([`PeerKey`],
//! [`PeerBucket`]) that user space fills and the kernel only reads. A service whose rules look at more than the peer has
//! a list of [`Clause`](crate::clause::Clause)s.

mod peer;
mod peering;

pub(crate) use self::peer::{find, member, named};
pub use self::{
    peer::{BUCKET_PEERS, Found, MAX_PEERS, MAX_PROBES, PEER_BUCKETS, PeerBucket, PeerKey, pattern},
    peering::{MAX_LENGTHS, Peering, SMALL_V4, SMALL_V6},
};
use crate::{Direction, service::Transport};

/// Number of a rule, which is also the slot of its flow's counters: it stays the same while the flow's id lives.
pub type RuleId = u16;
/// Rules at most: two bits of a class word are taken.
pub const MAX_RULES: u32 = 1 << 14;
/// Numbered classes at most.
pub const MAX_CLASSES: u32 = 1 << 14;
/// Rules that share a service, over all classes.
pub const MAX_SHARED: u32 = 1 << 15;

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
}

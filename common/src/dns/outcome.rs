//! What came of a resolver's message: each has its counter.

/// An outcome, by its counter's place.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Not a message, or not as far as it can be read.
    Malformed = 0,
    /// A question that is kept in mind.
    Asked = 1,
    /// Addresses of a name that the policy wants.
    Learned = 2,
    /// An answer for a name that no rule wants.
    NotListed = 3,
    /// A wanted name has no address of this kind, or none at all.
    NoAddress = 4,
    /// An answer that nobody waits for.
    Unasked = 5,
    /// An answer to another question than the one that was asked.
    OtherQuestion = 6,
    /// The resolver left something out, and who asked will ask again by TCP (RFC 7766).
    Truncated = 7,
    /// More bytes than are read; the agent asks.
    TooLong = 8,
    /// More records than are read; the agent asks.
    TooMany = 9,
    /// Only its first fragment could be read; the agent asks.
    Fragmented = 10,
    /// A message in several segments of TCP, or several in one; the agent asks.
    Segmented = 11,
}

impl Outcome {
    /// All, by place.
    pub const ALL: [Self; 12] = [
        Self::Malformed,
        Self::Asked,
        Self::Learned,
        Self::NotListed,
        Self::NoAddress,
        Self::Unasked,
        Self::OtherQuestion,
        Self::Truncated,
        Self::TooLong,
        Self::TooMany,
        Self::Fragmented,
        Self::Segmented,
    ];
    /// Size of their counters.
    pub const COUNT: u32 = 16;

    /// The word of outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Asked => "asked",
            Self::Learned => "learned",
            Self::NotListed => "not-listed",
            Self::NoAddress => "no-address",
            Self::Unasked => "unasked",
            Self::OtherQuestion => "other-question",
            Self::Truncated => "truncated",
            Self::TooLong => "too-long",
            Self::TooMany => "too-many",
            Self::Fragmented => "fragmented",
            Self::Segmented => "segmented",
        }
    }

    /// By number; what is none counts as malformed.
    #[inline(always)]
    #[must_use]
    pub const fn of(number: u32) -> Self {
        match number {
            1 => Self::Asked,
            2 => Self::Learned,
            3 => Self::NotListed,
            4 => Self::NoAddress,
            5 => Self::Unasked,
            6 => Self::OtherQuestion,
            7 => Self::Truncated,
            8 => Self::TooLong,
            9 => Self::TooMany,
            10 => Self::Fragmented,
            11 => Self::Segmented,
            _ => Self::Malformed,
        }
    }

    /// Whether something that a client may have got was not read.
    #[inline(always)]
    #[must_use]
    pub const fn is_partial(self) -> bool {
        matches!(self, Self::TooLong | Self::TooMany | Self::Fragmented | Self::Segmented)
    }

    /// Why a message is not whole, by number.
    #[inline(always)]
    pub(super) const fn cut(number: u32) -> Self {
        if number == Self::TooLong as u32 {
            Self::TooLong
        } else if number == Self::Fragmented as u32 {
            Self::Fragmented
        } else if number == Self::Segmented as u32 {
            Self::Segmented
        } else {
            Self::Malformed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_places_of_the_counters() {
        for (place, outcome) in (0..).zip(Outcome::ALL) {
            assert_eq!((outcome as u32, Outcome::of(place)), (place, outcome));
        }
        assert_eq!(Outcome::of(99), Outcome::Malformed);
        const { assert!(Outcome::ALL.len() <= Outcome::COUNT as usize) };
    }
}

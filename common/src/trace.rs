//! How a program that is loaded but not attached is told the time and tells its verdict: `replay`, tests, benchmarks.

use crate::{Decision, Reason};

/// One packet's question and answer, in a map that only programs that are asked use.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The clock, in ticks.
    pub now: u64,
    /// Length of the frame on the wire, which may be more than what is run.
    pub length: u32,
    rule: u16,
    reason: u8,
    answered: u8,
}

const _: () = assert!(size_of::<Trace>() == 16);

impl Trace {
    const NO_RULE: u16 = u16::MAX;

    /// Asks.
    #[must_use]
    pub const fn at(now: u64, length: u32) -> Self {
        Self { now, length, rule: Self::NO_RULE, reason: 0, answered: 0 }
    }

    /// Answers.
    #[inline(always)]
    pub fn answer(&mut self, decision: &Decision) {
        self.rule = decision.rule().unwrap_or(Self::NO_RULE);
        self.reason = decision.number();
        self.answered = 1;
    }

    /// The verdict, if the program gave one.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        if self.answered == 1 { Reason::from_index(self.reason) } else { None }
    }

    /// The rule, if the verdict has one.
    #[must_use]
    pub fn rule(&self) -> Option<u16> {
        (self.answered == 1 && self.rule != Self::NO_RULE).then_some(self.rule)
    }
}

#[cfg(feature = "user")]
// SAFETY: `repr(C)` of integers without padding; every bit pattern is a value.
unsafe impl aya::Pod for Trace {}

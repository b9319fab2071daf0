//! Who judges the frames of a capture.

use std::time::Duration;

use portreeve_common::{Direction, Reason, Snapped, class::RuleId};

use crate::image::{Image, simulation::Simulation};

/// Ticks of the simulated clock.
pub const TICKS_PER_SECOND: u64 = 1_000;

/// What a judge says of a frame: why, and the rule that it passes by or that is for another peer.
pub type Verdict = (Reason, Option<RuleId>);

/// Why a judge can't say anything.
#[derive(Debug, thiserror::Error)]
#[error("packet {packet} could not be judged")]
pub struct JudgeError {
    /// Its number, from 1.
    pub packet: u64,
    /// What the judge said.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// The kernel's programs, or the same lines in user space.
pub trait Judge {
    /// The verdict on a frame of `length` bytes on the wire, of which `frame` may be the beginning; `at`: the time since
    /// the epoch, never before that of the last frame.
    ///
    /// # Errors
    /// The programs could not be run.
    fn judge(
        &mut self,
        frame: &[u8],
        length: u32,
        direction: Direction,
        at: Duration,
    ) -> Result<Verdict, Box<dyn std::error::Error + Send + Sync>>;
}

/// The decision core over plain collections.
pub struct Simulated(Simulation);

impl Simulated {
    /// `image`: compiled with [`TICKS_PER_SECOND`].
    #[must_use]
    pub fn new(image: Image) -> Self {
        Self(Simulation::new(image))
    }
}

impl Judge for Simulated {
    fn judge(
        &mut self,
        frame: &[u8],
        length: u32,
        direction: Direction,
        at: Duration,
    ) -> Result<Verdict, Box<dyn std::error::Error + Send + Sync>> {
        self.0.set_now(u64::try_from(at.as_millis()).unwrap_or(u64::MAX));
        let decision = self.0.judge(&Snapped::new(frame, length), direction);
        Ok((decision.reason(), decision.rule()))
    }
}

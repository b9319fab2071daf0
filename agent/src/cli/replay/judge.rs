//! Who judges the frames of a capture.

use std::time::Duration;

use portreeve_common::{Direction, Reason, Snapped, class::RuleId, clause::Interfaces};

use crate::{
    datapath::{
        DatapathError,
        object::{Secret, Sets},
        policy::Tables,
        traced::Traced,
    },
    image::{Image, simulation::Simulation},
};

/// Ticks of the capture's clock, by which both judges go.
pub const TICKS_PER_SECOND: u64 = 1_000;

/// A capture is over when it is judged: nobody aims at the places of its flows.
const SECRET: Secret = [0x9e37_79b9_7f4a_7c15, 0xbf58_476d_1ce4_e5b9];

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
    /// `image`: compiled with [`TICKS_PER_SECOND`]; `interfaces`: those of the capture.
    #[must_use]
    pub fn new(image: Image, interfaces: Interfaces) -> Self {
        let mut simulation = Simulation::new(image);
        simulation.set_interfaces(interfaces);
        Self(simulation)
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
        self.0.set_now(ticks(at));
        let decision = self.0.judge(&Snapped::new(frame, length), direction);
        Ok((decision.reason(), decision.rule()))
    }
}

/// The kernel's programs, loaded for the capture and attached nowhere.
pub struct Kernel {
    traced: Traced,
    native: bool,
}

impl Kernel {
    /// `image`: compiled with [`TICKS_PER_SECOND`]; `interfaces`: those of the capture; `native`: ingress by XDP, else by TC.
    ///
    /// # Errors
    /// The kernel refuses the programs or the tables.
    pub fn load(
        image: &Image,
        sets: Sets,
        interfaces: Interfaces,
        native: bool,
    ) -> Result<Self, DatapathError> {
        Ok(Self { traced: Traced::load_on(&Tables::from(image), SECRET, sets, interfaces)?, native })
    }
}

impl Judge for Kernel {
    fn judge(
        &mut self,
        frame: &[u8],
        length: u32,
        direction: Direction,
        at: Duration,
    ) -> Result<Verdict, Box<dyn std::error::Error + Send + Sync>> {
        let hook = Traced::hook(direction, self.native);
        Ok(self.traced.judge(frame, length, hook, ticks(at))?)
    }
}

fn ticks(at: Duration) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}

//! One frame and the way it goes: what a suite feeds to the programs, one after another.

use portreeve_common::Direction;

/// A frame at the hook of one direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// As seen from the host.
    pub direction: Direction,
    /// From the destination address on.
    pub bytes: Vec<u8>,
}

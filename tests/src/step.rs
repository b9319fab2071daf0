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

/// Bytes as two digits each.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

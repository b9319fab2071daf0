//! A flow that lives before the programs have seen a packet of it, as user space hands it to them: in place of a frame.

use crate::{
    Packet,
    flow::{FlowKey, FlowState},
};

/// Words of a key and a state.
const WORDS: usize = 8;
/// Bytes of the frame.
pub const BYTES: usize = 8 * WORDS;

/// A key, and the state that it is to have; the time is not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed {
    /// Which.
    pub key: FlowKey,
    /// Under which rule and generation it lives.
    pub state: FlowState,
}

/// What became of it: verdicts of the program that puts it into the table.
pub mod outcome {
    /// It lives already, or was put there.
    pub const LIVES: u32 = 2;
    /// There is no room for it.
    pub const FULL: u32 = 1;
}

impl Seed {
    /// The frame.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; BYTES] {
        let ([k0, k1, k2, k3, k4], [s0, s1, s2]) = (self.key.words(), self.state.words());
        let words = [k0, k1, k2, k3, k4, s0, s1, s2];
        let mut bytes = [0; BYTES];
        let (whole, _) = bytes.as_chunks_mut::<8>();
        let mut at = 0;
        while at < WORDS {
            whole[at] = words[at].to_ne_bytes();
            at += 1;
        }
        bytes
    }

    /// From the frame.
    #[inline(always)]
    pub fn read<P: Packet + ?Sized>(frame: &P) -> Option<Self> {
        let mut words = [0; WORDS];
        for (word, at) in words.iter_mut().zip((0u32..).step_by(8)) {
            *word = u64::from_ne_bytes(frame.read(at)?);
        }
        let [k0, k1, k2, k3, k4, s0, s1, s2] = words;
        Some(Self {
            key: FlowKey::from_words([k0, k1, k2, k3, k4]),
            state: FlowState::from_words([s0, s1, s2]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Address, Direction, number::protocol};

    #[test]
    fn a_seed_is_read_as_it_was_written() {
        let (local, remote) = (Address::v4([192, 0, 2, 10]), Address::v4([198, 51, 100, 7]));
        let key = FlowKey::new(local, remote, 443, 40_000, protocol::TCP);
        let state = FlowState::new(protocol::TCP, Direction::Ingress, 3, 9, 0).answered();
        let seed = Seed { key, state };
        assert_eq!(Seed::read(seed.to_bytes().as_slice()), Some(seed));
        assert_eq!(Seed::read([0; BYTES - 1].as_slice()), None);
    }
}

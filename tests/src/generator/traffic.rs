//! Conversations all at once, among frames by chance, on a clock.

use fastrand::Rng;

use super::{Choices, Conversation, Generator, Pool, mutate};
use crate::step::Step;

/// Conversations at a time.
const AT_ONCE: usize = 12;
/// The longest pause between two frames, in milliseconds, when nobody waits.
const PAUSE: u64 = 30;
/// How often a line of a conversation is mutated.
const SPOILED: u8 = 32;

/// A frame and when it comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed {
    /// Milliseconds, never less than the last.
    pub at: u64,
    /// The frame.
    pub step: Step,
}

/// An endless sequence, the same for the same seed and pool: half of it lines of conversations, half frames by chance.
pub struct Traffic {
    random: Rng,
    chance: Generator,
    pool: Pool,
    conversations: Vec<Conversation>,
    now: u64,
}

impl Traffic {
    /// Over the addresses and ports of a policy under test.
    #[must_use]
    pub fn new(seed: u64, pool: Pool) -> Self {
        let mut random = Rng::with_seed(seed);
        let chance = Generator::with_pool(random.u64(..), pool.clone());
        let conversations = (0..AT_ONCE).map(|_| Conversation::new(&mut random, &pool)).collect();
        Self { random, chance, pool, conversations, now: 0 }
    }

    fn line(&mut self) -> Step {
        loop {
            let at = self.random.usize(..AT_ONCE);
            if let Some(line) = self.conversations[at].next() {
                self.now += line.wait * 1_000;
                let mut bytes = [0; 32];
                self.random.fill(&mut bytes);
                let spoiled = self.random.u8(..SPOILED) == 0;
                let frame = line.frame;
                let bytes = if spoiled { mutate(frame, &mut Choices::new(&bytes)) } else { frame.bytes() };
                return Step { direction: line.direction, bytes };
            }
            self.conversations[at] = Conversation::new(&mut self.random, &self.pool);
        }
    }
}

impl Iterator for Traffic {
    type Item = Timed;

    /// Always some frame.
    fn next(&mut self) -> Option<Timed> {
        self.now += self.random.u64(..PAUSE);
        let step = if self.random.bool() { self.line() } else { self.chance.step() };
        Some(Timed { at: self.now, step })
    }
}

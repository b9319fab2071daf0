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

/// How long conversations are, and how much comes between their lines.
#[derive(Clone, Copy, Debug)]
struct Manner {
    /// More lines than a chat ever has.
    chat: u8,
    /// One frame in so many is a frame by chance.
    chance: u8,
}

/// A frame and when it comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed {
    /// Milliseconds, never less than the last.
    pub at: u64,
    /// The frame.
    pub step: Step,
}

/// An endless sequence, the same for the same seed and pool: lines of conversations among frames by chance.
pub struct Traffic {
    random: Rng,
    chance: Generator,
    pool: Pool,
    conversations: Vec<Conversation>,
    manner: Manner,
    begun: u64,
    now: u64,
}

impl Traffic {
    /// Over the addresses and ports of a policy under test.
    #[must_use]
    pub fn new(seed: u64, pool: Pool) -> Self {
        Self::of(seed, pool, Manner { chat: 24, chance: 2 })
    }

    /// The same with short conversations: most of what goes wrong goes wrong at their beginning and end.
    #[must_use]
    pub fn brief(seed: u64, pool: Pool) -> Self {
        Self::of(seed, pool, Manner { chat: 4, chance: 5 })
    }

    /// Conversations that have begun.
    #[must_use]
    pub fn begun(&self) -> u64 {
        self.begun
    }

    fn of(seed: u64, pool: Pool, manner: Manner) -> Self {
        let mut random = Rng::with_seed(seed);
        let chance = Generator::with_pool(random.u64(..), pool.clone());
        let begin = |_| Conversation::new(&mut random, &pool, manner.chat);
        let conversations = (0..AT_ONCE).map(begin).collect();
        Self { random, chance, pool, conversations, manner, begun: AT_ONCE as u64, now: 0 }
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
            self.conversations[at] = Conversation::new(&mut self.random, &self.pool, self.manner.chat);
            self.begun += 1;
        }
    }
}

impl Iterator for Traffic {
    type Item = Timed;

    /// Always some frame.
    fn next(&mut self) -> Option<Timed> {
        self.now += self.random.u64(..PAUSE);
        let by_chance = self.random.u8(..self.manner.chance) == 0;
        let step = if by_chance { self.chance.step() } else { self.line() };
        Some(Timed { at: self.now, step })
    }
}

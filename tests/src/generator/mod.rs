//! Frames by chance: valid and mutated, over few enough addresses and ports that rules and flows are hit.

mod traffic;

mod conversation;

mod choices;
mod mutation;
mod pool;
mod recipe;
mod strategy;

use portreeve_common::Direction;

pub use choices::Choices;
pub use conversation::{Conversation, Line};
pub use mutation::mutate;
pub use pool::{Named, Pool};
pub use recipe::Recipe;
pub use strategy::{any_frame, any_step, any_valid_frame};
pub use traffic::{Timed, Traffic};

use crate::{frame::Frame, step::Step};

/// An endless sequence of frames, the same for the same seed and pool; fast enough for millions.
pub struct Generator {
    random: fastrand::Rng,
    pool: Pool,
}

impl Generator {
    /// Over the default pool.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with_pool(seed, Pool::default())
    }

    /// Over the addresses and ports of a policy under test.
    #[must_use]
    pub fn with_pool(seed: u64, pool: Pool) -> Self {
        Self { random: fastrand::Rng::with_seed(seed), pool }
    }

    /// A valid frame with its direction.
    pub fn valid(&mut self) -> (Direction, Frame) {
        self.recipe().frame(&self.pool)
    }

    /// The next frame with its direction; three in four are valid.
    pub fn step(&mut self) -> Step {
        self.recipe().step(&self.pool)
    }

    fn recipe(&mut self) -> Recipe {
        let mut recipe = Recipe::default();
        self.random.fill(&mut recipe.0);
        recipe
    }
}

impl Iterator for Generator {
    type Item = Vec<u8>;

    /// Always some frame.
    fn next(&mut self) -> Option<Vec<u8>> {
        Some(self.step().bytes)
    }
}

#[cfg(test)]
mod tests;

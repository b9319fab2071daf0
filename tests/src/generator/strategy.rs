//! The same frames as proptest strategies, which shrink to plain ones.

use portreeve_common::Direction;
use proptest::prelude::*;

use super::{Pool, Recipe};
use crate::{frame::Frame, step::Step};

/// Bytes of frames by chance, valid and mutated, over the default pool.
pub fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    any_step(Pool::default()).prop_map(|step| step.bytes)
}

/// Frames by chance with their directions, valid and mutated.
pub fn any_step(pool: Pool) -> impl Strategy<Value = Step> {
    recipe().prop_map(move |recipe| recipe.step(&pool))
}

/// Valid frames by chance with their directions.
pub fn any_valid_frame(pool: Pool) -> impl Strategy<Value = (Direction, Frame)> {
    recipe().prop_map(move |recipe| recipe.frame(&pool))
}

fn recipe() -> impl Strategy<Value = Recipe> {
    any::<[u8; 64]>().prop_map(Recipe)
}

//! The first enforcement: connections that live already, and that policy allows, are in the table before anything drops.

use portreeve_common::{
    Direction, Tables as _,
    flow::{FlowKey, FlowState},
    names::LearnedName,
    number::protocol,
    seed::Seed,
};

use super::{
    ControlError,
    connections::{self, tracked},
    opened::Opened,
};
use crate::{
    datapath::{names::Names, object::Sets, seeds::Seeder},
    image::{Image, simulation::Simulation},
};

/// Puts them there, to live under a generation that is about to drop.
///
/// # Errors
/// The kernel does not tell its connections, or can't take them.
pub(super) fn seed(opened: &Opened<'_>, image: &Image, generation: u16) -> Result<(), ControlError> {
    let protected = opened.state.generations.get(&generation).map(|record| record.protected.as_slice());
    let mut known = connections::established().map_err(ControlError::Sockets)?;
    known.extend(tracked::tracked(protected.unwrap_or_default()).map_err(ControlError::Tracked)?);
    known.sort_unstable();
    known.dedup();
    let pins = &opened.instance.pins;
    let seeds = allowed(image, &Names::open(pins)?.learned()?, &known, generation);
    let Some(sets) = Sets::pinned(pins)?.filter(|_| !seeds.is_empty()) else { return Ok(()) };
    let seeder = Seeder::load(pins, opened.state.secret, sets)?;
    let mut planted = 0_usize;
    for seed in &seeds {
        planted += usize::from(seeder.plant(*seed)?);
    }
    tracing::info!(
        planted,
        allowed = seeds.len(),
        known = known.len(),
        "connections that live already are kept"
    );
    if planted < seeds.len() {
        tracing::warn!("the established table has no room for all connections that live already");
    }
    Ok(())
}

/// Those that policy allows. Data connections hang on control flows, so they are asked for when those are known.
fn allowed(
    image: &Image,
    learned: &[LearnedName],
    known: &[(FlowKey, Direction)],
    generation: u16,
) -> Vec<Seed> {
    let tables = Simulation::new(image.clone());
    tables.remember(learned);
    let mut seeds = Vec::new();
    let mut keep = |(key, began): (FlowKey, Direction)| {
        let Some(rule) = tables.allows(&key, began) else { return false };
        let state = FlowState::new(key.protocol(), began, rule, generation, 0).answered();
        tables.establish(&key, state);
        if key.protocol() == protocol::TCP && tables.settings().controls(key.service(began).number) {
            tables.note(&key, began);
        }
        seeds.push(Seed { key, state });
        true
    };
    let refused: Vec<_> = known.iter().filter(|flow| !keep(**flow)).collect();
    refused.into_iter().for_each(|flow| {
        keep(*flow);
    });
    seeds
}

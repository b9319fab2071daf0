//! The first enforcement: connections that live already, and that policy allows, are in the table before anything drops.
//! So are those that it does not allow, where only the direction in which they began is observed: their answers come back
//! through the other one.

use portreeve_common::{
    Address, Direction, Tables as _, decide,
    flow::{FlowKey, FlowState},
    names::LearnedName,
    number::protocol,
    seed::Seed,
    switch::{Mode, Posture},
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

/// Whether that is to be done before `next` takes the place of `current`.
pub(super) fn is_due(opened: &Opened<'_>, current: Posture, next: Posture) -> bool {
    let enforces = Direction::ALL.into_iter().any(|direction| next.mode(direction) == Mode::Enforce);
    let alone = |direction| next.observes_alone(direction) && !current.observes_alone(direction);
    !opened.state.enforced && enforces || Direction::ALL.into_iter().any(alone)
}

/// Puts them there, to live under a posture that is about to drop.
///
/// # Errors
/// The kernel does not tell its connections, or can't take them.
pub(super) fn seed(opened: &Opened<'_>, image: &Image, posture: Posture) -> Result<(), ControlError> {
    let protected =
        opened.state.generations.get(&posture.generation()).map(|record| record.protected.as_slice());
    let mut known = connections::established().map_err(ControlError::Sockets)?;
    known.extend(tracked::tracked(protected.unwrap_or_default()).map_err(ControlError::Tracked)?);
    known.sort_unstable();
    known.dedup();
    let pins = &opened.instance.pins;
    let seeds = living(image, &Names::open(pins)?.learned()?, &known, posture);
    let Some(sets) = Sets::pinned(pins)?.filter(|_| !seeds.is_empty()) else { return Ok(()) };
    let seeder = Seeder::load(pins, opened.state.secret, sets)?;
    let mut planted = 0_usize;
    for seed in &seeds {
        planted += usize::from(seeder.plant(*seed)?);
    }
    tracing::info!(
        planted,
        wanted = seeds.len(),
        known = known.len(),
        "connections that live already are kept"
    );
    if planted < seeds.len() {
        tracing::warn!("the established table has no room for all connections that live already");
    }
    Ok(())
}

/// Those that policy allows, or observes. Data connections hang on control flows, so they are asked for when those are known.
fn living(
    image: &Image,
    learned: &[LearnedName],
    known: &[(FlowKey, Direction)],
    posture: Posture,
) -> Vec<Seed> {
    let tables = Simulation::new(image.clone());
    tables.remember(learned);
    let mut seeds = Vec::new();
    let mut keep = |(key, began): (FlowKey, Direction)| {
        let Some(rule) = tables.allows(&key, began) else { return false };
        let state = FlowState::new(key.protocol(), began, rule, posture.generation(), 0).answered();
        tables.establish(&key, state);
        if key.protocol() == protocol::TCP && tables.settings().controls(key.service(began).number) {
            tables.note(&key, began);
        }
        seeds.push(Seed { key, state });
        true
    };
    let refused: Vec<_> = known.iter().copied().filter(|flow| !keep(*flow)).collect();
    let refused: Vec<_> = refused.into_iter().filter(|flow| !keep(*flow)).collect();
    let own = |address: &Address| tables.protects(address) == decide::OWN;
    for (key, began) in refused {
        if posture.observes_alone(began) && own(key.local()) && !own(key.remote()) {
            let state = FlowState::new(key.protocol(), began, FlowState::NO_RULE, posture.generation(), 0);
            seeds.push(Seed { key, state: state.answered() });
        }
    }
    seeds
}

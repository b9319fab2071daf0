//! Changing the mode of a running instance, and taking it off.

use jiff::Timestamp;
use portreeve_common::{
    Direction,
    switch::{Mode, Switch},
};

use super::ControlError;
use crate::{
    datapath::{clock::Clock, policy::PolicyMaps},
    instance::Instance,
    policy::{self, Catalogue, host::StateLimits},
};

/// Sets the mode of these directions with one store. At the first enforcement the adoption window opens.
///
/// # Errors
/// The instance is not there, or its maps can't be written.
pub fn set_modes(
    instance: &Instance,
    catalogue: &Catalogue,
    directions: &[Direction],
    mode: Mode,
) -> Result<(), ControlError> {
    let _lock = instance.lock()?;
    let mut state = instance.running()?;
    let mut maps = PolicyMaps::open(&instance.pins)?;
    let now = Clock::open(&instance.pins)?.now(state.ticks_per_second)?;
    let switch = maps.switch()?;
    let current = switch.posture(|| now.ticks);
    let next = directions.iter().fold(current, |posture, direction| posture.with(*direction, mode));
    if mode == Mode::Enforce && !state.enforced {
        state.enforced = true;
        let adoption = policy::load_trusted(&instance.host_file(), catalogue)
            .map_or(StateLimits::default().adoption, |policy| policy.host.state.adoption);
        let settings = maps.settings(current.generation())?.adopting_until(now.after(adoption));
        maps.set_settings(current.generation(), &settings)?;
    }
    for direction in directions {
        if current.mode(*direction) != mode {
            state.changed.insert(direction.name().into(), Timestamp::now());
        }
    }
    instance.remember(&state)?;
    if next != current {
        maps.set_switch(Switch::settled(next, switch.previous()))?;
    }
    Ok(())
}

/// Takes everything off: links, programs, maps. The last good policy's host file stays.
///
/// # Errors
/// A pin stays.
pub fn detach(instance: &Instance) -> Result<bool, ControlError> {
    let _lock = instance.lock()?;
    let there = instance.pins.root().exists();
    instance.pins.remove_all()?;
    instance.forget()?;
    Ok(there)
}

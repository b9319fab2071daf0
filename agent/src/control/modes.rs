//! Changing the mode of a running instance, and taking it off.

use portreeve_common::{
    Direction,
    switch::{Mode, Posture},
};

use super::{
    ControlError,
    generation::{Target, make_current},
    opened::Opened,
    readiness::{self, Begins},
    seeding,
};
use crate::{
    datapath::attach,
    instance::Instance,
    policy::{
        Catalogue, Stage,
        host::{self, OnStop, StateLimits},
    },
};

/// Sets the mode of these directions with one store, for the policy in force and for the one to go back to. At the
/// first enforcement the adoption window opens.
///
/// # Errors
/// The instance is not there, or its maps can't be written. To enforce is refused while a change waits for its
/// confirmation, and unless `force` says so while required flows would be dropped.
pub fn set_modes(
    instance: &Instance,
    catalogue: &Catalogue,
    directions: &[Direction],
    mode: Mode,
    force: bool,
) -> Result<(), ControlError> {
    let mut opened = Opened::running(instance, catalogue)?;
    let (switch, current) = (opened.switch(), opened.posture());
    let changing: Vec<_> =
        directions.iter().copied().filter(|direction| current.mode(*direction) != mode).collect();
    if mode == Mode::Enforce {
        opened.refuse_pending()?;
        if !force {
            let policy = opened.policy(current)?;
            let protected = opened.record(current).map(|record| record.protected.clone()).unwrap_or_default();
            let begins = Begins { directions: changing.clone(), roles: Vec::new() };
            readiness::refuse(&opened, &policy, &protected, &begins)?;
        }
    }
    let with = |posture: Posture| {
        directions.iter().fold(posture, |posture, direction| posture.with(*direction, mode))
    };
    let (latest, previous) = (with(switch.latest()), with(switch.previous()));
    let seeds = seeding::is_due(&opened, current, with(current));
    if mode == Mode::Enforce && !opened.state.enforced {
        opened.state.enforced = true;
        let adoption = opened
            .policy(current)
            .map_or(StateLimits::default().adoption, |policy| policy.host.state.adoption);
        let settings = opened.maps.settings(current.generation())?.adopting_until(opened.now.after(adoption));
        opened.maps.set_settings(current.generation(), &settings)?;
    }
    if seeds {
        let (_, image) = opened.image(current)?;
        seeding::seed(&opened, &image, with(current))?;
    }
    // Who asks to observe what is observed already wants to see it anew.
    for direction in if mode == Mode::Observe { directions } else { changing.as_slice() } {
        opened.observe_anew(direction.name());
    }
    // To observe cuts nothing: it waits for nobody, and a deadline stays.
    let next = switch.with(latest, previous);
    if next == switch { Ok(opened.finish()?) } else { opened.store(next) }
}

/// Sets the stage of a role in these directions, as a new generation: what it opens or closes are rules.
///
/// # Errors
/// The host has no such role, a change waits for its confirmation, or the kernel refuses. To enforce is refused unless
/// `force` says so while packets of the role's required flows would be dropped.
pub fn set_stage(
    instance: &Instance,
    catalogue: &Catalogue,
    role: &str,
    directions: &[Direction],
    mode: host::Mode,
    force: bool,
) -> Result<(), ControlError> {
    let mut opened = Opened::running(instance, catalogue)?;
    opened.refuse_pending()?;
    let current = opened.posture();
    let mut policy = opened.policy(current)?;
    if policy.stages.get(role).is_none() {
        let roles: Vec<_> = policy.host.roles.iter().map(|used| used.role.clone()).collect();
        return Err(ControlError::Role { role: role.into(), roles: roles.join(", ") });
    }
    for direction in directions {
        policy.stages.set(role, *direction, mode);
    }
    let protected = opened.record(current).map(|record| record.protected.clone()).unwrap_or_default();
    if mode == host::Mode::Enforce && !force {
        let enforced = directions.iter().filter(|way| current.mode(**way) == Mode::Enforce);
        let roles = enforced.map(|way| (role.to_owned(), *way)).collect();
        readiness::refuse(&opened, &policy, &protected, &Begins { directions: Vec::new(), roles })?;
    }
    if mode == host::Mode::Observe {
        for direction in directions {
            opened.observe_anew(&Stage::key(role, *direction));
        }
    }
    make_current(&mut opened, Target { policy: &policy, protected, confirm_within: None })?;
    Ok(())
}

/// Takes everything off: links, programs, maps. The last good policy's host file stays.
///
/// # Errors
/// A pin stays.
pub fn detach(instance: &Instance) -> Result<bool, ControlError> {
    let _lock = instance.lock()?;
    let there = instance.pins.root().exists();
    // What can't be read says nothing of a qdisc: that stays.
    let mut covers = instance.state().ok().flatten().map(|state| state.interfaces).unwrap_or_default();
    for (name, _) in instance.pins.attached()? {
        covers.entry(name).or_default();
    }
    // Forgotten first: nobody takes for a fault what is left while this is at work, or when it is cut short.
    instance.forget()?;
    covers.iter().try_for_each(|(name, cover)| attach::detach(&instance.pins, name, cover))?;
    instance.pins.remove_all()?;
    Ok(there)
}

/// What the host file in force says of the agent's end; to go on is the safe answer.
#[must_use]
pub fn on_stop(instance: &Instance, catalogue: &Catalogue) -> OnStop {
    let opened = Opened::running(instance, catalogue);
    let policy = opened.and_then(|opened| opened.policy(opened.posture()));
    policy.map_or(OnStop::Keep, |policy| policy.host.enforcement.on_stop)
}

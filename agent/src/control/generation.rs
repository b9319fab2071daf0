//! Making a generation: compiled, written beside the one in force, rehearsed, and made current with one store.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ipnet::IpNet;
use jiff::Zoned;
use portreeve_common::{
    Direction,
    switch::{LAST_GENERATION, Mode, Posture, Switch},
};

use super::{ControlError, golden, opened::Opened, seeding, start, wanted};
use crate::{
    datapath::{clock::Clock, policy::Tables, reading::Counters, state::Established},
    image::{Deferred, FlowSlots, Image},
    instance::{Generation, Resume},
    policy::{self, Policy, Stage, Stages, stage::Declared},
};

/// A deadline has 32 bits of sixteen ticks (`Switch::until`).
const LAST_DEADLINE: u64 = (u32::MAX as u64) << 4;

/// What is to become current.
pub(super) struct Target<'p> {
    pub(super) policy: &'p Policy,
    pub(super) protected: Vec<IpNet>,
    pub(super) confirm_within: Option<Duration>,
}

/// Compiles the host file in force again, for other addresses or another day; the policy before it stays the one to go
/// back to.
///
/// # Errors
/// A change waits for its confirmation; or as [`make_current`].
pub(super) fn renew(opened: &mut Opened<'_>, host: &str, names: &[String]) -> Result<(), ControlError> {
    opened.refuse_pending()?;
    let (latest, before) = (opened.switch().latest(), opened.switch().previous());
    let before = opened.record(before).filter(|_| before.generation() != latest.generation()).cloned();
    let previous_modes = opened.switch().previous();
    let today = |text: &str| {
        let day = Zoned::now().date();
        policy::compile("the policy in force", text, opened.catalogue, day).map_err(ControlError::Policy)
    };
    let mut policy = today(host)?;
    policy.stages = stages(opened, &policy);
    let earlier = before.as_ref().map(|before| {
        today(&before.host).map(|policy| Policy { stages: before.roles.stages.clone(), ..policy })
    });
    let earlier = earlier.transpose()?;
    let protected = start::protected(&policy, names)?;
    make_current(opened, Target { policy: &policy, protected: protected.clone(), confirm_within: None })?;
    let (Some(record), Some(earlier)) = (before, earlier) else { return Ok(()) };
    let current = opened.switch().latest();
    let generation = next(opened, current.generation())?;
    let ticks = opened.state.ticks_per_second.into();
    let image = Image::compile(&earlier, &protected, &mut opened.state.slots, ticks)?;
    let back = previous_modes.as_generation(generation);
    opened.state.generation = generation;
    opened.state.generations.insert(generation, Generation { protected, day: Zoned::now().date(), ..record });
    let switch = Switch::settled(current, back);
    opened.state.intent = Some(switch.word());
    opened.instance.remember(&opened.state)?;
    opened.maps.write(generation, &Tables::from(&image))?;
    opened.maps.set_switch(switch)?;
    opened.stored(switch)
}

/// Compiles a policy, writes it beside the one in force, has its packets judged, and makes it current with one store.
/// The generation, whether it is new, and how many packets were judged.
///
/// # Errors
/// It doesn't fit, a packet gets another verdict, or the kernel refuses; the generation in force goes on.
pub(super) fn make_current(
    opened: &mut Opened<'_>,
    target: Target<'_>,
) -> Result<(u16, bool, usize), ControlError> {
    let Target { policy, protected, confirm_within } = target;
    let unchanged = opened.state.clone();
    let before = opened.state.slots.clone();
    let mut slots = before.clone();
    let ticks = opened.state.ticks_per_second.into();
    let image = Image::compile(policy, &protected, &mut slots, ticks)?;
    for Deferred { flow, why } in &image.deferred {
        tracing::warn!(flow, why, "not carried by the tables");
    }
    let current = opened.posture();
    let [ingress, egress] = modes(opened, policy, current);
    // Before the window opens: that remembers that something is enforced.
    let seeds = seeding::is_due(opened, current, Posture::new(0, ingress, egress));
    let mut tables = Tables::from(&image);
    tables.settings = tables.settings.adopting_until(window(opened, policy, current, [ingress, egress])?);
    let same = current.generation() != 0 && opened.maps.holds(current.generation(), &tables)?;
    let generation = if same { current.generation() } else { next(opened, current.generation())? };
    let next = Posture::new(generation, ingress, egress);
    let switch = switch(opened, current, next, confirm_within)?;
    let record = Generation {
        host: policy.report.source.text.clone(),
        protected,
        day: Zoned::now().date(),
        declared: declared(policy),
        roles: Declared { declared: Stages::declared(&policy.host.roles), stages: policy.stages.clone() },
    };
    let before_stages = opened.record(current).map(|record| record.roles.stages.clone()).unwrap_or_default();
    for (role, direction) in policy.stages.differing(&before_stages) {
        opened.observe_anew(&Stage::key(&role, direction));
    }
    opened.state.slots = slots;
    if same {
        opened.maps.set_settings(generation, &tables.settings)?;
        opened.state.generations.insert(generation, record);
        if seeds {
            seeding::seed(opened, &image, next)?;
        }
        let made = if next == current { Ok(opened.finish()?) } else { opened.store(switch) };
        return made.map(|()| (generation, false, 0));
    }
    opened.state.generation = generation;
    opened.state.generations.insert(generation, record);
    opened.state.intent = Some(switch.word());
    let rehearsed = opened
        .instance
        .remember(&opened.state)
        .map_err(ControlError::from)
        .and_then(|()| rehearse(opened, policy, &image, &tables, next, &before.flows))
        .and_then(|rehearsed| {
            if seeds {
                seeding::seed(opened, &image, next)?;
            }
            Ok(rehearsed)
        });
    match rehearsed.and_then(|rehearsed| Ok((rehearsed, from_now(opened, switch, confirm_within)?))) {
        Ok((rehearsed, switch)) => {
            opened.maps.set_switch(switch)?;
            opened.stored(switch)?;
            Ok((generation, true, rehearsed))
        }
        Err(error) => {
            opened.state = unchanged;
            opened.restore_spare()?;
            // Where nothing can be written, the next one who opens the instance finds the intent, and drops it.
            if let Err(error) = opened.finish() {
                tracing::warn!(%error, "cannot write down that nothing was changed");
            }
            Err(error)
        }
    }
}

/// The deadline counts from now, and not from before the rehearsal.
fn from_now(
    opened: &mut Opened<'_>,
    switch: Switch,
    confirm_within: Option<Duration>,
) -> Result<Switch, ControlError> {
    let Some(within) = confirm_within.filter(|_| switch.deadline().is_some()) else { return Ok(switch) };
    opened.now = Clock::open(&opened.instance.pins)?.now(opened.state.ticks_per_second)?;
    let switch = Switch::until(switch.latest(), switch.previous(), opened.now.after(within));
    opened.state.intent = Some(switch.word());
    opened.instance.remember(&opened.state)?;
    Ok(switch)
}

/// Writes the tables into the half that is not in force, and lets loaded programs judge by them.
fn rehearse(
    opened: &mut Opened<'_>,
    policy: &Policy,
    image: &Image,
    tables: &Tables<'_>,
    next: Posture,
    before: &FlowSlots,
) -> Result<usize, ControlError> {
    forget_reused(opened, image, before)?;
    opened.maps.write(next.generation(), tables)?;
    let protected = opened.record(next).map(|record| record.protected.clone()).unwrap_or_default();
    golden::rehearse(opened, policy, &protected, next)
}

/// A slot that goes to another flow begins at zero.
fn forget_reused(opened: &Opened<'_>, image: &Image, before: &FlowSlots) -> Result<(), ControlError> {
    let new = image.flows.iter().filter(|meta| before.slot(&meta.flow) != Some(meta.slot));
    let mut counters = Counters::open(&opened.instance.pins)?;
    for meta in new {
        counters.clear_flow(meta.slot)?;
    }
    Ok(())
}

/// The word that makes it current.
fn switch(
    opened: &Opened<'_>,
    current: Posture,
    next: Posture,
    confirm_within: Option<Duration>,
) -> Result<Switch, ControlError> {
    let before = opened.switch().previous();
    let (latest, previous) = match (current.generation(), confirm_within) {
        (0, None) => (next, next),
        // Nothing was in force before: going back is to observe.
        (0, Some(_)) => (next, Posture::new(next.generation(), Mode::Observe, Mode::Observe)),
        // Other modes alone leave the policy before where it is.
        (_, None) if next.generation() == current.generation() => (next, before),
        (_, _) => (next, current),
    };
    let Some(within) = confirm_within.filter(|_| latest != previous) else {
        return Ok(Switch::settled(latest, previous));
    };
    let deadline = opened.now.after(within);
    if deadline >= LAST_DEADLINE {
        return Err(ControlError::Deadline);
    }
    Ok(Switch::until(latest, previous, deadline))
}

/// Another half than the one in force, and a number that no live flow has: it would pass for one that this generation has
/// judged.
///
/// Only established flows live long enough to see a number again. One that waits for its answer ends after half a minute,
/// in which nobody makes thousands of generations.
fn next(opened: &mut Opened<'_>, current: u16) -> Result<u16, ControlError> {
    let mut taken = BTreeSet::new();
    if opened.state.reused || opened.state.generation >= LAST_GENERATION - 1 {
        opened.state.reused = true;
        let settings = opened.maps.settings(current)?;
        let live = Established::open(&opened.instance.pins)?.flows(settings.limits(), opened.now.ticks)?;
        taken.extend(live.iter().map(|(_, state)| state.generation()));
    }
    next_generation(opened.state.generation, current, &taken).ok_or(ControlError::Generations)
}

fn next_generation(last: u16, current: u16, taken: &BTreeSet<u16>) -> Option<u16> {
    let numbers = (last.saturating_add(1)..=LAST_GENERATION).chain(1..=last.min(LAST_GENERATION));
    numbers.into_iter().find(|number| number % 2 != current % 2 && !taken.contains(number))
}

/// The mode of each direction: what the host file asks for where it is new or asks for something new, else what it is
/// now, since a command may have changed it.
fn modes(opened: &mut Opened<'_>, policy: &Policy, current: Posture) -> [Mode; 2] {
    let known = opened.record(current).map(|record| record.declared.clone()).unwrap_or_default();
    Direction::ALL.map(|direction| {
        let wanted = wanted(&policy.host.enforcement, direction);
        if known.get(direction.name()).is_some_and(|declared| declared == wanted.name()) {
            return current.mode(direction);
        }
        let resumed = opened.state.resume.remove(direction.name());
        if let Some(Resume { mode, .. }) = resumed.filter(|resume| resume.declared == wanted.name()) {
            return if mode == Mode::Enforce.name() { Mode::Enforce } else { Mode::Observe };
        }
        if current.generation() == 0 || current.mode(direction) != wanted {
            opened.observe_anew(direction.name());
        }
        wanted
    })
}

/// The stage of each role: what the host file asks for where it is new or asks for something new, else what it is now.
pub(super) fn stages(opened: &Opened<'_>, policy: &Policy) -> Stages {
    let known = opened.record(opened.posture()).map(|record| &record.roles);
    Stages::kept(&policy.stages, known.unwrap_or(&opened.state.resume_stages))
}

fn declared(policy: &Policy) -> BTreeMap<String, String> {
    let one = |direction: Direction| {
        (direction.name().to_owned(), wanted(&policy.host.enforcement, direction).name().to_owned())
    };
    Direction::ALL.into_iter().map(one).collect()
}

/// Until when connections that live already are taken in: a window opens with the first enforcement, and one that is
/// open stays open.
fn window(
    opened: &mut Opened<'_>,
    policy: &Policy,
    current: Posture,
    modes: [Mode; 2],
) -> Result<u64, ControlError> {
    if modes.contains(&Mode::Enforce) && !opened.state.enforced {
        opened.state.enforced = true;
        return Ok(opened.now.after(policy.host.state.adoption));
    }
    if current.generation() == 0 {
        return Ok(0);
    }
    Ok(opened.maps.settings(current.generation())?.adopt_until())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_has_the_other_half_and_a_new_number() {
        for (last, current, next) in [
            (0, 0, 1),
            (1, 1, 2),
            (7, 6, 9),
            (LAST_GENERATION, LAST_GENERATION, 2),
            (LAST_GENERATION, LAST_GENERATION - 1, 1),
            (LAST_GENERATION - 1, LAST_GENERATION - 2, 2),
        ] {
            assert_eq!(next_generation(last, current, &BTreeSet::new()), Some(next), "{last} {current}");
            assert_ne!(next % 2, current % 2);
        }
    }

    /// A flow that had seen no packet for 16,383 generations passed for one of the generation in force.
    #[test]
    fn a_number_that_a_live_flow_has_is_not_used_again() {
        let taken = BTreeSet::from([1, 3, 4]);
        for (last, current, next) in [
            (LAST_GENERATION, LAST_GENERATION - 1, 5),
            (LAST_GENERATION, LAST_GENERATION, 2),
            (2, 2, 5),
            (2, 3, 6),
        ] {
            assert_eq!(next_generation(last, current, &taken), Some(next), "{last} {current}");
        }
        let odd = (1..=LAST_GENERATION).filter(|number| number % 2 == 1).collect();
        assert_eq!(next_generation(7, 6, &odd), None);
        assert_eq!(next_generation(7, 7, &odd), Some(8));
    }
}

//! Covering interfaces: programs that are ours and stand as they should are left alone, others are replaced in place.

use portreeve_common::Direction;

use super::{ControlError, opened::Opened, start};
use crate::{
    datapath::{
        DatapathError, Pins,
        attach::{self, Cover},
        interface,
        object::Globals,
        verify,
    },
    policy::Policy,
};

/// What it means that none of the interfaces is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// Somebody mistyped them.
    Refused,
    /// They were there before, and are covered when they come.
    Awaited,
}

/// Attaches to the interfaces that are meant now, as far as it goes, and takes the programs off the others.
///
/// # Errors
/// The first refusal; the other interfaces are covered all the same.
pub(super) fn cover(
    opened: &mut Opened<'_>,
    policy: &Policy,
    names: &[String],
    missing: Missing,
) -> Result<(), ControlError> {
    let names = &meant(opened, names);
    let some_are_there = names.iter().any(|name| interface::index(name).is_ok());
    let awaited = some_are_there || missing == Missing::Awaited;
    let mut refused = None;
    for name in names {
        match one(opened, policy, name) {
            Ok(()) => {}
            // One that is missing is covered when it comes; one of several must not keep the others open.
            Err(ControlError::Datapath(DatapathError::NoInterface(_))) if awaited => {
                tracing::warn!(interface = name, "is missing: it is covered when it comes");
            }
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    if opened.pending().is_none() {
        let gone: Vec<_> =
            opened.state.interfaces.keys().filter(|name| !names.contains(name)).cloned().collect();
        for name in gone {
            let cover = opened.state.interfaces.get(&name).cloned().unwrap_or_default();
            attach::detach(&opened.instance.pins, &name, &cover)?;
            opened.state.interfaces.remove(&name);
        }
    }
    refused.map_or(Ok(()), Err)
}

/// While a change may go back by itself, interfaces stay as they are: nobody would be there to leave those that it
/// brought. Where none is covered yet, going back is to observe, which cuts nothing.
pub(super) fn meant(opened: &Opened<'_>, names: &[String]) -> Vec<String> {
    let known = &opened.state.interfaces;
    let waits = opened.pending().is_some() && !known.is_empty();
    names.iter().filter(|name| !waits || known.contains_key(*name)).cloned().collect()
}

/// Attaches to one interface, unless all stands there as it should.
///
/// # Errors
/// It is missing, or the kernel refuses.
pub(super) fn one(opened: &mut Opened<'_>, policy: &Policy, name: &str) -> Result<(), ControlError> {
    let (pins, wish) = (&opened.instance.pins, policy.host.enforcement.hook);
    let known = opened.state.interfaces.entry(name.into()).or_default();
    if known.fallback.is_none() && known.is_current(name, wish) && is_sound(pins, name, known)? {
        return Ok(());
    }
    let sets = start::sets(pins, policy)?;
    let slot = opened.state.slots.interfaces.give(name)?;
    // Written down before the programs count in it.
    opened.instance.remember(&opened.state)?;
    let globals = Globals::of(slot, opened.state.secret, sets);
    let before = opened.state.interfaces.get(name).cloned().unwrap_or_default();
    let mut cover = attach::attach(pins, name, wish, &globals)?;
    // The qdisc that was made for programs before is there for these.
    cover.qdisc |= before.qdisc && before.index == cover.index;
    if let Some(why) = &cover.fallback {
        tracing::warn!(interface = name, why, "ingress is judged by TC, not by native XDP");
    }
    opened.state.interfaces.insert(name.into(), cover);
    Ok(())
}

fn is_sound(pins: &Pins, name: &str, cover: &Cover) -> Result<bool, ControlError> {
    for direction in Direction::ALL {
        if verify::trouble(pins, name, cover, direction)?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

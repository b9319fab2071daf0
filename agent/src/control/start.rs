//! Making a policy current, and covering interfaces; the first time and every time after it.

use std::{net::IpAddr, path::Path};

use ipnet::IpNet;
use jiff::Timestamp;
use portreeve_common::{
    Direction,
    switch::{Mode, Posture, Switch},
};

use super::{ControlError, wanted};
use crate::{
    datapath::{
        DatapathError,
        attach::{self, Cover},
        clock::Clock,
        interface,
        object::{self, Globals, Sets},
        policy::{PolicyMaps, Tables},
        reading::Counters,
        verify,
    },
    image::Image,
    instance::{Instance, State},
    policy::{self, Catalogue, Policy},
};

/// Generations count from 1; beyond the last one they begin again.
const LAST_GENERATION: u16 = 0x3fff;

/// A policy that is in force.
#[derive(Debug)]
pub struct Started {
    /// The policy.
    pub policy: Policy,
    /// What is remembered.
    pub state: State,
}

/// Makes a host file's policy current and covers its interfaces. Without a host file, the last good one.
///
/// # Errors
/// The host file is broken, or the kernel refuses; what ran before goes on.
pub fn start(
    instance: &Instance,
    catalogue: &Catalogue,
    host: Option<&Path>,
) -> Result<Started, ControlError> {
    let _lock = instance.lock()?;
    let kept = instance.host_file();
    if host.is_none() && !kept.exists() {
        return Err(crate::instance::InstanceError::NoPolicy(instance.name.clone()).into());
    }
    let policy = policy::load_trusted(host.unwrap_or(&kept), catalogue).map_err(ControlError::Policy)?;
    let names = interface::chosen(&policy.host.interfaces)?;
    if names.is_empty() {
        return Err(ControlError::NoInterfaces);
    }
    let mut state = prepare(instance, &policy)?;
    let nets = protected(&policy, &names)?;
    write(instance, &policy, &mut state, nets)?;
    // From here on this policy is in force, whatever an interface says to its programs.
    instance.keep_host_file(&policy.report.source.text)?;
    let covered = cover(instance, &policy, &names, &mut state);
    if covered.is_err() && instance.pins.links()?.is_empty() {
        // A first start that reaches no interface leaves nothing.
        instance.pins.remove_all()?;
        instance.forget()?;
    } else {
        instance.remember(&state)?;
    }
    covered.map(|()| Started { policy, state })
}

/// Maps, clock and state, as they were left or new.
fn prepare(instance: &Instance, policy: &Policy) -> Result<State, ControlError> {
    let pins = &instance.pins;
    let known = pins.exist();
    pins.create()?;
    let mut state = match (known, instance.state()?) {
        (true, Some(state)) => state,
        (true, None) => return Err(ControlError::Orphaned(pins.root().display().to_string())),
        (false, _) => State::begin(0)?,
    };
    if !known || !pins.clock().exists() {
        let sets = sets(instance, policy)?;
        let globals = Globals { slot: 0, secret: state.secret, sets };
        // Remembered first: maps without the secret that they were filled with are of no use.
        instance.remember(&state)?;
        let mut ebpf = object::load(&globals, Some(pins))?;
        Clock::pin(&mut ebpf, pins)?;
    }
    verify::create_proofs(pins)?;
    if state.ticks_per_second == 0 {
        state.ticks_per_second = Clock::open(pins)?.rate()?;
        instance.remember(&state)?;
    }
    Ok(state)
}

/// The pinned tables' sizes, which stay while they are there; else those that the host file asks for.
fn sets(instance: &Instance, policy: &Policy) -> Result<Sets, ControlError> {
    let asked = Sets::of(&policy.host.state);
    let Some(pinned) = Sets::pinned(&instance.pins)? else { return Ok(asked) };
    if pinned != asked {
        tracing::warn!(
            established = pinned.established_capacity(),
            "the state tables keep their size until `portreeve detach`"
        );
    }
    Ok(pinned)
}

/// The addresses that are this host's, as the tables need them.
///
/// # Errors
/// The kernel does not say.
pub fn protect(policy: &Policy, state: &State) -> Result<Vec<IpNet>, ControlError> {
    let names: Vec<_> = state.interfaces.keys().cloned().collect();
    protected(policy, &names)
}

fn protected(policy: &Policy, names: &[String]) -> Result<Vec<IpNet>, ControlError> {
    let carried = interface::addresses(names)?;
    if policy.host.addresses.is_empty() {
        return Ok(carried);
    }
    let with_length = |address: &IpAddr| {
        let known = carried.iter().find(|net| net.addr() == *address).copied();
        known.unwrap_or_else(|| IpNet::from(*address))
    };
    Ok(policy.host.addresses.iter().map(with_length).collect())
}

/// Compiles the policy and makes it current with one store.
///
/// # Errors
/// It doesn't fit, or the kernel refuses; the generation in force goes on.
pub(super) fn write(
    instance: &Instance,
    policy: &Policy,
    state: &mut State,
    nets: Vec<IpNet>,
) -> Result<(), ControlError> {
    let before = state.flows.clone();
    let image = Image::compile(policy, &nets, &mut state.flows, state.ticks_per_second.into())?;
    let mut maps = PolicyMaps::open(&instance.pins)?;
    let now = Clock::open(&instance.pins)?.now(state.ticks_per_second)?;
    let current = maps.switch()?.posture(|| now.ticks);
    let (ingress, egress) =
        (mode(state, policy, current, Direction::Ingress), mode(state, policy, current, Direction::Egress));
    for direction in Direction::ALL {
        state
            .declared
            .insert(direction.name().into(), wanted(&policy.host.enforcement, direction).name().into());
    }
    let mut tables = Tables::from(&image);
    let enforces = ingress == Mode::Enforce || egress == Mode::Enforce;
    if enforces && !state.enforced {
        state.enforced = true;
        tables.settings = tables.settings.adopting_until(now.after(policy.host.state.adoption));
    } else if current.generation() != 0 {
        // A window that is open stays open.
        tables.settings = tables.settings.adopting_until(maps.settings(current.generation())?.adopt_until());
    }
    let mut generation = current.generation();
    if generation == 0 || !maps.holds(generation, &tables)? {
        forget_reused(instance, &image, &before, state)?;
        generation = if generation >= LAST_GENERATION { 1 } else { generation + 1 };
        maps.write(generation, &tables)?;
    } else {
        maps.set_settings(generation, &tables.settings)?;
    }
    let next = Posture::new(generation, ingress, egress);
    if next != current {
        let previous = if current.generation() == 0 { next } else { current };
        maps.set_switch(Switch::settled(next, previous))?;
    }
    state.generation = generation;
    state.protected = nets;
    Ok(())
}

/// A slot that goes to another flow begins at zero.
fn forget_reused(
    instance: &Instance,
    image: &Image,
    before: &crate::image::FlowSlots,
    state: &State,
) -> Result<(), ControlError> {
    if state.generation == 0 {
        return Ok(());
    }
    let mut counters = Counters::open(&instance.pins)?;
    for meta in image.flows.iter().filter(|meta| before.slot(&meta.flow) != Some(meta.slot)) {
        counters.clear_flow(meta.slot)?;
    }
    Ok(())
}

/// The mode of a direction: what the host file asks for where it is new or asks for something new, else what it is
/// now, since a command may have changed it.
fn mode(state: &mut State, policy: &Policy, current: Posture, direction: Direction) -> Mode {
    let wanted = wanted(&policy.host.enforcement, direction);
    let declared = state.declared.get(direction.name());
    if current.generation() != 0 && declared.is_some_and(|declared| declared == wanted.name()) {
        return current.mode(direction);
    }
    state.changed.insert(direction.name().into(), Timestamp::now());
    wanted
}

/// Protects other addresses from now on.
///
/// # Errors
/// As [`start`].
pub fn protect_again(
    instance: &Instance,
    policy: &Policy,
    state: &mut State,
    nets: Vec<IpNet>,
) -> Result<(), ControlError> {
    let _lock = instance.lock()?;
    // A command may have changed the modes since.
    *state = instance.running()?;
    write(instance, policy, state, nets)?;
    Ok(instance.remember(state)?)
}

/// Covers interfaces that came, or came back.
///
/// # Errors
/// As [`start`].
pub fn cover_again(
    instance: &Instance,
    policy: &Policy,
    names: &[String],
    state: &mut State,
) -> Result<(), ControlError> {
    let _lock = instance.lock()?;
    *state = instance.running()?;
    let covered = cover(instance, policy, names, state);
    instance.remember(state)?;
    covered
}

/// Whether programs of ours are on the interface that has this name now.
#[must_use]
pub fn is_attached(instance: &Instance, name: &str) -> bool {
    attach::is_attached(&instance.pins, name)
}

/// Attaches to all interfaces, as far as it goes, and takes the programs off those that are no longer meant.
///
/// # Errors
/// The first refusal; the other interfaces are covered all the same.
fn cover(
    instance: &Instance,
    policy: &Policy,
    names: &[String],
    state: &mut State,
) -> Result<(), ControlError> {
    let sets = sets(instance, policy)?;
    let mut refused = None;
    for name in names {
        let globals = Globals { slot: state.slot(name)?, secret: state.secret, sets };
        match attach::attach(&instance.pins, name, policy.host.enforcement.hook, &globals) {
            Ok(cover) => {
                if let Some(why) = &cover.fallback {
                    tracing::warn!(interface = name, why, "ingress is judged by TC, not by native XDP");
                }
                state.interfaces.insert(name.clone(), cover);
            }
            Err(error) => {
                state.interfaces.entry(name.clone()).or_insert(Cover { native: false, fallback: None });
                // One that is missing is covered when it comes; one of several must not keep the others open.
                let missing = matches!(error, DatapathError::NoInterface(_));
                if missing && names.iter().any(|name| interface::index(name).is_ok()) {
                    tracing::warn!(interface = name, "is missing: it is covered when it comes");
                } else {
                    refused = refused.or(Some(error));
                }
            }
        }
    }
    let gone: Vec<_> = state.interfaces.keys().filter(|name| !names.contains(name)).cloned().collect();
    for name in gone {
        attach::detach(&instance.pins, &name)?;
        state.interfaces.remove(&name);
    }
    refused.map_or(Ok(()), |error| Err(error.into()))
}

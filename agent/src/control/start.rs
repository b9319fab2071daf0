//! Starting: maps and clock where there are none, the programs that stand there where there are.

use std::path::Path;

use ipnet::IpNet;
use jiff::Zoned;
use portreeve_common::Direction;

use super::{
    ControlError,
    cover::{self, Missing},
    generation::{Target, make_current, stages},
    opened::Opened,
};
use crate::{
    datapath::{
        clock::Clock,
        interface,
        names::Orders,
        object::{self, Globals, Sets},
        verify,
    },
    instance::{Instance, InstanceError, Lock, Resume, State},
    policy::{self, Catalogue, Policy},
};

/// What a start begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin<'h> {
    /// This host file.
    With(&'h Path),
    /// What is in force, or the last good policy.
    LastGood,
    /// The same; this host file where nothing is in force and no last good policy can be used.
    LastGoodOr(&'h Path),
}

impl Begin<'_> {
    /// A policy that was in force before had its interfaces; they may come later than this start.
    const fn missing(self) -> Missing {
        match self {
            Self::With(_) => Missing::Refused,
            Self::LastGood | Self::LastGoodOr(_) => Missing::Awaited,
        }
    }
}

/// Makes a policy current and covers its interfaces. Programs that stand there are adopted.
///
/// # Errors
/// There is no policy, or the kernel refuses; what ran before goes on.
pub fn start(instance: &Instance, catalogue: &Catalogue, begin: Begin<'_>) -> Result<Policy, ControlError> {
    let lock = instance.lock()?;
    let policy = match begin {
        Begin::With(host) => policy::load_trusted(host, catalogue).map_err(ControlError::Policy)?,
        Begin::LastGood => last_good(instance, catalogue)?,
        Begin::LastGoodOr(host) => last_good_or(instance, catalogue, host)?,
    };
    let mut opened = prepare(instance, catalogue, &policy, lock)?;
    let policy = if let Some(until) = opened.pending() {
        tracing::warn!(%until, "a change waits for its confirmation: it goes on, and no host file is applied");
        opened.policy(opened.posture())?
    } else {
        Policy { stages: stages(&opened, &policy), ..policy }
    };
    let names = match (interfaces(&policy), begin.missing()) {
        (Err(ControlError::NoInterfaces), Missing::Awaited) => {
            tracing::warn!("there is no interface yet: those that come are covered when they come");
            Vec::new()
        }
        (names, Missing::Refused | Missing::Awaited) => names?,
    };
    if opened.pending().is_none() {
        let target = Target { policy: &policy, protected: protected(&policy, &names)?, confirm_within: None };
        let made = make_current(&mut opened, target);
        undo_first(&opened, made.is_ok())?;
        made?;
    }
    let covered = cover::cover(&mut opened, &policy, &names, begin.missing());
    opened.finish()?;
    undo_first(&opened, covered.is_ok())?;
    covered.map(|()| policy)
}

/// What is in force goes on as it is, whatever a host file says by now: only a host that nothing protects takes it.
fn last_good_or(instance: &Instance, catalogue: &Catalogue, host: &Path) -> Result<Policy, ControlError> {
    let why = match last_good(instance, catalogue) {
        Err(error @ (ControlError::Policy(_) | ControlError::Instance(InstanceError::NoPolicy(_))))
            if !instance.pins.exist() =>
        {
            error
        }
        found => return found,
    };
    let (last, name) = (why.to_string(), host.display().to_string());
    match policy::load_trusted(host, catalogue) {
        Ok(policy) => {
            tracing::warn!(why = last, host = name, "begins with the host file");
            Ok(policy)
        }
        Err(report) => Err(ControlError::NoPolicy { last, host: name, report }),
    }
}

/// What is in force by its record, else what was kept on the disk.
fn last_good(instance: &Instance, catalogue: &Catalogue) -> Result<Policy, ControlError> {
    let remembered = match instance.state() {
        // What is damaged is made anew, by the policy that was kept.
        Err(InstanceError::Damaged { .. }) => None,
        remembered => remembered?.filter(|_| instance.pins.exist()),
    };
    if let Some(settled) = remembered.as_ref().and_then(|state| state.record(state.settled())) {
        let today = Zoned::now().date();
        return policy::compile("the last good policy", &settled.host, catalogue, today)
            .map_err(ControlError::Policy);
    }
    let kept = instance.host_file();
    if !kept.exists() {
        return Err(InstanceError::NoPolicy(instance.name.clone()).into());
    }
    policy::load_trusted(&kept, catalogue).map_err(ControlError::Policy)
}

/// The interfaces that a policy is for.
///
/// # Errors
/// There are none.
pub(super) fn interfaces(policy: &Policy) -> Result<Vec<String>, ControlError> {
    let names = interface::chosen(&policy.host.interfaces)?;
    if names.is_empty() { Err(ControlError::NoInterfaces) } else { Ok(names) }
}

/// Maps, clock and state, as they were left or new.
///
/// # Errors
/// The kernel refuses, or maps without their state are there.
pub(super) fn prepare<'a>(
    instance: &'a Instance,
    catalogue: &'a Catalogue,
    policy: &Policy,
    lock: Lock,
) -> Result<Opened<'a>, ControlError> {
    let pins = &instance.pins;
    pins.create()?;
    pins.mend()?;
    let remembered = match instance.state() {
        Err(error @ InstanceError::Damaged { .. }) => {
            tracing::error!(error = super::described(error), "begins anew with the last good policy");
            None
        }
        remembered => remembered?,
    };
    let known = pins.exist() && remembered.is_some();
    if !known {
        // Programs that stand there go on with the maps that they have, until new ones take their places. Those know no
        // flow that lives: the adoption window takes them in.
        if pins.exist() {
            tracing::warn!("maps without the state that belongs to them: they are made anew");
        }
        pins.forget_maps()?;
    }
    let mut state = match remembered {
        Some(state) if known => state,
        old => anew(old)?,
    };
    if !known || !pins.clock().exists() || !pins.order().exists() || !verify::is_complete(pins) {
        let sets = sets(pins, policy)?;
        let globals = Globals::of_any(state.secret, sets);
        // Remembered first: maps without the secret that they were filled with are of no use.
        instance.remember(&state)?;
        let mut ebpf = object::load(&globals, Some(pins))?;
        Clock::pin(&mut ebpf, pins)?;
        Orders::pin(&mut ebpf, pins)?;
    }
    verify::create_proofs(pins)?;
    if state.ticks_per_second == 0 {
        state.ticks_per_second = Clock::open(pins)?.rate()?;
        instance.remember(&state)?;
    }
    Opened::open(instance, catalogue, state, lock)
}

/// State for maps that are made anew: after a reboot the modes are those that were in force before it.
fn anew(remembered: Option<State>) -> Result<State, ControlError> {
    let mut state = State::begin(0)?;
    let Some(old) = remembered else { return Ok(state) };
    let posture = old.settled();
    state.resume_stages =
        old.record(posture).map(|record| record.roles.clone()).unwrap_or(old.resume_stages.clone());
    for (direction, declared) in old.record(posture).iter().flat_map(|record| &record.declared) {
        let way = Direction::ALL.into_iter().find(|way| way.name() == direction);
        let Some(mode) = way.map(|way| posture.mode(way).name().to_owned()) else { continue };
        state.resume.insert(direction.clone(), Resume { declared: declared.clone(), mode });
    }
    Ok(state)
}

/// The pinned tables' sizes, which stay while they are there; else those that the host file asks for.
pub(super) fn sets(pins: &crate::datapath::Pins, policy: &Policy) -> Result<Sets, ControlError> {
    let asked = Sets::of(&policy.host.state);
    let Some(pinned) = Sets::pinned(pins)? else { return Ok(asked) };
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
pub(super) fn protected(policy: &Policy, names: &[String]) -> Result<Vec<IpNet>, ControlError> {
    Ok(interface::protected(&policy.host.addresses, names)?)
}

/// A first start that reaches no interface leaves nothing.
pub(super) fn undo_first(opened: &Opened<'_>, good: bool) -> Result<(), ControlError> {
    if !good && opened.instance.pins.attached()?.is_empty() {
        opened.instance.pins.remove_all()?;
        opened.instance.forget()?;
    }
    Ok(())
}

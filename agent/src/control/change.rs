//! Making a policy current with one store, going back, and staying.

use std::{path::Path, time::Duration};

use jiff::Timestamp;
use portreeve_common::{
    Direction,
    switch::{Mode, Switch},
};

use super::{
    ControlError,
    cover::{self, Missing},
    generation::{Target, make_current, stages},
    opened::Opened,
    plan::{self, Cut},
    readiness::{self, Begins},
    start,
};
use crate::{
    datapath::interface,
    instance::Instance,
    policy::{self, Catalogue, Policy},
};

/// How a host file is to be applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Go back unless it is confirmed within this time.
    pub confirm_within: Option<Duration>,
    /// Even if that ends the session which asks for it.
    pub cut_me_off: bool,
    /// Even if a direction is enforced from now on, and packets of required flows would be dropped.
    pub force: bool,
}

/// What came of a change.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The policy.
    pub policy: Policy,
    /// The generation in force.
    pub generation: u16,
    /// Whether it is a new one.
    pub new: bool,
    /// Packets that its programs judged before it became current.
    pub rehearsed: usize,
    /// Until when it may be confirmed.
    pub until: Option<Timestamp>,
}

/// Makes a host file's policy current, and covers its interfaces.
///
/// # Errors
/// The host file is broken, a rehearsed packet gets another verdict than its rules say, the session that asks would be
/// cut, or the kernel refuses: what is in force goes on.
pub fn apply(
    instance: &Instance,
    catalogue: &Catalogue,
    host: &Path,
    wish: &Wish,
) -> Result<Applied, ControlError> {
    let lock = instance.lock()?;
    let policy = policy::load_trusted(host, catalogue).map_err(ControlError::Policy)?;
    let names = start::interfaces(&policy)?;
    let protected = start::protected(&policy, &names)?;
    let mut opened = start::prepare(instance, catalogue, &policy, lock)?;
    opened.refuse_pending()?;
    let policy = Policy { stages: stages(&opened, &policy), ..policy };
    if !wish.force {
        let posture = opened.posture();
        let modes = Direction::ALL.into_iter().zip(plan::modes(&opened, &policy));
        let enforced = || modes.clone().filter(|(_, mode)| *mode == Mode::Enforce).map(|(way, _)| way);
        let directions = enforced().filter(|way| posture.mode(*way) != Mode::Enforce).collect();
        let before = opened.record(posture).map(|record| record.roles.stages.clone()).unwrap_or_default();
        let changed = policy.stages.differing(&before).into_iter();
        let promoted =
            changed.filter(|(role, way)| before.observes(role, *way) && enforced().any(|it| it == *way));
        let begins = Begins { directions, roles: promoted.collect() };
        readiness::refuse(&opened, &policy, &protected, &begins)?;
    }
    if !wish.cut_me_off {
        let cut: Vec<Cut> = plan::cuts(&mut opened, &policy, &protected)?;
        if let Some(own) = cut.into_iter().find(|cut| cut.own) {
            return Err(ControlError::OwnSession(own.to_string()));
        }
    }
    let target = Target { policy: &policy, protected, confirm_within: wish.confirm_within };
    let applied = make_current(&mut opened, target);
    start::undo_first(&opened, applied.is_ok())?;
    let (generation, new, rehearsed) = applied?;
    let covered = cover::cover(&mut opened, &policy, &names, Missing::Refused);
    opened.finish()?;
    start::undo_first(&opened, covered.is_ok())?;
    covered?;
    Ok(Applied { generation, new, rehearsed, until: opened.pending(), policy })
}

/// Keeps the change that waits for its confirmation.
///
/// # Errors
/// None waits.
pub fn confirm(instance: &Instance, catalogue: &Catalogue) -> Result<u16, ControlError> {
    let mut opened = Opened::running(instance, catalogue)?;
    let switch = opened.switch();
    if switch.deadline().is_none() {
        return Err(ControlError::NothingPending(switch.latest().generation()));
    }
    opened.store(Switch::settled(switch.latest(), switch.previous()))?;
    follow(&mut opened)?;
    Ok(switch.latest().generation())
}

/// Goes back to the policy before: of a change that waits, or of the last one that was made.
///
/// # Errors
/// There is none before.
pub fn rollback(instance: &Instance, catalogue: &Catalogue) -> Result<u16, ControlError> {
    let mut opened = Opened::running(instance, catalogue)?;
    let switch = opened.switch();
    let (latest, back) = (switch.latest(), switch.previous());
    if back == latest || opened.record(back).is_none() {
        return Err(ControlError::NothingBefore(latest.generation()));
    }
    if back.generation() != latest.generation() {
        // A window that is open stays open.
        let window = opened.maps.settings(latest.generation())?.adopt_until();
        let settings = opened.maps.settings(back.generation())?.adopting_until(window);
        opened.maps.set_settings(back.generation(), &settings)?;
    }
    // What was undone is not what a second rollback goes to.
    opened.store(Switch::settled(back, back))?;
    follow(&mut opened)?;
    Ok(back.generation())
}

/// Covers what the policy in force asks for.
fn follow(opened: &mut Opened<'_>) -> Result<(), ControlError> {
    let policy = opened.policy(opened.posture())?;
    let names = interface::chosen(&policy.host.interfaces)?;
    let covered = cover::cover(opened, &policy, &names, Missing::Awaited);
    opened.finish()?;
    covered
}

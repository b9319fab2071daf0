//! An instance that is open for changes: its lock is held, and kernel and files agree.
//!
//! What is about to be stored in the switch is written down first. So whatever cuts a change short, the next one who
//! opens the instance sees from the kernel's word whether the change was made: then only its remembering is finished;
//! else it never was, and the half of the tables that it may have spoilt is written again.

use jiff::Timestamp;
use portreeve_common::switch::{Posture, Switch};

use super::ControlError;
use crate::{
    datapath::{
        clock::{Clock, Now},
        policy::{PolicyMaps, Tables},
        reading::Counters,
    },
    image::Image,
    instance::{Generation, Instance, InstanceError, Lock, State},
    policy::{self, Catalogue, Policy},
};

/// The instance, for as long as its lock is held.
pub(super) struct Opened<'a> {
    pub(super) instance: &'a Instance,
    pub(super) catalogue: &'a Catalogue,
    pub(super) state: State,
    pub(super) maps: PolicyMaps,
    pub(super) now: Now,
    /// Somebody else had stored another word in the switch.
    pub(super) foreign: bool,
    _lock: Lock,
}

impl<'a> Opened<'a> {
    /// One that runs.
    ///
    /// # Errors
    /// It is not there, or can't be put right.
    pub(super) fn running(instance: &'a Instance, catalogue: &'a Catalogue) -> Result<Self, ControlError> {
        let lock = instance.lock()?;
        let state = instance.running()?;
        Self::open(instance, catalogue, state, lock)
    }

    /// One whose maps are there.
    ///
    /// # Errors
    /// It can't be put right.
    pub(super) fn open(
        instance: &'a Instance,
        catalogue: &'a Catalogue,
        state: State,
        lock: Lock,
    ) -> Result<Self, ControlError> {
        let maps = PolicyMaps::open(&instance.pins)?;
        let now = Clock::open(&instance.pins)?.now(state.ticks_per_second)?;
        let mut opened = Self { instance, catalogue, state, maps, now, foreign: false, _lock: lock };
        opened.settle()?;
        Ok(opened)
    }

    /// The switch as it was stored last.
    pub(super) const fn switch(&self) -> Switch {
        Switch::from_word(self.state.switch)
    }

    /// What is in force.
    pub(super) fn posture(&self) -> Posture {
        self.switch().posture(|| self.now.ticks)
    }

    /// Until when a change may be confirmed, if one waits for that.
    pub(super) fn pending(&self) -> Option<Timestamp> {
        self.switch().deadline().map(|tick| self.now.time_of(tick))
    }

    /// Refuses while a change waits for its confirmation: both halves of the tables are needed then.
    pub(super) fn refuse_pending(&self) -> Result<(), ControlError> {
        self.pending().map_or(Ok(()), |until| Err(ControlError::Pending(until)))
    }

    /// The record of a generation.
    pub(super) fn record(&self, posture: Posture) -> Option<&Generation> {
        self.state.record(posture)
    }

    /// The policy that a generation was compiled from.
    ///
    /// # Errors
    /// It is not remembered, or its packs are other ones now.
    pub(super) fn policy(&self, posture: Posture) -> Result<Policy, ControlError> {
        compiled(&self.state, posture.generation(), self.catalogue)
    }

    /// The tables of a generation, with its policy.
    ///
    /// # Errors
    /// As [`Opened::policy`]; or they don't fit.
    pub(super) fn image(&mut self, posture: Posture) -> Result<(Policy, Image), ControlError> {
        let policy = self.policy(posture)?;
        let protected = self.record(posture).map(|record| record.protected.clone()).unwrap_or_default();
        let ticks = self.state.ticks_per_second.into();
        let image = Image::compile(&policy, &protected, &mut self.state.slots, ticks)?;
        Ok((policy, image))
    }

    /// From now on is observed what a mode or a stage observes.
    pub(super) fn observe_anew(&mut self, key: &str) {
        self.state.changed.insert(key.into(), Timestamp::now());
        // Where nobody says how many, all count as pushed out since: what is not known lets nobody pass for known.
        let happened = Counters::open(&self.instance.pins).and_then(|counters| counters.happenings());
        let pushed_out = happened.map_or(0, |happened| happened.talkers_pushed_out);
        self.state.pushed_out.insert(key.into(), pushed_out);
    }

    /// Stores a word in the switch, so that whoever comes after a crash knows of it.
    ///
    /// # Errors
    /// It can't be written down, and nothing was changed; or the kernel refuses.
    pub(super) fn store(&mut self, switch: Switch) -> Result<(), ControlError> {
        self.state.intent = Some(switch.word());
        self.instance.remember(&self.state)?;
        self.maps.set_switch(switch)?;
        self.stored(switch)
    }

    /// Remembers that a word was stored.
    ///
    /// # Errors
    /// It can't be written down; the next one who opens the instance does.
    pub(super) fn stored(&mut self, switch: Switch) -> Result<(), ControlError> {
        self.state.switch = switch.word();
        self.state.intent = None;
        self.finish().map_err(ControlError::Unremembered)
    }

    /// Remembers what is so, and keeps the settled host file as the last good one.
    ///
    /// # Errors
    /// A file can't be written.
    pub(super) fn finish(&mut self) -> Result<(), InstanceError> {
        let switch = self.switch();
        let held = [switch.latest(), switch.previous()].map(Posture::generation);
        self.state.generations.retain(|number, _| held.contains(number));
        self.instance.remember(&self.state)?;
        if let Some(settled) = self.record(self.state.settled()) {
            self.instance.keep_host_file(&settled.host)?;
        }
        Ok(())
    }

    /// Writes the half that is not in force as it is remembered: a change may have been cut short in it.
    ///
    /// # Errors
    /// A map can't be written.
    pub(super) fn restore_spare(&mut self) -> Result<(), ControlError> {
        let (latest, previous) = (self.switch().latest(), self.switch().previous());
        if previous.generation() == latest.generation() || self.record(previous).is_none() {
            return Ok(());
        }
        let (_, image) = self.image(previous)?;
        Ok(self.maps.write(previous.generation(), &Tables::from(&image))?)
    }

    /// Kernel and files agree afterwards.
    fn settle(&mut self) -> Result<(), ControlError> {
        let word = self.maps.switch()?.word();
        let before = self.state.clone();
        match self.state.intent.take() {
            Some(intent) if intent == word => self.state.switch = word,
            Some(_) => self.restore_spare()?,
            None => {}
        }
        self.foreign = word != self.state.switch;
        if self.foreign {
            tracing::warn!(
                found = format!("{word:#x}"),
                meant = format!("{:#x}", self.state.switch),
                "the switch was changed by another hand: it is set again"
            );
            self.maps.set_switch(self.switch())?;
        }
        let (latest, back) = (self.switch().latest(), self.posture());
        if back != latest {
            tracing::warn!(
                generation = back.generation(),
                unconfirmed = latest.generation(),
                "a change was not confirmed in time: the kernel went back by itself"
            );
            return self.store(Switch::settled(back, back));
        }
        if before.intent.is_some() || self.state.switch != before.switch {
            return Ok(self.finish()?);
        }
        let kept = std::fs::read_to_string(self.instance.host_file()).ok();
        match self.record(self.state.settled()) {
            Some(settled) if kept.as_ref() != Some(&settled.host) => {
                Ok(self.instance.keep_host_file(&settled.host)?)
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Whether another hand has changed the switch of an instance that runs.
///
/// # Errors
/// The kernel or the disk does not say.
pub(super) fn is_foreign(instance: &Instance) -> Result<bool, ControlError> {
    let _lock = instance.lock()?;
    let state = instance.running()?;
    let word = PolicyMaps::open(&instance.pins)?.switch()?.word();
    Ok(word != state.switch && state.intent != Some(word))
}

/// The policy that a generation was compiled from.
pub(crate) fn compiled(
    state: &State,
    generation: u16,
    catalogue: &Catalogue,
) -> Result<Policy, ControlError> {
    let record = state.generations.get(&generation).ok_or(ControlError::Unknown(generation))?;
    let name = format!("generation {generation}");
    let policy = policy::compile(&name, &record.host, catalogue, record.day).map_err(ControlError::Policy)?;
    Ok(Policy { stages: record.roles.stages.clone(), ..policy })
}

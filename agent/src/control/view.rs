//! A running instance as commands and metrics see it, from its pins and its state alone.

use std::{cell::OnceCell, collections::BTreeMap, thread, time::Duration};

use jiff::Timestamp;
use portreeve_common::{
    Direction, Reason, Service,
    counter::{FlowCounter, Talker, Tally},
    flow::{FlowKey, FlowState},
    hash,
    switch::{Mode, Posture, Switch},
};

use super::{ControlError, opened::compiled};
use crate::{
    datapath::{
        DatapathError,
        clock::{Clock, Now},
        embryonic::Embryonic,
        pages::Pages,
        policy::{PolicyMaps, Tables},
        reading::Counters,
        state::Established,
        verify::{self, Standing},
    },
    image::{FlowMeta, Image},
    instance::{Instance, State},
    policy::{Catalogue, Policy, Stage},
};

/// Everything that is open for reading.
pub struct View {
    /// Which instance.
    pub instance: Instance,
    /// What is remembered.
    pub state: State,
    /// The policy in force.
    pub policy: Policy,
    /// Its tables, as they should be.
    pub image: Image,
    /// What is in force.
    pub posture: Posture,
    /// This moment.
    pub now: Now,
    /// The counters.
    pub counters: Counters,
    maps: PolicyMaps,
    switch: Switch,
    pages: OnceCell<Pages>,
}

/// Drops and would-drops of a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortDrops {
    /// Dropped packets.
    pub dropped: u64,
    /// Packets that would have been dropped.
    pub would_drop: u64,
}

/// Direction, protocol and port.
pub type PortKey = (Direction, u8, u16);

/// What an interface counted for a reason.
#[derive(Clone, Debug)]
pub struct ReasonCount {
    /// The interface.
    pub interface: String,
    /// Which way.
    pub direction: Direction,
    /// Why.
    pub reason: Reason,
    /// While enforcing.
    pub dropped: Tally,
    /// While observing.
    pub would_drop: Tally,
}

impl View {
    /// Opens a running instance.
    ///
    /// # Errors
    /// It is not there, or its policy can't be read.
    pub fn open(instance: &Instance, catalogue: &Catalogue) -> Result<Self, ControlError> {
        let (mut state, maps, switch) = agreed(instance)?;
        let now = Clock::open(&instance.pins)?.now(state.ticks_per_second)?;
        let posture = switch.posture(|| now.ticks);
        // Of a word that is not ours the policy is not known: then what should be in force is shown, and that it isn't.
        let meant = if state.record(posture).is_some() { posture } else { state.settled() };
        let policy = compiled(&state, meant.generation(), catalogue)?;
        let protected = state.record(meant).map(|record| record.protected.clone()).unwrap_or_default();
        let image = Image::compile(&policy, &protected, &mut state.slots, state.ticks_per_second.into())?;
        let counters = Counters::open(&instance.pins)?;
        Ok(Self {
            instance: instance.clone(),
            state,
            policy,
            image,
            posture,
            now,
            counters,
            maps,
            switch,
            pages: OnceCell::new(),
        })
    }

    /// The word of each interface and direction; takes the instance's lock.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn standings(&self) -> Result<Vec<(String, Direction, Standing)>, ControlError> {
        let _lock = self.instance.lock()?;
        // Under the lock no command changes the mode between the question and the proof.
        let posture = self.maps.switch()?.posture(|| self.now.ticks);
        let mut standings = Vec::new();
        for (name, cover) in &self.state.interfaces {
            let slot = self.state.slots.interfaces.get(name).unwrap_or_default();
            for direction in Direction::ALL {
                let standing = verify::standing(&self.instance.pins, name, slot, cover, direction, posture)?;
                let standing = if self.is_ours() || !standing.is_good() {
                    standing
                } else {
                    Standing::Degraded("the switch was changed by another hand".into())
                };
                standings.push((name.clone(), direction, standing));
            }
        }
        Ok(standings)
    }

    /// What identifies the policy: FNV-1a over the host file, the rules that it compiles to, and the roles that are only
    /// observed.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hash = hash::FNV_BASIS;
        let mut add = |text: &str| hash = hash::fnv1a(hash::fnv1a(hash, text.as_bytes()), &[0]);
        add(&self.policy.report.source.text);
        for rule in &self.policy.rules {
            add(&rule.flow);
            add(&rule.what());
            add(&rule.peers.to_string());
        }
        for (role, direction) in self.policy.stages.observed() {
            add(&Stage::key(role, direction));
        }
        format!("{hash:016x}")
    }

    /// Roles that are only observed though their direction is enforced.
    #[must_use]
    pub fn observed(&self, direction: Direction) -> Vec<&str> {
        if self.posture.mode(direction) == Mode::Observe {
            return Vec::new();
        }
        let observed = self.policy.stages.observed().filter(|(_, way)| *way == direction);
        observed.map(|(role, _)| role).collect()
    }

    /// Until when a change may be confirmed, if one waits for that.
    #[must_use]
    pub fn pending(&self) -> Option<Timestamp> {
        let deadline = self.switch.deadline().filter(|_| self.posture == self.switch.latest());
        deadline.map(|tick| self.now.time_of(tick))
    }

    /// Whether the switch has the word that was stored last; else another hand has changed it.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.state.switch == self.switch.word() || self.state.intent == Some(self.switch.word())
    }

    /// Whether the tables in force are exactly those that the policy compiles to.
    ///
    /// # Errors
    /// The maps can't be read.
    pub fn holds(&self) -> Result<bool, ControlError> {
        Ok(self.maps.holds(self.posture.generation(), &Tables::from(&self.image))?)
    }

    /// Live flows, and how many there may be.
    ///
    /// # Errors
    /// The map can't be read.
    pub fn established(&self) -> Result<(u64, u64), ControlError> {
        let table = Established::open(&self.instance.pins)?;
        let settings = self.maps.settings(self.posture.generation())?;
        Ok((table.live(settings.limits(), self.now.ticks)?, table.capacity()))
    }

    /// The flows that live, each with what is remembered of it.
    ///
    /// # Errors
    /// The map can't be read.
    pub fn live(&self) -> Result<Vec<(FlowKey, FlowState)>, ControlError> {
        let settings = self.maps.settings(self.posture.generation())?;
        Ok(Established::open(&self.instance.pins)?.flows(settings.limits(), self.now.ticks)?)
    }

    /// Flows that wait for their answer, and how many there may be.
    ///
    /// # Errors
    /// The map can't be read.
    pub fn embryonic(&self) -> Result<(u64, u64), ControlError> {
        let table = Embryonic::open(&self.instance.pins)?;
        let settings = self.maps.settings(self.posture.generation())?;
        Ok((table.waiting(settings.limits(), self.now.ticks)?, table.capacity()))
    }

    /// When the adoption window closes, if it is open.
    ///
    /// # Errors
    /// The map can't be read.
    pub fn adopting_until(&self) -> Result<Option<Timestamp>, ControlError> {
        let until = self.maps.settings(self.posture.generation())?.adopt_until();
        Ok((until > self.now.ticks).then(|| self.now.time_of(until)))
    }

    /// The ports' pages, read once: what is told of one view is of one moment.
    fn pages(&self) -> Result<&Pages, DatapathError> {
        if let Some(pages) = self.pages.get() {
            return Ok(pages);
        }
        let pages = self.counters.pages()?;
        Ok(self.pages.get_or_init(|| pages))
    }

    /// All ports with drops in either mode.
    ///
    /// # Errors
    /// The map can't be read.
    pub fn ports(&self) -> Result<BTreeMap<PortKey, PortDrops>, DatapathError> {
        let mut ports: BTreeMap<PortKey, PortDrops> = BTreeMap::new();
        for count in self.pages()?.ports() {
            let drops = ports.entry((count.direction, count.protocol, count.port)).or_default();
            match count.mode {
                Mode::Enforce => drops.dropped = count.packets,
                Mode::Observe => drops.would_drop = count.packets,
            }
        }
        Ok(ports)
    }

    /// All reasons for drops that any interface has counted.
    ///
    /// # Errors
    /// The map can't be read.
    pub fn reasons(&self) -> Result<Vec<ReasonCount>, DatapathError> {
        let mut counts = Vec::new();
        let pages = self.pages()?;
        for (interface, slot) in self.state.slots.interfaces.all() {
            for direction in Direction::ALL {
                for reason in Reason::ALL.into_iter().filter(|reason| !reason.passes()) {
                    let dropped = self.counters.reason(pages, slot, Mode::Enforce, direction, reason)?;
                    let would_drop = self.counters.reason(pages, slot, Mode::Observe, direction, reason)?;
                    if dropped.packets + would_drop.packets > 0 {
                        let interface = interface.to_owned();
                        counts.push(ReasonCount { interface, direction, reason, dropped, would_drop });
                    }
                }
            }
        }
        Ok(counts)
    }

    /// Who was dropped, the most packets first.
    ///
    /// # Errors
    /// The map can't be read.
    pub fn talkers(&self) -> Result<Vec<Talker>, DatapathError> {
        let mut talkers = self.counters.talkers(self.pages()?)?;
        talkers.sort_by(|a, b| b.packets.cmp(&a.packets).then(a.key.cmp(&b.key)));
        Ok(talkers)
    }

    /// Every documented flow with what was counted for it, in the order of the policy.
    ///
    /// # Errors
    /// The map can't be read.
    pub fn flows(&self) -> Result<Vec<(&FlowMeta, FlowCounter)>, DatapathError> {
        let mut flows = Vec::new();
        for meta in &self.image.flows {
            flows.push((meta, self.counters.flow(meta.slot)?));
        }
        let place = |meta: &FlowMeta| self.policy.rules.iter().position(|rule| rule.flow == meta.flow);
        // Those of observed roles have no rule, and come last.
        flows.sort_by_key(|(meta, _)| place(meta).unwrap_or(usize::MAX));
        Ok(flows)
    }
}

/// State and switch as they belong together. Between the two stores of a change, which take milliseconds, the state has
/// both generations; so only a word that the state does not know is asked for again.
fn agreed(instance: &Instance) -> Result<(State, PolicyMaps, Switch), ControlError> {
    const ATTEMPTS: u32 = 20;
    const GLANCE: Duration = Duration::from_millis(10);
    let mut attempt = 1;
    loop {
        let state = instance.running()?;
        let maps = PolicyMaps::open(&instance.pins)?;
        let switch = maps.switch()?;
        let known = [switch.latest(), switch.previous()].map(|posture| state.record(posture).is_some());
        if known == [true; 2] || attempt == ATTEMPTS {
            return Ok((state, maps, switch));
        }
        attempt += 1;
        thread::sleep(GLANCE);
    }
}

/// The protocol of outputs: a name, or the number.
#[must_use]
pub fn protocol_name(protocol: u8) -> String {
    Service::protocol_name(protocol).map_or_else(|| protocol.to_string(), str::to_owned)
}

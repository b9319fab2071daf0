//! The kernel's tables in user space: the same verdicts over plain collections, on any clock.

mod ears;
mod memory;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
};

use portreeve_common::{
    Address, Decision, Direction, Packet, Reason, Sight, Tables,
    class::{Allows, Class, PEER_BUCKETS, PeerBucket, Peering, RuleId},
    clause::{ANY_INTERFACE, Clause, Interfaces},
    decide,
    decide::Control,
    dns::{self, Dns, Learning as _, Outcome},
    flow::{FlowKey, FlowState},
    look,
    names::{LearnedName, LearnedSet, NameKey},
    quick::{self, Ends, Outcomes, Plain},
    settings::Settings,
    switch::{Mode, Posture},
    tables::{FragmentKey, FragmentState, Live},
};

use self::{ears::Ears, memory::Memory};
use super::Image;

/// An image with connection state. Its state tables never fill up.
#[derive(Debug)]
pub struct Simulation {
    image: Image,
    interfaces: Interfaces,
    generation: u16,
    modes: [Mode; 2],
    now: Cell<u64>,
    established: RefCell<HashMap<FlowKey, FlowState>>,
    embryonic: RefCell<HashMap<FlowKey, FlowState>>,
    controls: RefCell<HashMap<FlowKey, Control>>,
    fragments: RefCell<HashMap<FragmentKey, FragmentState>>,
    memory: Memory,
}

impl Simulation {
    /// At tick 0, without any flow.
    #[must_use]
    pub fn new(image: Image) -> Self {
        Self {
            image,
            interfaces: ANY_INTERFACE,
            generation: 1,
            modes: [Mode::Enforce; 2],
            now: Cell::new(0),
            established: RefCell::default(),
            embryonic: RefCell::default(),
            controls: RefCell::default(),
            fragments: RefCell::default(),
            memory: Memory::default(),
        }
    }

    /// Sets the clock, in ticks.
    pub fn set_now(&self, ticks: u64) {
        self.now.set(ticks);
    }

    /// The interface by which packets come and leave; any until it is set.
    pub const fn set_interfaces(&mut self, interfaces: Interfaces) {
        self.interfaces = interfaces;
    }

    /// Sets the modes of ingress and egress; until then both are enforced.
    pub const fn set_modes(&mut self, modes: [Mode; 2]) {
        self.modes = modes;
    }

    /// Adopts connections met mid-stream until `tick`.
    pub const fn adopt_until(&mut self, tick: u64) {
        self.image.settings = self.image.settings.adopting_until(tick);
    }

    /// Puts another image in force; flows live on, to be judged again.
    pub fn replace(&mut self, image: Image) {
        self.image = image;
        self.generation = self.generation.wrapping_add(1);
    }

    /// What is in force.
    #[must_use]
    pub const fn image(&self) -> &Image {
        &self.image
    }

    /// The rule under which a flow may live that began in this direction, if there is one.
    #[must_use]
    pub fn allows(&self, key: &FlowKey, began: Direction) -> Option<RuleId> {
        if self.protects(key.local()) != decide::OWN {
            return None;
        }
        let decision = match self.class(key.service(began)).allows() {
            Allows::Nobody => return None,
            Allows::Anybody(rule) => return Some(rule),
            Allows::Peers(number) => self.among_living(number, key.remote()),
            Allows::Particular(first) => self.particular(first, key, began, true),
        };
        decision.rule().filter(|_| decision.passes())
    }

    /// The verdict on a packet, which may let a flow begin or end.
    pub fn judge<P: Packet + ?Sized>(&self, packet: &P, direction: Direction) -> Decision {
        let mut sight = Sight::default();
        look(packet, direction, &mut sight);
        let decision = decide(&mut sight, direction, self);
        if dns::concerns(&sight.headers, decision, self.settings()) {
            let mut dns = Box::<Dns>::default();
            let mut from = 0;
            for _ in 0..dns::MESSAGES {
                if dns::load(packet, &sight.headers, &mut dns, from).is_none() {
                    break;
                }
                self.memory.count(dns::follow(&mut dns, &sight.headers.key, direction, &Ears(self)));
                from = dns.next(direction);
                if from == 0 {
                    break;
                }
            }
        }
        decision
    }

    /// Lets an address be one that a name was resolved to.
    pub fn resolve(&self, name: &str, address: Address) {
        let key = NameKey { bits: NameKey::WHOLE, ..NameKey::of(self.generation, name) };
        let id = Ears(self).wanted(&key).word();
        if id != 0 {
            let resolver = Address::UNSPECIFIED;
            self.memory.learn(&LearnedName { id, address, since: 0, until: u64::MAX >> 8, resolver });
        }
    }

    /// Remembers what the kernel has learned.
    pub fn remember(&self, learned: &[LearnedName]) {
        learned.iter().for_each(|name| self.memory.learn(name));
    }

    /// What was learned, in the order of the addresses.
    #[must_use]
    pub fn learned(&self) -> Vec<LearnedName> {
        self.memory.learned()
    }

    /// How many of resolvers' messages came to this.
    #[must_use]
    pub fn answers(&self, outcome: Outcome) -> u64 {
        self.memory.counted(outcome)
    }

    /// The same by the short way where that decides, as the kernel programs do it.
    pub fn judge_quickly<P: Packet + ?Sized>(&self, packet: &P, direction: Direction) -> Decision {
        let said = Said { refuses: !self.posture().observes_alone(direction) };
        quick::judge(packet, direction, self, &said).unwrap_or_else(|| self.judge(packet, direction))
    }
}

/// What the short way says, as the long way would say it.
struct Said {
    /// Whether it may say that a packet is refused.
    refuses: bool,
}

impl Outcomes for Said {
    type Out = Option<Decision>;

    fn established<E: Ends>(&self, _plain: &Plain<E>, rule: RuleId, _now: u64) -> Self::Out {
        Some(Decision::under(Reason::Established, rule))
    }

    fn no_rule<E: Ends>(&self, _plain: &Plain<E>) -> Self::Out {
        self.refuses.then_some(Decision::plain(Reason::NoRule))
    }

    fn wrong_peer<E: Ends>(&self, _plain: &Plain<E>, nearest: RuleId) -> Self::Out {
        self.refuses.then_some(Decision::under(Reason::WrongPeer, nearest))
    }

    fn no_state<E: Ends>(&self, _plain: &Plain<E>) -> Self::Out {
        self.refuses.then_some(Decision::plain(Reason::NoState))
    }

    fn unsaid(&self) -> Self::Out {
        None
    }
}

/// Flows are found by key, so their place says nothing.
impl Tables for Simulation {
    type Slot = ();

    fn now(&self) -> u64 {
        self.now.get()
    }

    fn generation(&self) -> u16 {
        self.generation
    }

    fn posture(&self) -> Posture {
        let [ingress, egress] = self.modes;
        Posture::new(self.generation, ingress, egress)
    }

    fn settings(&self) -> &Settings {
        &self.image.settings
    }

    fn class_at(&self, slot: u32) -> Class {
        self.image.classes.get(slot as usize).map_or(Class::NONE, |word| Class::from_word(*word))
    }

    fn peering(&self, number: u16) -> Option<&Peering> {
        self.image.peerings.get(usize::from(number))
    }

    fn peers(&self, bucket: u32) -> Option<&PeerBucket> {
        self.image.peers.get((bucket & (PEER_BUCKETS - 1)) as usize)
    }

    fn shared(&self, index: u32) -> Option<RuleId> {
        self.image.shared.get(index as usize).copied()
    }

    fn interfaces(&self) -> Interfaces {
        self.interfaces
    }

    fn clause(&self, index: u32) -> Option<&Clause> {
        self.image.clauses.get(index as usize)
    }

    fn learned<R>(&self, address: &Address, tell: impl FnOnce(&LearnedSet) -> Option<R>) -> Option<R> {
        self.memory.set_of(address).and_then(|set| tell(&set))
    }

    fn control(&self, pair: &FlowKey) -> Option<Control> {
        self.controls.borrow().get(pair).copied()
    }

    fn set_control(&self, pair: &FlowKey, control: Control) {
        self.controls.borrow_mut().insert(*pair, control);
    }

    fn established(&self, key: &FlowKey, now: u64) -> Option<Live<Self::Slot>> {
        let state = self.established.borrow().get(key).copied()?;
        let lives = state.lives(self.settings().limits(), now);
        lives.then_some(Live { slot: (), state, established: true })
    }

    fn is_embryonic(&self, key: &FlowKey) -> bool {
        self.embryonic.borrow().contains_key(key)
    }

    fn find(&self, key: &FlowKey) -> Option<Live<Self::Slot>> {
        if let Some(live) = self.established(key, self.now()) {
            return Some(live);
        }
        let (limits, now) = (self.settings().limits(), self.now());
        let state = self.embryonic.borrow().get(key).copied()?;
        state.waits(limits, now).then_some(Live { slot: (), state, established: false })
    }

    fn begin(&self, key: &FlowKey, state: FlowState) {
        self.embryonic.borrow_mut().insert(*key, state);
    }

    fn establish(&self, key: &FlowKey, state: FlowState) {
        self.established.borrow_mut().insert(*key, state);
        self.embryonic.borrow_mut().remove(key);
    }

    fn refresh(&self, _live: &Live<Self::Slot>, key: &FlowKey, state: FlowState) {
        self.established.borrow_mut().insert(*key, state);
    }

    fn end(&self, key: &FlowKey) {
        self.established.borrow_mut().remove(key);
        self.embryonic.borrow_mut().remove(key);
    }

    fn fragment(&self, key: &FragmentKey) -> Option<FragmentState> {
        self.fragments.borrow().get(key).copied()
    }

    fn remember(&self, key: &FragmentKey, state: FragmentState) {
        self.fragments.borrow_mut().insert(*key, state);
    }
}

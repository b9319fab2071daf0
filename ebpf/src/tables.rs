//! The decision core's look-ups over the kernel's maps.

mod functions;

use portreeve_common::{
    Address, Decision, Direction, Sight, Tables,
    class::{Class, Documented, PeerBucket, Peering, RuleId},
    clause::{Clause, Interfaces},
    decide::{Control, decide},
    flow::{FlowKey, FlowState},
    names::{LearnedSet, NameId},
    seed::Seed,
    service::Transport,
    settings::Settings,
    switch::Posture,
    tables::{FragmentKey, FragmentState, Live},
};

use self::functions::{
    portreeve_among, portreeve_controlled, portreeve_judge, portreeve_leases, portreeve_named,
    portreeve_note, portreeve_open, portreeve_particular, portreeve_pattern, portreeve_protects,
};
use crate::{argument::direction, clock, flows, maps, names};

/// One generation, as one packet sees it.
pub(crate) struct KernelTables {
    /// Functions that are told of a generation alone see no modes, and ask for none.
    posture: Posture,
    time: Time,
}

/// What a packet's time is.
#[derive(Clone, Copy)]
pub(crate) enum Time {
    /// Looked at when it is needed, as programs that are asked or attached do.
    Now { asked: bool },
    /// That of a packet which somebody else looked at.
    At(u64),
}

/// How a time is handed to a function that the verifier proves apart: it is to be looked at there, as programs that are
/// asked do or not.
const LOOK: u32 = 1;
const ASKED: u32 = 2;
/// The flow that is asked for lives.
const LIVES: u32 = 4;

impl Time {
    #[inline(always)]
    const fn words(self) -> (u32, u64) {
        match self {
            Self::Now { asked: false } => (LOOK, 0),
            Self::Now { asked: true } => (LOOK | ASKED, 0),
            Self::At(now) => (0, now),
        }
    }

    #[inline(always)]
    const fn from_words(how: u32, now: u64) -> Self {
        if how & LOOK == 0 { Self::At(now) } else { Self::Now { asked: how & ASKED != 0 } }
    }
}

impl KernelTables {
    #[inline(always)]
    pub(crate) const fn new(posture: Posture, time: Time) -> Self {
        Self { posture, time }
    }

    /// One function after the other, and not one within the other: there is no room for both on the stack.
    #[inline(always)]
    fn of_peer(&self, number: u16, remote: &Address, lives: bool) -> Decision {
        let word = portreeve_among(self.generation().into(), number.into(), remote);
        let decision = Decision::from_word(word);
        if decision.asks_names() { self.named(number, remote, lives) } else { decision }
    }

    /// As a function that the verifier proves apart is told of them.
    #[inline(always)]
    const fn at(posture: u32, now: u64) -> Self {
        Self::new(Posture::from_word(posture as u16), Time::At(now))
    }
}

impl Tables for KernelTables {
    type Slot = flows::Slot;

    #[inline(always)]
    fn now(&self) -> u64 {
        match self.time {
            Time::Now { asked } => clock::now(asked),
            Time::At(now) => now,
        }
    }

    #[inline(always)]
    fn generation(&self) -> u16 {
        self.posture.generation()
    }

    #[inline(always)]
    fn posture(&self) -> Posture {
        self.posture
    }

    #[inline(always)]
    fn settings(&self) -> &Settings {
        maps::settings(self.generation())
    }

    #[inline(always)]
    fn class_at(&self, slot: u32) -> Class {
        Class::from_word(maps::class(self.generation(), slot))
    }

    #[inline(always)]
    fn documents(&self, direction: Direction, transport: Transport, port: u16) -> bool {
        maps::documents(self.generation(), Documented::of(direction, transport, port))
    }

    #[inline(always)]
    fn peering(&self, number: u16) -> Option<&Peering> {
        maps::peering(self.generation(), number)
    }

    #[inline(always)]
    fn peers(&self, bucket: u32) -> Option<&PeerBucket> {
        maps::peers(self.generation(), bucket)
    }

    #[inline(always)]
    fn shared(&self, index: u32) -> Option<RuleId> {
        maps::shared(self.generation(), index)
    }

    #[inline(always)]
    fn among(&self, number: u16, remote: &Address) -> Decision {
        self.of_peer(number, remote, false)
    }

    #[inline(always)]
    fn among_living(&self, number: u16, remote: &Address) -> Decision {
        self.of_peer(number, remote, true)
    }

    #[inline(always)]
    fn learned<R>(&self, address: &Address, tell: impl FnOnce(&LearnedSet) -> Option<R>) -> Option<R> {
        names::learned(address).and_then(tell)
    }

    #[inline(always)]
    fn named(&self, number: u16, remote: &Address, lives: bool) -> Decision {
        let (how, now) = self.time.words();
        let how = if lives { how | LIVES } else { how };
        let of = how << 16 | u32::from(self.generation());
        Decision::from_word(portreeve_named(of, number.into(), remote, now))
    }

    #[inline(always)]
    fn pattern(&self, set: u16, name: NameId) -> Option<u16> {
        match portreeve_pattern(self.generation().into(), set.into(), name.word()) {
            0 => None,
            member => Some((member - 1) as u16),
        }
    }

    #[inline(always)]
    fn protects(&self, address: &Address) -> u16 {
        portreeve_protects(self.generation().into(), address) as u16
    }

    #[inline(always)]
    fn interfaces(&self) -> Interfaces {
        maps::interfaces()
    }

    #[inline(always)]
    fn clause(&self, index: u32) -> Option<&Clause> {
        maps::clause(self.generation(), index)
    }

    #[inline(always)]
    fn particular(&self, first: u16, key: &FlowKey, began: Direction, lives: bool) -> Decision {
        let of = u32::from(self.generation()) << 16 | u32::from(first);
        let how = began.index() | if lives { LIVES } else { 0 };
        Decision::from_word(portreeve_particular(of, how, key, self.now()))
    }

    #[inline(always)]
    fn is_controlled(&self, port: u16, key: &FlowKey, began: Direction) -> bool {
        let of = u32::from(self.generation()) << 16 | u32::from(port);
        portreeve_controlled(of, began.index(), key, self.now()) != 0
    }

    #[inline(always)]
    fn judge(&self, sight: &Sight, direction: Direction) -> Decision {
        Decision::from_word(portreeve_judge(sight, direction.index(), self.posture.word().into(), self.now()))
    }

    #[inline(always)]
    fn leases(&self, sight: &Sight, direction: Direction) -> bool {
        portreeve_leases(sight, direction.index(), self.generation().into(), self.now()) != 0
    }

    #[inline(always)]
    fn open(&self, key: &FlowKey) -> Option<Direction> {
        match portreeve_open(self.generation().into(), key, self.now()) {
            0 => None,
            began => Some(direction(began - 1)),
        }
    }

    #[inline(always)]
    fn note(&self, key: &FlowKey, began: Direction) {
        portreeve_note(self.generation().into(), began.index(), key, self.now());
    }

    #[inline(always)]
    fn control(&self, pair: &FlowKey) -> Option<Control> {
        // SAFETY: the value is copied at once; half of one and half of another names flows to ask for all the same.
        unsafe { maps::CONTROLS.get(pair) }.copied()
    }

    #[inline(always)]
    fn set_control(&self, pair: &FlowKey, control: Control) {
        // A refusal leaves data connections without their control flow: they are dropped and counted.
        let _unnoted = maps::CONTROLS.insert(pair, &control, 0);
    }

    #[inline(always)]
    fn established(&self, key: &FlowKey, now: u64) -> Option<Live<Self::Slot>> {
        flows::established(key, self.settings().limits(), now)
    }

    #[inline(always)]
    fn is_embryonic(&self, key: &FlowKey) -> bool {
        flows::is_embryonic(key)
    }

    #[inline(always)]
    fn find(&self, key: &FlowKey) -> Option<Live<Self::Slot>> {
        flows::find(key, self.settings().limits(), self.now())
    }

    #[inline(always)]
    fn begin(&self, key: &FlowKey, state: FlowState) {
        flows::begin(key, state, self.settings().limits(), self.now());
    }

    #[inline(always)]
    fn establish(&self, key: &FlowKey, state: FlowState) {
        flows::establish(key, state, self.settings().limits(), self.now());
    }

    #[inline(always)]
    fn refresh(&self, live: &Live<Self::Slot>, _key: &FlowKey, state: FlowState) {
        flows::refresh(live, state);
    }

    #[inline(always)]
    fn end(&self, key: &FlowKey) {
        flows::end(key);
    }

    #[inline(always)]
    fn fragment(&self, key: &FragmentKey) -> Option<FragmentState> {
        // SAFETY: the value is copied at once; one that is replaced meanwhile is another first fragment's.
        unsafe { maps::FRAGMENTS.get(key) }.copied()
    }

    #[inline(always)]
    fn remember(&self, key: &FragmentKey, state: FragmentState) {
        // A refusal leaves the followers without their first fragment: they are dropped and counted.
        let _unremembered = maps::FRAGMENTS.insert(key, &state, 0);
    }
}

/// Judges what was seen of a frame. Without its settings a generation was never written, and passes nothing.
#[inline(always)]
pub(crate) fn judge(sight: &mut Sight, direction: Direction, posture: Posture, now: u64) -> Decision {
    decide(sight, direction, &KernelTables::new(posture, Time::At(now)))
}

/// Plants a flow that lives already; whether there was room. It is judged again with its next packet: no generation is 0.
#[inline(always)]
pub(crate) fn plant(seed: &Seed, now: u64) -> bool {
    let Seed { key, state } = *seed;
    let tables = KernelTables::at(state.generation().into(), now);
    let settings = tables.settings();
    let began = state.began();
    let planted = flows::plant(&key, state.under(state.rule(), 0).at(now), settings.limits(), now);
    if planted && settings.controls(key.service(began).number) {
        tables.note(&key, began);
    }
    planted
}

//! The decision core's look-ups over the kernel's maps.

use portreeve_common::{
    Address, Decision, Direction, Reason, Sight, Tables,
    class::{self, Class, Documented, PeerBucket, Peering, RuleId},
    clause::{Clause, Interfaces},
    decide::{self, Control, decide},
    flow::{FlowKey, FlowState},
    names::{LearnedSet, NameId},
    seed::Seed,
    service::Transport,
    settings::Settings,
    switch::Posture,
    tables::{FragmentKey, FragmentState, Live},
};

use crate::{clock, flows, maps, names};

/// One generation, as one packet sees it.
pub(crate) struct KernelTables {
    /// Of which only the generation counts; it is taken out where it is needed.
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
    const fn at(generation: u32, now: u64) -> Self {
        Self::new(Posture::of(generation as u16), Time::At(now))
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
        Decision::from_word(portreeve_judge(sight, direction.index(), self.generation().into(), self.now()))
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
pub(crate) fn judge(sight: &mut Sight, direction: Direction, generation: u16, now: u64) -> Decision {
    decide(sight, direction, &KernelTables::at(generation.into(), now))
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

/// A global function: the verifier proves it once, whatever the packet looked like, and not once for each way
/// through the parser. It takes plain words and memory only.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn portreeve_judge(sight: *const Sight, direction: u32, generation: u32, now: u64) -> u32 {
    let tables = KernelTables::at(generation, now);
    if sight.is_null() {
        return INTERNAL.word();
    }
    // SAFETY: the verifier lets only memory of this size or null through.
    let sight = unsafe { &*sight };
    decide::judge(sight, self::direction(direction), &tables).word()
}

/// As above.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn portreeve_leases(sight: *const Sight, direction: u32, generation: u32, now: u64) -> u32 {
    let tables = KernelTables::at(generation, now);
    if sight.is_null() {
        return 0;
    }
    // SAFETY: the verifier lets only memory of this size or null through.
    let sight = unsafe { &*sight };
    decide::leases(sight, self::direction(direction), &tables).into()
}

const INTERNAL: Decision = Decision::plain(Reason::Internal);

/// As above.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn portreeve_among(generation: u32, number: u32, remote: *const Address) -> u32 {
    let Some((tables, remote)) = of(generation, remote) else { return INTERNAL.word() };
    decide::among(number as u16, &remote, &tables).word()
}

/// As above. `of`: the generation in the lower half, and how the time is handed on in the upper.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn portreeve_named(of: u32, number: u32, remote: *const Address, now: u64) -> u32 {
    let tables = KernelTables::new(Posture::of(of as u16), Time::from_words(of >> 16, now));
    if remote.is_null() {
        return INTERNAL.word();
    }
    // SAFETY: the verifier lets only memory of an address's size or null through.
    let remote = unsafe { &*remote };
    decide::named(number as u16, remote, of >> 16 & LIVES != 0, &tables).word()
}

/// As above. One more than the position in the set, or 0.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn portreeve_pattern(generation: u32, set: u32, name: u64) -> u32 {
    let tables = KernelTables::at(generation, 0);
    class::pattern(set as u16, NameId::from_word(name), &tables).map_or(0, |member| u32::from(member) + 1)
}

/// As above.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn portreeve_protects(generation: u32, address: *const Address) -> u32 {
    let Some((tables, address)) = of(generation, address) else { return 0 };
    decide::protects(&address, &tables).into()
}

/// As above. `of`: the generation in the upper half, the first clause in the lower; `how`: who begins, and [`LIVES`].
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn portreeve_particular(of: u32, how: u32, key: *const FlowKey, now: u64) -> u32 {
    if key.is_null() {
        return INTERNAL.word();
    }
    // SAFETY: the verifier lets only memory of a key's size or null through.
    let key = unsafe { &*key };
    let (began, lives) = (direction(how & !LIVES), how & LIVES != 0);
    decide::particular(of as u16, key, began, lives, &KernelTables::at(of >> 16, now)).word()
}

/// As above. `of`: the generation in the upper half, the control port in the lower.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn portreeve_controlled(of: u32, began: u32, key: *const FlowKey, now: u64) -> u32 {
    if key.is_null() {
        return 0;
    }
    // SAFETY: the verifier lets only memory of a key's size or null through.
    let key = unsafe { &*key };
    let tables = KernelTables::at(of >> 16, now);
    decide::is_controlled(of as u16, key, direction(began), &tables).into()
}

/// As above.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn portreeve_note(generation: u32, began: u32, key: *const FlowKey, now: u64) -> u32 {
    if key.is_null() {
        return 0;
    }
    // SAFETY: the verifier lets only memory of a key's size or null through.
    let key = unsafe { &*key };
    decide::note(key, direction(began), &KernelTables::at(generation, now));
    0
}

/// As above. 0, or one more than the direction's number.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn portreeve_open(generation: u32, key: *const FlowKey, now: u64) -> u32 {
    if key.is_null() {
        return 0;
    }
    // SAFETY: the verifier lets only memory of a key's size or null through.
    let key = unsafe { &*key };
    let live = KernelTables::at(generation, now).established(key, now);
    match live {
        Some(live) if !live.state.is_closing() => live.state.began().index() + 1,
        Some(_) | None => 0,
    }
}

#[inline(always)]
const fn direction(index: u32) -> Direction {
    if index == 0 { Direction::Ingress } else { Direction::Egress }
}

/// The tables of a generation, and the address that a caller's pointer has.
#[inline(always)]
fn of(generation: u32, address: *const Address) -> Option<(KernelTables, Address)> {
    let tables = KernelTables::at(generation, 0);
    if address.is_null() {
        return None;
    }
    // SAFETY: the verifier lets only memory of an address's size or null through.
    Some((tables, unsafe { *address }))
}

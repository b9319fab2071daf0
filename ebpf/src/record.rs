//! Counting: each CPU has its own counters, and no program interrupts another on the same CPU, so plain additions
//! lose nothing.

use portreeve_common::{
    Address, Decision, Direction, Reason, Sight,
    class::RuleId,
    counter::{Happening, PortPage, TALKER_WAYS, Talker, TalkerKey, Tally, port_slot, reason_slot},
    quick::{Ends, Outcomes, Plain},
    switch::{Mode, Posture},
};

use crate::{
    argument::{given, given_mut},
    clock,
    frame::Frame,
    maps,
};

/// What one frame adds.
#[derive(Clone, Copy)]
struct Weight {
    packets: u64,
    bytes: u64,
}

impl Weight {
    #[inline(always)]
    fn add_to(self, tally: *mut Tally) {
        // SAFETY: `tally` lies in this CPU's own value of a map.
        unsafe { (*tally).packets += self.packets };
        // SAFETY: as above.
        unsafe { (*tally).bytes += self.bytes };
    }
}

/// Counts a packet on the short way, where its outcome is known; whether it is to be dropped, or `None` where it has to
/// go the long way.
pub(crate) struct Counting<'a, F> {
    pub(crate) frame: &'a F,
    pub(crate) direction: Direction,
    pub(crate) posture: Posture,
}

/// What `Mode::would` says of the modes.
const ENFORCE: u64 = Mode::Enforce.would();
const OBSERVE: u64 = Mode::Observe.would();

impl<F: Frame> Outcomes for Counting<'_, F> {
    type Out = Option<u64>;

    #[inline(always)]
    fn established<E: Ends>(&self, _plain: &Plain<E>, rule: RuleId, now: u64) -> Self::Out {
        answer::<F>(Decision::under(Reason::Established, rule));
        flow(rule, true, self.weight(), now);
        Some(1)
    }

    #[inline(always)]
    fn no_rule<E: Ends>(&self, plain: &Plain<E>) -> Self::Out {
        self.refused(plain, Reason::NoRule, None)
    }

    #[inline(always)]
    fn wrong_peer<E: Ends>(&self, plain: &Plain<E>, nearest: RuleId) -> Self::Out {
        self.refused(plain, Reason::WrongPeer, Some(nearest))
    }

    #[inline(always)]
    fn no_state<E: Ends>(&self, plain: &Plain<E>) -> Self::Out {
        self.refused(plain, Reason::NoState, None)
    }

    #[inline(always)]
    fn unsaid(&self) -> Self::Out {
        None
    }
}

impl<F: Frame> Counting<'_, F> {
    #[inline(always)]
    fn weight(&self) -> Weight {
        Weight { packets: self.frame.segments().into(), bytes: self.frame.length() }
    }

    /// Each mode has its own way, which knows it when it is compiled.
    #[inline(always)]
    fn refused<E: Ends>(&self, plain: &Plain<E>, reason: Reason, nearest: Option<RuleId>) -> Option<u64> {
        match self.posture.mode(self.direction) {
            Mode::Enforce => self.refused_in::<ENFORCE, E>(plain, reason, nearest),
            // Only here: who enforces pays nothing for it.
            Mode::Observe if self.posture.observes_alone(self.direction) => self.unsaid(),
            Mode::Observe => self.refused_in::<OBSERVE, E>(plain, reason, nearest),
        }
    }

    #[inline(always)]
    fn refused_in<const WOULD: u64, E: Ends>(
        &self,
        plain: &Plain<E>,
        reason: Reason,
        nearest: Option<RuleId>,
    ) -> Option<u64> {
        let (weight, number) = (self.weight(), plain.number());
        let transport = plain.transport;
        let (page, place) = port_slot(WOULD, self.direction, transport.index(), number);
        let page = maps::PORTS.get_ptr_mut(page)?;
        answer::<F>(match nearest {
            Some(rule) => Decision::under(reason, rule),
            None => Decision::plain(reason),
        });
        if let Some(rule) = nearest {
            flow(rule, false, weight, 0);
        }
        add_to_port(page, place, weight);
        let place = PortPage::reason_place(maps::interface(), reason);
        // SAFETY: a place inside this CPU's own value.
        let tallies = unsafe { &raw mut (*page).reasons }.cast::<Tally>();
        // SAFETY: `reason_place` keeps it below their number.
        weight.add_to(unsafe { tallies.add(place as usize) });
        let remote = plain.remote(self.direction);
        let key = TalkerKey::new(remote, number, transport.number(), self.direction, WOULD, reason as u8);
        self.talker(page, key, weight.packets);
        Some(WOULD)
    }

    /// Who: mostly the same as last time.
    #[inline(always)]
    fn talker(&self, page: *mut PortPage, key: TalkerKey, packets: u64) {
        // SAFETY: a place inside this CPU's own value.
        let latest = unsafe { &raw mut (*page).latest };
        // SAFETY: as above.
        let known = unsafe { (*latest).key };
        if known == key {
            // SAFETY: as above.
            unsafe { (*latest).packets += packets };
            // SAFETY: as above. The clock is read in each branch: a call makes the compiler store what it holds.
            unsafe { (*latest).last = clock::now(F::ASKED) };
        } else {
            let now = clock::now(F::ASKED);
            let ([high, low], what) = (key.peer().words(), key.what());
            portreeve_talk(latest, high, low, what | packets << 32, now);
        }
        if matches!(self.direction, Direction::Egress) {
            let (cgroup, uid) = self.frame.sender();
            // SAFETY: as above.
            unsafe { (*latest).cgroup = cgroup };
            // SAFETY: as above.
            unsafe { (*latest).uid = uid };
        }
    }
}

/// A global function: the verifier proves it once. Who talked last makes way for another, and goes into the table.
/// `high`, `low`: the peer; `what`: the key's word, and the packets in the upper half.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn portreeve_talk(latest: *mut Talker, high: u64, low: u64, what: u64, now: u64) -> u32 {
    let Some(latest) = given_mut(latest) else { return 0 };
    if latest.key.is_present() {
        add_talker(latest);
    }
    let key = TalkerKey::from_words(Address::from_words([high, low]), what & 0xffff_ffff);
    *latest = Talker::new(key, what >> 32, now);
    0
}

/// Bits of the word that says how a frame came.
const EGRESS: u64 = 1;
const OBSERVED: u64 = 2;
const ASKED: u64 = 4;

/// Counts a verdict under all that it is counted under.
#[inline(always)]
pub(crate) fn count<F: Frame>(
    decision: Decision,
    sight: &Sight,
    frame: &F,
    direction: Direction,
    would: u64,
) {
    let (length, end) = (frame.length(), u64::from(sight.headers.end));
    let weight = u64::from(frame.segments()) << 32 | if end > length { end } else { length };
    let mut how = would * OBSERVED;
    if F::ASKED {
        how |= ASKED;
    }
    let mut cgroup = 0;
    if matches!(direction, Direction::Egress) {
        how |= EGRESS;
        if !decision.passes() || decision.is_observed() {
            let uid;
            (cgroup, uid) = frame.sender();
            how |= u64::from(uid) << 32;
        }
    }
    portreeve_count(sight, decision.word(), how, weight, cgroup);
}

/// A global function: the verifier proves it once. `how`: [`EGRESS`], [`OBSERVED`], [`ASKED`], and the sender's user in
/// the upper half; `weight`: packets in the upper half, bytes in the lower.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn portreeve_count(sight: *const Sight, decision: u32, how: u64, weight: u64, cgroup: u64) -> u32 {
    let Some(Sight { headers, .. }) = given(sight) else { return 0 };
    let decision = Decision::from_word(decision);
    let now = if how & ASKED != 0 {
        if let Some(trace) = maps::trace(true) {
            trace.answer(&decision);
        }
        clock::now(true)
    } else {
        clock::now(false)
    };
    let direction = if how & EGRESS != 0 { Direction::Egress } else { Direction::Ingress };
    // Of a role that is only observed: passes, and counts as what enforcing it would say.
    let observed = decision.is_observed();
    let would = how / OBSERVED & 1 | observed as u64;
    let reason = if observed { Reason::WrongPeer as u8 } else { decision.number() };
    let weight = Weight { packets: weight >> 32, bytes: weight & 0xffff_ffff };
    if let Some(rule) = decision.rule() {
        flow(rule, decision.passes(), weight, now);
    }
    // Packets of live flows are counted by their flow alone.
    if decision.is(Reason::Established) {
        return 0;
    }
    let slot = reason_slot(maps::interface(), would, direction, reason);
    if let Some(tally) = maps::REASONS.get_ptr_mut(slot) {
        weight.add_to(tally);
    }
    // Without an end there was no IP header to read: nobody to name.
    if decision.passes() && !observed || !headers.is_ip() || headers.end == 0 {
        return 0;
    }
    if let Some(transport) = headers.transport() {
        let (page, place) = port_slot(would, direction, transport.index(), headers.number);
        if let Some(page) = maps::PORTS.get_ptr_mut(page) {
            add_to_port(page, place, weight);
        }
    }
    let peer = *headers.key.remote();
    let key = TalkerKey::new(peer, headers.number, headers.protocol, direction, would, reason);
    let uid = (how >> 32) as u32;
    add_talker(&Talker { cgroup, uid, ..Talker::new(key, weight.packets, now) });
    0
}

#[inline(always)]
fn answer<F: Frame>(decision: Decision) {
    if !F::ASKED {
        return;
    }
    if let Some(trace) = maps::trace(true) {
        trace.answer(&decision);
    }
}

#[inline(always)]
fn flow(rule: RuleId, passes: bool, weight: Weight, now: u64) {
    let Some(counter) = maps::FLOWS.get_ptr_mut(rule.into()) else { return };
    if passes {
        // SAFETY: a place inside this CPU's own value.
        weight.add_to(unsafe { &raw mut (*counter).passed });
        // SAFETY: as above.
        unsafe { (*counter).seen = now };
    } else {
        // SAFETY: as above.
        weight.add_to(unsafe { &raw mut (*counter).dropped });
    }
}

#[inline(always)]
fn add_to_port(page: *mut PortPage, place: u32, weight: Weight) {
    // SAFETY: a place inside this CPU's own value.
    let ports = unsafe { &raw mut (*page).ports }.cast::<u64>();
    // SAFETY: `port_slot` keeps the place below the page's length.
    let count = unsafe { ports.add(place as usize) };
    // SAFETY: this CPU's own value.
    unsafe { *count += weight.packets };
}

/// One line for each peer, port and reason, the oldest line of a set giving way.
#[inline(always)]
fn add_talker(talker: &Talker) {
    let Some(set) = maps::TALKERS.get_ptr_mut(talker.key.set(&maps::secret())) else { return };
    let set = set.cast::<Talker>();
    let mut oldest = (0, u64::MAX);
    for way in 0..TALKER_WAYS {
        // SAFETY: below the number of ways.
        let line = unsafe { set.add(way) };
        // SAFETY: this CPU's own value.
        let found = unsafe { (*line).key };
        // SAFETY: as above.
        let last = unsafe { (*line).last };
        if found == talker.key {
            // SAFETY: as above.
            unsafe { (*line).packets += talker.packets };
            // SAFETY: as above.
            unsafe { (*line).last = talker.last };
            // SAFETY: as above.
            unsafe { (*line).cgroup = talker.cgroup };
            // SAFETY: as above.
            unsafe { (*line).uid = talker.uid };
            return;
        }
        let age = if found.is_present() { last + 1 } else { 0 };
        if age < oldest.1 {
            oldest = (way, age);
        }
    }
    if oldest.1 != 0 {
        maps::happened(Happening::TalkerPushedOut);
    }
    // SAFETY: the mask keeps it below the number of ways.
    let line = unsafe { set.add(oldest.0 & (TALKER_WAYS - 1)) };
    // SAFETY: this CPU's own value.
    unsafe { *line = *talker };
}

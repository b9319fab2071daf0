//! Counting: each CPU has its own counters, and no program interrupts another on the same CPU, so plain additions
//! lose nothing.

use portreeve_common::{
    Decision, Direction, Reason, Sight,
    counter::{Happening, TALKER_WAYS, Talker, TalkerKey, Tally, port_slot, reason_slot},
    quick::Plain,
    switch::Mode,
};

use crate::{clock, frame::Frame, maps};

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

/// Bits of the word that says how a frame came.
const EGRESS: u64 = 1;
const OBSERVED: u64 = 2;

/// Counts a verdict under all that it is counted under.
#[inline(always)]
pub(crate) fn count<F: Frame>(
    decision: Decision,
    sight: &Sight,
    frame: &F,
    direction: Direction,
    mode: Mode,
) {
    let length = frame.length();
    let length = if sight.headers.end > length { sight.headers.end } else { length };
    let weight = u64::from(frame.segments()) << 32 | u64::from(length);
    let mut how = if matches!(mode, Mode::Observe) { OBSERVED } else { 0 };
    let mut cgroup = 0;
    if matches!(direction, Direction::Egress) {
        how |= EGRESS;
        if !decision.passes() {
            let uid;
            (cgroup, uid) = frame.sender();
            how |= u64::from(uid) << 32;
        }
    }
    portreeve_count(sight, decision.word(), how, weight, cgroup);
}

/// Counts a packet of an established flow that went the short way.
#[inline(always)]
pub(crate) fn count_established<F: Frame>(rule: u16, plain: &Plain, frame: &F, now: u64) {
    if let Some(trace) = maps::trace() {
        trace.answer(&Decision::under(Reason::Established, rule));
    }
    flow(rule, true, weigh(plain, frame), now);
}

/// Counts a packet that the short way refused, without a detour over memory.
#[inline(always)]
pub(crate) fn count_refused<F: Frame>(
    decision: Decision,
    plain: &Plain,
    frame: &F,
    direction: Direction,
    mode: Mode,
    now: u64,
) {
    if let Some(trace) = maps::trace() {
        trace.answer(&decision);
    }
    let weight = weigh(plain, frame);
    if let Some(nearest) = decision.rule() {
        flow(nearest, false, weight, now);
    }
    reason(mode, direction, decision, weight);
    port(port_slot(mode, direction, plain.protocol, plain.number), weight);
    let peer = plain.key.remote();
    let key = TalkerKey::new(peer, plain.number, plain.protocol, direction, mode, decision.number());
    let sender = if matches!(direction, Direction::Egress) { frame.sender() } else { (0, 0) };
    talker(key, weight.packets, sender, now);
}

#[inline(always)]
fn weigh<F: Frame>(plain: &Plain, frame: &F) -> Weight {
    let length = frame.length();
    let bytes = if plain.end > length { plain.end } else { length };
    Weight { packets: frame.segments().into(), bytes: bytes.into() }
}

/// A global function: the verifier proves it once. `how`: [`EGRESS`], [`OBSERVED`], and the sender's user in the upper
/// half; `weight`: packets in the upper half, bytes in the lower.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn portreeve_count(sight: *const Sight, decision: u32, how: u64, weight: u64, cgroup: u64) -> u32 {
    if sight.is_null() {
        return 0;
    }
    // SAFETY: the verifier lets only memory of this size or null through.
    let headers = unsafe { &(*sight).headers };
    let decision = Decision::from_word(decision);
    if let Some(trace) = maps::trace() {
        trace.answer(&decision);
    }
    let direction = if how & EGRESS != 0 { Direction::Egress } else { Direction::Ingress };
    let mode = if how & OBSERVED != 0 { Mode::Observe } else { Mode::Enforce };
    let weight = Weight { packets: weight >> 32, bytes: weight & 0xffff_ffff };
    if let Some(rule) = decision.rule() {
        flow(rule, decision.passes(), weight, clock::now());
    }
    // Packets of live flows are counted by their flow alone.
    if decision.is(Reason::Established) {
        return 0;
    }
    reason(mode, direction, decision, weight);
    // Without an end there was no IP header to read: nobody to name.
    if decision.passes() || headers.end == 0 {
        return 0;
    }
    if headers.has_number() {
        port(port_slot(mode, direction, headers.protocol, headers.number), weight);
    }
    let peer = headers.key.remote();
    let key = TalkerKey::new(peer, headers.number, headers.protocol, direction, mode, decision.number());
    talker(key, weight.packets, (cgroup, (how >> 32) as u32), clock::now());
    0
}

#[inline(always)]
fn flow(rule: u16, passes: bool, weight: Weight, now: u64) {
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
fn reason(mode: Mode, direction: Direction, decision: Decision, weight: Weight) {
    let slot = reason_slot(maps::interface(), mode, direction, decision.number());
    if let Some(tally) = maps::REASONS.get_ptr_mut(slot) {
        weight.add_to(tally);
    }
}

#[inline(always)]
fn port(slot: Option<(u32, u32)>, weight: Weight) {
    let Some((page, place)) = slot else { return };
    let Some(page) = maps::PORTS.get_ptr_mut(page) else { return };
    // SAFETY: `port_slot` keeps the place below the page's length.
    let count = unsafe { page.cast::<u64>().add(place as usize) };
    // SAFETY: this CPU's own value.
    unsafe { *count += weight.packets };
}

/// Who: one line for each peer, port and reason, the oldest line of a set giving way.
#[inline(always)]
fn talker(key: TalkerKey, packets: u64, (cgroup, uid): (u64, u32), now: u64) {
    let Some(set) = maps::TALKERS.get_ptr_mut(key.set()) else { return };
    let set = set.cast::<Talker>();
    let mut oldest = (0, u64::MAX);
    for way in 0..TALKER_WAYS {
        // SAFETY: below the number of ways.
        let line = unsafe { set.add(way) };
        // SAFETY: this CPU's own value.
        let found = unsafe { (*line).key };
        // SAFETY: as above.
        let last = unsafe { (*line).last };
        if found == key {
            // SAFETY: as above.
            unsafe { (*line).packets += packets };
            // SAFETY: as above.
            unsafe { (*line).last = now };
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
    unsafe { *line = Talker { key, packets, first: now, last: now, cgroup, uid, reserved: 0 } };
}

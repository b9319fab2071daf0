//! The two state tables in the kernel: readers without a lock, writers under the lock of one set.
//!
//! What is not on the way of every packet is a global function: the verifier proves it once, not once a caller. It
//! takes plain words and memory, and returns one word.

mod place;
mod write;

use core::ptr;

use portreeve_common::{
    flow::{FlowKey, FlowState},
    settings::Limits,
    table::{WAYS, position},
    tables::Live,
};

pub(crate) use self::place::Slot;
use self::{
    place::{Which, entry, place, set},
    write::{STORED, portreeve_remove, portreeve_store},
};

/// A live flow, from either table.
#[inline(always)]
pub(crate) fn find(key: &FlowKey, limits: &Limits, now: u64) -> Option<Live<Slot>> {
    if let Some(live) = established(key, limits, now) {
        return Some(live);
    }
    let slot = find_embryonic(key);
    match state_of(slot) {
        Some(state) if state.waits(limits, now) => Some(Live { slot, state, established: false }),
        Some(_) | None => None,
    }
}

/// A live flow whose other end has answered.
#[inline(always)]
pub(crate) fn established(key: &FlowKey, limits: &Limits, now: u64) -> Option<Live<Slot>> {
    let slot = find_in(Which::Established, key);
    match state_of(slot) {
        Some(state) if state.lives(limits, now) => Some(Live { slot, state, established: true }),
        Some(_) | None => None,
    }
}

/// Whether there is an entry for a flow that waits for its answer, even if it waits no longer.
#[inline(always)]
pub(crate) fn is_embryonic(key: &FlowKey) -> bool {
    !find_in(Which::Embryonic, key).is_null()
}

#[inline(always)]
fn state_of(slot: Slot) -> Option<FlowState> {
    if slot.is_null() {
        return None;
    }
    // SAFETY: not null, so it points into a value of an array map, which lives as long as the program.
    Some(unsafe { (*slot).state })
}

#[inline(never)]
fn find_embryonic(key: &FlowKey) -> Slot {
    find_in(Which::Embryonic, key)
}

/// The entry of a flow, or null.
#[inline(always)]
fn find_in(which: Which, key: &FlowKey) -> Slot {
    let place = place(which, key);
    let slot = find_at(which, place.first, place.tag, key);
    if slot.is_null() { find_at(which, place.second, place.tag, key) } else { slot }
}

#[inline(always)]
fn find_at(which: Which, number: u32, tag: u16, key: &FlowKey) -> Slot {
    let Some(set) = set(which, number) else { return ptr::null_mut() };
    // SAFETY: `set` points to a value of an array map, which lives as long as the program.
    let tags = unsafe { (*set).tags };
    let place = position(&tags, tag);
    if place == WAYS {
        return ptr::null_mut();
    }
    let slot = entry(set, place);
    // SAFETY: as above, and `entry` bounds the place. A writer may be at work on another flow's entry here; then
    // the tag is another, or the key does not match.
    let same = unsafe { (*slot).key == *key };
    if same { slot } else { ptr::null_mut() }
}

/// Puts a flow into the embryonic table; if both of its sets are full, in place of the one that waited longest.
#[inline(always)]
pub(crate) fn begin(key: &FlowKey, state: FlowState, limits: &Limits, now: u64) {
    portreeve_store(Which::Embryonic as u32, key, &state, limits, now);
}

/// Puts a flow into the established table that lives without that its beginning was seen; whether it is there.
#[inline(always)]
pub(crate) fn plant(key: &FlowKey, state: FlowState, limits: &Limits, now: u64) -> bool {
    established(key, limits, now).is_some()
        || portreeve_store(Which::Established as u32, key, &state, limits, now) == STORED
}

/// Moves a flow to the established table, if that has room.
#[inline(always)]
pub(crate) fn establish(key: &FlowKey, state: FlowState, limits: &Limits, now: u64) {
    if portreeve_store(Which::Established as u32, key, &state, limits, now) == STORED {
        portreeve_remove(Which::Embryonic as u32, key);
    }
}

/// Writes an established flow's state back. Within one tick a busy flow's state mostly stays the same.
#[inline(always)]
pub(crate) fn refresh(live: &Live<Slot>, state: FlowState) {
    if live.state == state {
        return;
    }
    // SAFETY: the slot was found in this run, and array maps outlive it. Two CPUs that write the same flow's state
    // differ by a tick or an acknowledgement.
    unsafe { (*live.slot).state = state };
}

/// Takes a flow out of both tables.
#[inline(always)]
pub(crate) fn end(key: &FlowKey) {
    portreeve_remove(Which::Established as u32, key);
    portreeve_remove(Which::Embryonic as u32, key);
}

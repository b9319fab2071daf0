//! Writers, under the lock of one set.

use core::ptr;

use aya_ebpf::helpers::{bpf_spin_lock, bpf_spin_unlock};
use portreeve_common::{
    counter::Happening,
    flow::{FlowKey, FlowState},
    settings::Limits,
    table::{FlowSet, OTHERS, Tags, WAYS, position, with_tag},
};

use super::place::{Slot, Which, entry, lock_of, place, set};
use crate::{argument::given, maps};

/// What [`portreeve_store`] says of a flow that is in its table.
pub(super) const STORED: u32 = 1;

/// Tries both sets for a free place, then for one that may be taken. [`STORED`], or 0.
#[inline(never)]
#[unsafe(no_mangle)]
pub(super) extern "C" fn portreeve_store(
    which: u32,
    key: *const FlowKey,
    state: *const FlowState,
    limits: *const Limits,
    now: u64,
) -> u32 {
    let (Some(key), Some(state), Some(limits)) = (given(key), given(state), given(limits)) else { return 0 };
    let which = if which == Which::Established as u32 { Which::Established } else { Which::Embryonic };
    let place = place(which, key);
    for attempt in 0..4u32 {
        let number = if attempt & 1 == 0 { place.first } else { place.second };
        let Some(set) = set(which, number) else { return 0 };
        let lock = lock_of(set);
        // SAFETY: the lock lies in the same value that is written below; no helper is called before it is let go.
        unsafe { bpf_spin_lock(lock) };
        // SAFETY: as above, and the lock is held.
        let tags = unsafe { (*set).tags };
        let other = which == Which::Established && !state.is_tcp();
        let at = if other && is_full_of_others(set, &tags, key, limits, now) {
            WAYS
        } else {
            choose(set, which, place.tag, key, attempt >= 2, limits, now)
        };
        if at < WAYS {
            write(set, at, place.tag, key, state);
        }
        // SAFETY: taken above.
        unsafe { bpf_spin_unlock(lock) };
        if at < WAYS {
            if attempt >= 2 && which == Which::Embryonic {
                maps::happened(Happening::EmbryonicPushedOut);
            }
            return STORED;
        }
    }
    maps::happened(Happening::EstablishedFull);
    0
}

/// Whether flows without connections that live have all the places of a set that they may have, and this one none of them.
#[inline(always)]
fn is_full_of_others(set: *mut FlowSet, tags: &Tags, key: &FlowKey, limits: &Limits, now: u64) -> bool {
    let mut others = 0;
    for at in 0..WAYS {
        if tags[at / 4 & 1] >> (at % 4 * 16) & 0xffff == 0 {
            continue;
        }
        let slot = entry(set, at);
        // SAFETY: in a value of an array map whose lock is held; `entry` bounds the place.
        let same = unsafe { (*slot).key == *key };
        if same {
            return false;
        }
        // SAFETY: as above.
        let state = unsafe { (*slot).state };
        if !state.is_tcp() && state.lives(limits, now) {
            others += 1;
        }
    }
    others >= OTHERS
}

/// The place to write to, or [`WAYS`]. A flow that is there is written over; so is, where others may be pushed out,
/// one with the same tag: two of them in one set would hide each other.
#[inline(always)]
fn choose(
    set: *mut FlowSet,
    which: Which,
    tag: u16,
    key: &FlowKey,
    push_out: bool,
    limits: &Limits,
    now: u64,
) -> usize {
    // SAFETY: `set` points to a value of an array map, and its lock is held.
    let tags = unsafe { (*set).tags };
    let at = position(&tags, tag);
    if at != WAYS {
        // SAFETY: as above, and `entry` bounds the place.
        let same = unsafe { (*entry(set, at)).key == *key };
        let dead = push_out && (which == Which::Embryonic || is_over(entry(set, at), limits, now));
        return if same || dead { at } else { WAYS };
    }
    let at = position(&tags, 0);
    if at != WAYS {
        return at;
    }
    if push_out { oldest(set, which, limits, now) } else { WAYS }
}

/// The place that was used longest ago; of the established table only if its idle limit is over.
#[inline(always)]
fn oldest(set: *mut FlowSet, which: Which, limits: &Limits, now: u64) -> usize {
    let mut oldest = (WAYS, u64::MAX);
    for at in 0..WAYS {
        let slot = entry(set, at);
        // SAFETY: in a value of an array map whose lock is held; `entry` bounds the place.
        let seen = unsafe { (*slot).state.seen() };
        if seen < oldest.1 && (which == Which::Embryonic || is_over(slot, limits, now)) {
            oldest = (at, seen);
        }
    }
    oldest.0
}

#[inline(always)]
fn is_over(slot: Slot, limits: &Limits, now: u64) -> bool {
    // SAFETY: `slot` points into a value of an array map whose lock is held.
    let state = unsafe { (*slot).state };
    !state.lives(limits, now)
}

/// The tag goes first and comes last: a reader never takes one flow's key for another's state.
#[inline(always)]
fn write(set: *mut FlowSet, at: usize, tag: u16, key: &FlowKey, state: &FlowState) {
    set_tag(set, at, 0);
    let slot = entry(set, at);
    // SAFETY: a place inside the value whose lock is held.
    let to = unsafe { &raw mut (*slot).key }.cast::<u64>();
    copy_words::<{ size_of::<FlowKey>() / 8 }>(ptr::from_ref(key).cast(), to);
    // SAFETY: as above.
    let to = unsafe { &raw mut (*slot).state }.cast::<u64>();
    copy_words::<{ size_of::<FlowState>() / 8 }>(ptr::from_ref(state).cast(), to);
    set_tag(set, at, tag);
}

/// Word by word: volatile keeps the stores between those of the tag, and no copy goes over the stack.
#[inline(always)]
fn copy_words<const N: usize>(from: *const u64, to: *mut u64) {
    for word in 0..N {
        // SAFETY: both point to `N` words.
        let from = unsafe { from.add(word) };
        // SAFETY: as above.
        let value = unsafe { *from };
        // SAFETY: as above.
        let to = unsafe { to.add(word) };
        // SAFETY: as above.
        unsafe { ptr::write_volatile(to, value) };
    }
}

#[inline(always)]
fn set_tag(set: *mut FlowSet, at: usize, tag: u16) {
    // SAFETY: `set` points to a value of an array map, and its lock is held.
    let tags = unsafe { (*set).tags };
    let (word, with) = with_tag(&tags, at, tag);
    // SAFETY: a place inside the value that `set` points to.
    let words = unsafe { &raw mut (*set).tags }.cast::<u64>();
    // SAFETY: `with_tag` answers 0 or 1.
    let place = unsafe { words.add(word) };
    // SAFETY: as above. Volatile: readers look at it without the lock.
    unsafe { ptr::write_volatile(place, with) };
}

#[inline(never)]
#[unsafe(no_mangle)]
pub(super) extern "C" fn portreeve_remove(which: u32, key: *const FlowKey) -> u32 {
    let Some(key) = given(key) else { return 0 };
    let which = if which == Which::Established as u32 { Which::Established } else { Which::Embryonic };
    let place = place(which, key);
    for attempt in 0..2u32 {
        let number = if attempt == 0 { place.first } else { place.second };
        let Some(set) = set(which, number) else { return 0 };
        let lock = lock_of(set);
        // SAFETY: the lock lies in the same value that is written below; no helper is called before it is let go.
        unsafe { bpf_spin_lock(lock) };
        // SAFETY: `set` points to a value of an array map, and its lock is held.
        let tags = unsafe { (*set).tags };
        let at = position(&tags, place.tag);
        if at != WAYS {
            // SAFETY: as above, and `entry` bounds the place.
            let same = unsafe { (*entry(set, at)).key == *key };
            if same {
                set_tag(set, at, 0);
            }
        }
        // SAFETY: taken above.
        unsafe { bpf_spin_unlock(lock) };
    }
    0
}

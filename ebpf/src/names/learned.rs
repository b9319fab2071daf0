//! The table of learned names: an address has a set, whose writers hold its lock, and a name has a ring of its latest
//! addresses.

use core::ptr;

use aya_ebpf::{
    bindings::{self, BPF_NOEXIST},
    helpers::{bpf_spin_lock, bpf_spin_unlock},
};
use portreeve_common::{
    Address,
    counter::Happening,
    names::{ADDRESSES_PER_NAME, Addresses, LEARNED_WAYS, LearnedName, LearnedSet, Order, learned_set},
};

use crate::{argument::given, maps};

/// The set of an address.
#[inline(always)]
pub(crate) fn learned(address: &Address) -> Option<&'static LearnedSet> {
    let set = set_of(address)?;
    // SAFETY: a value of an array map, which lives as long as the program. A writer takes a place's name off before it
    // writes there, and sets it last.
    Some(unsafe { &*set })
}

/// Puts a name to an address, and bounds the addresses of the name.
#[inline(always)]
pub(super) fn learn(name: &LearnedName) {
    if portreeve_learn(name) == NEW {
        portreeve_bound(&name.address, name.id);
    }
}

/// Does what the agent wants: it can't hold a set's lock.
#[inline(always)]
pub(crate) fn obey() {
    let Some(order) = maps::order() else { return };
    if order.what == Order::LEARN {
        learn(&order.name);
    } else if order.what == Order::FORGET {
        forget(&order.name.address, order.name.id);
    }
}

/// A global function, which the verifier proves once: puts a name to an address, under the lock of its set.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn portreeve_learn(name: *const LearnedName) -> u32 {
    let Some(name) = given(name) else { return 0 };
    let Some(set) = set_of(&name.address) else { return 0 };
    let lock = lock_of(set);
    // SAFETY: the lock lies in the same value that is written below; no helper is called before it is let go.
    unsafe { bpf_spin_lock(lock) };
    // SAFETY: a value of an array map, whose lock is held.
    let at = unsafe { &*set }.place(&name.address, name.id);
    let place = place(set, at);
    // SAFETY: a place in that value.
    let old = unsafe { &*place };
    let known = old.is(name);
    let pushed_out = !known && old.id != 0 && old.until >= name.since;
    let (since, until) = name.times_over(old);
    write(place, name, since, until);
    // SAFETY: taken above.
    unsafe { bpf_spin_unlock(lock) };
    if known {
        return 0;
    }
    if pushed_out {
        maps::happened(Happening::LearnedPushedOut);
    }
    NEW
}

/// What [`portreeve_learn`] says of a name that the address did not have.
const NEW: u32 = 1;

/// Takes a name off an address.
#[inline(always)]
fn forget(address: &Address, id: u64) {
    let Some(set) = set_of(address) else { return };
    let lock = lock_of(set);
    // SAFETY: the lock lies in the same value that is written below; no helper is called before it is let go.
    unsafe { bpf_spin_lock(lock) };
    // SAFETY: a value of an array map, whose lock is held.
    let at = unsafe { &*set }.place(address, id);
    let place = place(set, at);
    // SAFETY: a place in that value.
    let old = unsafe { &*place };
    if old.id == id && old.address == *address {
        name_it(place, 0);
    }
    // SAFETY: taken above.
    unsafe { bpf_spin_unlock(lock) };
}

/// As above: of a name's addresses the oldest gives way. CPUs that are here at once may keep one more or less.
///
/// Not called by `portreeve_learn`: there is no room for both on the stack.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn portreeve_bound(address: *const Address, id: u64) -> u32 {
    let Some(address) = given(address) else { return 0 };
    let Some(ring) = ring_of(id) else { return 0 };
    // SAFETY: a place inside the value that `ring` points to.
    let all = unsafe { &raw mut (*ring).all }.cast::<Address>();
    // One that comes again is the newest, and not the oldest too. Without a branch for each place: the verifier would follow
    // every one of them.
    let [high, low] = address.words();
    for at in 0..ADDRESSES_PER_NAME {
        // SAFETY: one of the ring's places.
        let place = unsafe { &mut *all.add(at) };
        let [other_high, other_low] = place.words();
        let differs = high ^ other_high | low ^ other_low;
        let kept = ((differs | differs.wrapping_neg()) >> 63).wrapping_neg();
        *place = Address::from_words([other_high & kept, other_low & kept]);
    }
    // SAFETY: a value of a map that is not freed while a program runs.
    let at = unsafe { (*ring).count } as usize & (ADDRESSES_PER_NAME - 1);
    // SAFETY: as above.
    unsafe { (*ring).count += 1 };
    // SAFETY: the mask keeps it below their number.
    let place = unsafe { all.add(at) };
    // SAFETY: as above.
    let oldest = unsafe { *place };
    // SAFETY: as above.
    unsafe { *place = *address };
    if oldest != Address::UNSPECIFIED {
        forget(&oldest, id);
    }
    0
}

#[inline(always)]
fn ring_of(id: u64) -> Option<*mut Addresses> {
    if let Some(ring) = maps::ADDRESSES.get_ptr_mut(id) {
        return Some(ring);
    }
    // Another CPU may have put it there meanwhile.
    let _known = maps::ADDRESSES.insert(id, maps::nothing()?, BPF_NOEXIST.into());
    maps::ADDRESSES.get_ptr_mut(id)
}

#[inline(always)]
fn set_of(address: &Address) -> Option<*mut LearnedSet> {
    maps::LEARNED.get_ptr_mut(learned_set(address, maps::secret()[1]))
}

#[inline(always)]
fn lock_of(set: *mut LearnedSet) -> *mut bindings::bpf_spin_lock {
    // SAFETY: a place inside the value that `set` points to.
    unsafe { &raw mut (*set).lock }.cast()
}

#[inline(always)]
fn place(set: *mut LearnedSet, at: usize) -> *mut LearnedName {
    // SAFETY: a place inside the value that `set` points to.
    let places = unsafe { &raw mut (*set).places }.cast::<LearnedName>();
    // SAFETY: the mask keeps it below their number.
    unsafe { places.add(at & (LEARNED_WAYS - 1)) }
}

/// The name goes first and comes last: a reader never takes one address's name for another's.
#[inline(always)]
fn write(place: *mut LearnedName, name: &LearnedName, since: u64, until: u64) {
    let ([high, low], [first, second]) = (name.address.words(), name.resolver.words());
    name_it(place, 0);
    // SAFETY: a place inside the value whose lock is held.
    let address = unsafe { &raw mut (*place).address }.cast::<u64>();
    put(address, high);
    put(address.wrapping_add(1), low);
    // SAFETY: as above.
    put(unsafe { &raw mut (*place).since }, since);
    // SAFETY: as above.
    put(unsafe { &raw mut (*place).until }, until);
    // SAFETY: as above.
    let resolver = unsafe { &raw mut (*place).resolver }.cast::<u64>();
    put(resolver, first);
    put(resolver.wrapping_add(1), second);
    name_it(place, name.id);
}

#[inline(always)]
fn put(to: *mut u64, word: u64) {
    // SAFETY: a word of a place whose lock is held. Volatile keeps the store between those of the name.
    unsafe { ptr::write_volatile(to, word) };
}

#[inline(always)]
fn name_it(place: *mut LearnedName, id: u64) {
    // SAFETY: a place inside the value whose lock is held. Volatile: readers look at it without the lock.
    unsafe { ptr::write_volatile(&raw mut (*place).id, id) };
}

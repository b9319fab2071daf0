//! Learning over the kernel's maps: names of the policy, questions, and the addresses that answers tell.

use core::{hint::black_box, ptr};

use aya_ebpf::{
    bindings::{self, BPF_NOEXIST},
    helpers::{bpf_spin_lock, bpf_spin_unlock},
    maps::lpm_trie::Key,
};
use portreeve_common::{
    Address, Direction, Packet, Sight,
    counter::Happening,
    dns::{self, Dns, Hint, Learning, Query, QueryKey, Walked},
    flow::FlowKey,
    names::{
        ADDRESSES_PER_NAME, Addresses, KEY_BYTES, LEARNED_WAYS, LearnedName, LearnedSet, NameId, NameKey,
        Order, learned_set,
    },
};

use crate::maps;

/// One generation at one time.
struct KernelNames {
    generation: u16,
    now: u64,
}

impl Learning for KernelNames {
    #[inline(always)]
    fn secret(&self) -> u64 {
        maps::secret()[0]
    }

    #[inline(always)]
    fn now(&self) -> u64 {
        self.now
    }

    #[inline(always)]
    fn generation(&self) -> u16 {
        self.generation
    }

    #[inline(always)]
    fn ticks_per_second(&self) -> u64 {
        maps::settings(self.generation).ticks_per_second()
    }

    #[inline(always)]
    fn wanted(&self, key: &NameKey) -> NameId {
        const { assert!(size_of::<Key<[u8; KEY_BYTES]>>() == size_of::<NameKey>()) };
        // SAFETY: both are the number of bits and then the bytes, and the map's key has no alignment.
        let key = unsafe { &*ptr::from_ref(key).cast::<Key<[u8; KEY_BYTES]>>() };
        maps::NAMES.get(key).map_or(NameId::NONE, |id| NameId::from_word(*id))
    }

    #[inline(always)]
    fn remember(&self, key: &QueryKey, query: Query, wanted: bool) {
        let (map, other) =
            if wanted { (&maps::QUERIES, &maps::OTHERS) } else { (&maps::OTHERS, &maps::QUERIES) };
        // A refusal leaves the answer without its question: it is counted as unasked.
        let _unremembered = map.insert(key, &query, 0);
        // The latest question with this number is the one that is waited for.
        let _none = other.remove(key);
    }

    #[inline(always)]
    fn outstanding(&self, key: &QueryKey) -> Option<Query> {
        // SAFETY: the value is copied at once; one that is replaced meanwhile is another question.
        let wanted = unsafe { maps::QUERIES.get(key) };
        // SAFETY: as above.
        wanted.or_else(|| unsafe { maps::OTHERS.get(key) }).copied()
    }

    #[inline(always)]
    fn forget(&self, key: &QueryKey) {
        // Another CPU may have forgotten it already.
        let _gone = maps::QUERIES.remove(key);
        // As above; it is in one of them.
        let _gone = maps::OTHERS.remove(key);
    }

    #[inline(always)]
    fn learn(&self, name: &LearnedName) {
        if portreeve_learn(name) == NEW {
            portreeve_bound(&name.address, name.id);
        }
    }

    #[inline(always)]
    fn hint(&self, address: &Address, hint: &Hint) {
        // A refusal leaves an address without the name that people may look for.
        let _untold = maps::HINTS.insert(address, hint, 0);
    }

    #[inline(always)]
    fn hand_over(&self, question: u64, hint: &Hint) {
        // After a refusal the outcome is counted all the same, and exact names are asked for in turn.
        let _unheard = maps::HANDED.insert(question, hint, 0);
    }

    #[inline(always)]
    fn step(&self, dns: &mut Dns) -> u32 {
        portreeve_step(dns)
    }

    #[inline(always)]
    fn read(&self, dns: &mut Dns, at: u32, keeps: u32) -> u32 {
        portreeve_read(dns, at, keeps)
    }

    #[inline(always)]
    fn turn(&self, dns: &mut Dns) {
        portreeve_turn(dns, self.generation.into());
    }

    #[inline(always)]
    fn begin(&self, dns: &mut Dns, flow: &FlowKey) -> u32 {
        portreeve_begin(dns, flow, self.generation.into(), self.now)
    }

    #[inline(always)]
    fn record(&self, dns: &mut Dns) -> u32 {
        portreeve_record(dns, self.generation.into(), self.now)
    }
}

/// The set of an address.
#[inline(always)]
pub(crate) fn learned(address: &Address) -> Option<&'static LearnedSet> {
    let set = set_of(address)?;
    // SAFETY: a value of an array map, which lives as long as the program. A writer takes a place's name off before it
    // writes there, and sets it last.
    Some(unsafe { &*set })
}

/// Does what the agent wants: it can't hold a set's lock.
#[inline(always)]
pub(crate) fn obey() {
    let Some(order) = maps::order() else { return };
    if order.what == Order::LEARN {
        if portreeve_learn(&order.name) == NEW {
            portreeve_bound(&order.name.address, order.name.id);
        }
    } else if order.what == Order::FORGET {
        forget(&order.name.address, order.name.id);
    }
}

/// Learns from the message that was [`load`]ed off a packet.
#[inline(always)]
pub(crate) fn follow(sight: &Sight, direction: Direction, generation: u16, now: u64) {
    if let Some(message) = maps::message() {
        let of = direction.index() << 16 | u32::from(generation);
        portreeve_follow(message, &sight.headers.key, of, now);
    }
}

/// Reads a message off a packet; 1 if there is one.
#[inline(always)]
pub(crate) fn load<P: Packet>(packet: &P, sight: &Sight) -> u32 {
    let Some(message) = maps::message() else { return 0 };
    dns::load(packet, &sight.headers, message).is_some().into()
}

/// A global function: the verifier proves it once. `of`: the direction in the upper half, the generation in the lower.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn portreeve_follow(dns: *mut Dns, flow: *const FlowKey, of: u32, now: u64) -> u32 {
    let Some(dns) = own(dns) else { return 0 };
    if flow.is_null() {
        return 0;
    }
    // SAFETY: the verifier lets only memory of this size or null through.
    let flow = unsafe { &*flow };
    let direction = if of >> 16 == 0 { Direction::Ingress } else { Direction::Egress };
    let names = KernelNames { generation: of as u16, now };
    maps::answered(dns::follow(dns, flow, direction, &names));
    0
}

/// As above: one step over a name.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn portreeve_step(dns: *mut Dns) -> u32 {
    if dns.is_null() {
        return Walked::Broken as u32;
    }
    // SAFETY: the verifier lets only memory of this size or null through; this CPU's own value.
    dns::step(unsafe { &mut *dns })
}

/// As above: a name.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn portreeve_read(dns: *mut Dns, at: u32, keeps: u32) -> u32 {
    if dns.is_null() {
        return 0;
    }
    // SAFETY: the verifier lets only memory of this size or null through; this CPU's own value.
    dns::read(unsafe { &mut *dns }, at, keeps, &KernelNames { generation: 0, now: 0 })
}

/// As above: the key of a name.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn portreeve_turn(dns: *mut Dns, generation: u32) -> u32 {
    let Some(dns) = own(dns) else { return 0 };
    dns::turn(dns, &KernelNames { generation: generation as u16, now: 0 });
    0
}

/// As above: an answer before its records.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn portreeve_begin(dns: *mut Dns, flow: *const FlowKey, generation: u32, now: u64) -> u32 {
    let Some(dns) = own(dns) else { return 0 };
    if flow.is_null() {
        return 0;
    }
    let names = KernelNames { generation: generation as u16, now };
    // SAFETY: the verifier lets only memory of this size or null through.
    dns::begin(dns, unsafe { &*flow }, &names)
}

/// As above: one record.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn portreeve_record(dns: *mut Dns, generation: u32, now: u64) -> u32 {
    let Some(dns) = own(dns) else { return Walked::Broken as u32 };
    let names = KernelNames { generation: generation as u16, now };
    dns::record(dns, &names)
}

/// This CPU's message, which is what `dns` points to, as a map's value: Linux 6.1 takes keys from no other memory that a
/// function was handed.
#[inline(always)]
fn own(dns: *mut Dns) -> Option<&'static mut Dns> {
    // The compiler has to think that the caller's pointer is used, or what it knows of the message would hold beyond the
    // call.
    black_box(dns);
    maps::message()
}

/// As above: puts a name to an address, under the lock of its set.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn portreeve_learn(name: *const LearnedName) -> u32 {
    if name.is_null() {
        return 0;
    }
    // SAFETY: the verifier lets only memory of this size or null through.
    let name = unsafe { &*name };
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
    if address.is_null() {
        return 0;
    }
    // SAFETY: the verifier lets only memory of this size or null through.
    let address = unsafe { &*address };
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

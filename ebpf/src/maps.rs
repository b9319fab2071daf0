//! The maps, and the constants that user space sets before a program is loaded.
//!
//! Large tables lie in pages of a few KiB, so that user space moves them in few calls. Policy is there twice: the
//! lowest bit of a generation says which half it has.

mod direct;

use core::ptr;

use aya_ebpf::{
    Global,
    btf_maps::Array as BtfArray,
    macros::{btf_map, map},
    maps::{Array, LpmTrie, LruHashMap, PerCpuArray},
};
use portreeve_common::{
    Address, Service, Sight,
    class::{Documented, MAX_CLASSES, MAX_RULES, MAX_SHARED, PEER_BUCKETS, PeerBucket, Peering},
    clause::{ANY_INTERFACE, Clause, Interfaces, MAX_CLAUSES},
    counter::{
        FlowCounter, Happening, MAX_INTERFACES, PORT_PAGES, PortPage, REASON_SLOTS, TALKER_SETS, TalkerSet,
        Tally,
    },
    decide::Control,
    dns::{Dns, Hint, Outcome, Query, QueryKey},
    flow::FlowKey,
    names::{Addresses, KEY_BYTES, LEARNED_SETS, LearnedSet, MAX_NAMES, Order},
    page::{self, HALVES, half},
    settings::{Limits, MAX_ETHERTYPES, Settings},
    table::{EMBRYONIC_SETS, ESTABLISHED_SETS, FlowSet},
    tables::{FragmentKey, FragmentState},
    trace::Trace,
};

use self::direct::Direct;

const CLASS_PAGES: u32 = Service::SLOTS / page::WORDS;
const PEERING_PAGES: u32 = MAX_CLASSES / page::PEERINGS;
const PEER_PAGES: u32 = PEER_BUCKETS / page::BUCKETS;
const SHARED_PAGES: u32 = MAX_SHARED / page::WORDS;
const CLAUSE_PAGES: u32 = MAX_CLAUSES / page::CLAUSES;
/// Pairs of hosts whose control flows are kept in mind.
const CONTROLLED: u32 = 1_024;
/// Datagrams in fragments that are followed at once.
const FRAGMENTED: u32 = 4_096;
/// Names and wildcards of both halves.
const NAMED: u32 = HALVES * MAX_NAMES;
/// Questions to resolvers that wait for their answer: for names of the policy, and as many for others.
const ASKED: u32 = 4_096;
/// Names whose addresses are bounded.
const BOUNDED: u32 = MAX_NAMES;
/// Addresses of which the name that was asked for is told.
const TOLD: u32 = 2_048;
/// Names that wait for the agent to ask.
const WAITING: u32 = 256;

const _: () = assert!(Service::SLOTS % page::WORDS == 0);

/// All zeros, as a section of this kind must be.
const NO_SETTINGS: Settings = Settings::new(Limits::new(0, 0, 0, 0, 0), 0, 0, 0, [0; MAX_ETHERTYPES]);
/// The longest piece of a frame that is read at once.
pub(crate) const SCRATCH_BYTES: usize = 32;

/// The word that says which generation is in force: the map `.bss.switch`.
#[unsafe(link_section = ".bss.switch")]
#[unsafe(no_mangle)]
static SWITCH: Direct<u64> = Direct::new(0);
/// The settings of both halves: the map `.bss.settings`.
#[unsafe(link_section = ".bss.settings")]
#[unsafe(no_mangle)]
static SETTINGS: Direct<[Settings; HALVES as usize]> = Direct::new([NO_SETTINGS; HALVES as usize]);
/// Which ports are documented, of both halves: the map `.bss.documented`.
#[unsafe(link_section = ".bss.documented")]
#[unsafe(no_mangle)]
static DOCUMENTED: Direct<[[u8; Documented::BYTES]; HALVES as usize]> =
    Direct::new([[0; Documented::BYTES]; HALVES as usize]);
#[map]
static CLASSES: Array<[u16; page::WORDS as usize]> = Array::with_max_entries(HALVES * CLASS_PAGES, 0);
#[map]
static PEERINGS: Array<[Peering; page::PEERINGS as usize]> =
    Array::with_max_entries(HALVES * PEERING_PAGES, 0);
#[map]
static PEERS: Array<[PeerBucket; page::BUCKETS as usize]> = Array::with_max_entries(HALVES * PEER_PAGES, 0);
#[map]
static SHARED: Array<[u16; page::WORDS as usize]> = Array::with_max_entries(HALVES * SHARED_PAGES, 0);
#[map]
static CLAUSES: Array<[Clause; page::CLAUSES as usize]> = Array::with_max_entries(HALVES * CLAUSE_PAGES, 0);

#[btf_map]
pub(crate) static ESTABLISHED: BtfArray<FlowSet, { ESTABLISHED_SETS as usize }> = BtfArray::new();
#[btf_map]
pub(crate) static EMBRYONIC: BtfArray<FlowSet, { EMBRYONIC_SETS as usize }> = BtfArray::new();
#[map]
pub(crate) static FRAGMENTS: LruHashMap<FragmentKey, FragmentState> =
    LruHashMap::with_max_entries(FRAGMENTED, 0);
#[map]
pub(crate) static CONTROLS: LruHashMap<FlowKey, Control> = LruHashMap::with_max_entries(CONTROLLED, 0);

/// Patterns of both halves, back to front: the longest one that a name begins with is its own.
#[map]
pub(crate) static NAMES: LpmTrie<[u8; KEY_BYTES], u64> = LpmTrie::with_max_entries(NAMED, 0);
#[map]
pub(crate) static QUERIES: LruHashMap<QueryKey, Query> = LruHashMap::with_max_entries(ASKED, 0);
#[map]
pub(crate) static OTHERS: LruHashMap<QueryKey, Query> = LruHashMap::with_max_entries(ASKED, 0);
#[btf_map]
pub(crate) static LEARNED: BtfArray<LearnedSet, { LEARNED_SETS as usize }> = BtfArray::new();
#[map]
pub(crate) static ADDRESSES: LruHashMap<u64, Addresses> = LruHashMap::with_max_entries(BOUNDED, 0);
#[map]
pub(crate) static HINTS: LruHashMap<Address, Hint> = LruHashMap::with_max_entries(TOLD, 0);
/// By the name's hash.
#[map]
pub(crate) static HANDED: LruHashMap<u64, Hint> = LruHashMap::with_max_entries(WAITING, 0);

#[map]
pub(crate) static FLOWS: PerCpuArray<FlowCounter> = PerCpuArray::with_max_entries(MAX_RULES, 0);
#[map]
pub(crate) static PORTS: PerCpuArray<PortPage> = PerCpuArray::with_max_entries(PORT_PAGES, 0);
#[map]
pub(crate) static REASONS: PerCpuArray<Tally> =
    PerCpuArray::with_max_entries(MAX_INTERFACES * REASON_SLOTS, 0);
#[map]
pub(crate) static TALKERS: PerCpuArray<TalkerSet> = PerCpuArray::with_max_entries(TALKER_SETS, 0);
#[map]
static HAPPENINGS: PerCpuArray<u64> = PerCpuArray::with_max_entries(Happening::COUNT, 0);
#[map]
static ANSWERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(Outcome::COUNT, 0);
#[map]
static MESSAGES: PerCpuArray<Dns> = PerCpuArray::with_max_entries(1, 0);
/// What the agent wants done; see [`Order`].
#[map]
static ORDER: Array<Order> = Array::with_max_entries(1, 0);
/// Zeros, for values that are too large for the stack.
#[map]
static NOTHING: Array<Addresses> = Array::with_max_entries(1, 0);
#[map]
static SCRATCH: PerCpuArray<[u8; SCRATCH_BYTES]> = PerCpuArray::with_max_entries(1, 0);
#[map]
static SIGHTS: PerCpuArray<Sight> = PerCpuArray::with_max_entries(1, 0);
#[map]
static CLOCK: Array<[u64; 2]> = Array::with_max_entries(1, 0);
#[map]
static TRACE: Array<Trace> = Array::with_max_entries(1, 0);

/// The interface's place in the reasons' counters.
#[unsafe(no_mangle)]
static INTERFACE: Global<u32> = Global::new(0);
/// The same as a set, and every interface where a packet's is not known.
#[unsafe(no_mangle)]
static INTERFACES: Global<Interfaces> = Global::new(ANY_INTERFACE);
/// Secret words of the state tables' hash.
#[unsafe(no_mangle)]
static SECRET: Global<[u64; 2]> = Global::new([0; 2]);
/// Sets of the established table, a power of two.
#[unsafe(no_mangle)]
static SETS_ESTABLISHED: Global<u32> = Global::new(ESTABLISHED_SETS);
/// Sets of the embryonic table, a power of two.
#[unsafe(no_mangle)]
static SETS_EMBRYONIC: Global<u32> = Global::new(EMBRYONIC_SETS);

/// The word that says which generation is in force.
#[inline(always)]
pub(crate) fn switch() -> u64 {
    // SAFETY: the map's only value. Volatile: user space stores there at any time.
    unsafe { ptr::read_volatile(SWITCH.get()) }
}

/// Whether a port has its bit.
#[inline(always)]
pub(crate) fn documents(generation: u16, place: Documented) -> bool {
    let bytes = DOCUMENTED.get().cast::<u8>();
    // SAFETY: there are as many halves. One step after the other: the sum of both numbers becomes an `or`, whose bounds
    // Linux 6.1 does not follow.
    let half = unsafe { bytes.add(half(generation) as usize * Documented::BYTES) };
    // SAFETY: as many bytes are in each as places.
    let byte = unsafe { half.add(place.byte as usize) };
    // SAFETY: as above; the map outlives the program, and only the half that is not in force changes.
    unsafe { *byte >> place.bit & 1 != 0 }
}

/// A generation's settings.
#[inline(always)]
pub(crate) fn settings(generation: u16) -> &'static Settings {
    let settings = SETTINGS.get().cast::<Settings>();
    // SAFETY: there are as many as halves.
    let half = unsafe { settings.add(half(generation) as usize) };
    // SAFETY: the map outlives the program. Of the half in force user space changes the adoption window alone, which is
    // one word.
    unsafe { &*half }
}

/// The class word of a slot.
#[inline(always)]
pub(crate) fn class(generation: u16, slot: u32) -> u16 {
    word(CLASSES.get_ptr(half(generation) * CLASS_PAGES + slot / page::WORDS), slot).unwrap_or(0)
}

/// An entry of the list of shared rules.
#[inline(always)]
pub(crate) fn shared(generation: u16, index: u32) -> Option<u16> {
    let page = (index / page::WORDS) & (SHARED_PAGES - 1);
    word(SHARED.get_ptr(half(generation) * SHARED_PAGES + page), index)
}

/// A numbered class.
#[inline(always)]
pub(crate) fn peering(generation: u16, number: u16) -> Option<&'static Peering> {
    let number = u32::from(number);
    let page = (number / page::PEERINGS) & (PEERING_PAGES - 1);
    let page = PEERINGS.get_ptr(half(generation) * PEERING_PAGES + page)?.cast::<Peering>();
    // SAFETY: the index is below the page's length, and a value of an array map lives as long as the program.
    let place = unsafe { page.add((number % page::PEERINGS) as usize) };
    // SAFETY: as above; only the half that is not in force is written.
    Some(unsafe { &*place })
}

/// A clause; the index wraps.
#[inline(always)]
pub(crate) fn clause(generation: u16, index: u32) -> Option<&'static Clause> {
    let page = (index / page::CLAUSES) & (CLAUSE_PAGES - 1);
    let page = CLAUSES.get_ptr(half(generation) * CLAUSE_PAGES + page)?.cast::<Clause>();
    // SAFETY: the index is below the page's length, and a value of an array map lives as long as the program.
    let place = unsafe { page.add((index % page::CLAUSES) as usize) };
    // SAFETY: as above; only the half that is not in force is written.
    Some(unsafe { &*place })
}

/// A bucket of the peer table; the index wraps.
#[inline(always)]
pub(crate) fn peers(generation: u16, bucket: u32) -> Option<&'static PeerBucket> {
    let page = (bucket / page::BUCKETS) & (PEER_PAGES - 1);
    let page = PEERS.get_ptr(half(generation) * PEER_PAGES + page)?.cast::<PeerBucket>();
    // SAFETY: the index is below the page's length, and a value of an array map lives as long as the program.
    let place = unsafe { page.add((bucket % page::BUCKETS) as usize) };
    // SAFETY: as above; only the half that is not in force is written.
    Some(unsafe { &*place })
}

/// What a program that is not attached was asked.
#[inline(always)]
pub(crate) fn trace(asked: bool) -> Option<&'static mut Trace> {
    if !asked {
        return None;
    }
    let trace = TRACE.get_ptr_mut(0)?;
    // SAFETY: the map's only value; a program that is asked runs one packet at a time.
    Some(unsafe { &mut *trace })
}

/// The interface's place in the reasons' counters.
#[inline(always)]
pub(crate) fn interface() -> u32 {
    INTERFACE.load()
}

/// The interface as a set of one, or every one.
#[inline(always)]
pub(crate) fn interfaces() -> Interfaces {
    INTERFACES.load()
}

/// Secret words of the state tables' hash.
#[inline(always)]
pub(crate) fn secret() -> [u64; 2] {
    SECRET.load()
}

/// Sets of the established table.
#[inline(always)]
pub(crate) fn sets_established() -> u32 {
    SETS_ESTABLISHED.load()
}

/// Sets of the embryonic table.
#[inline(always)]
pub(crate) fn sets_embryonic() -> u32 {
    SETS_EMBRYONIC.load()
}

/// Where this CPU keeps what it sees of a packet: on the stack it would have to be cleared for each one.
///
/// The hooks run with bottom halves disabled, so no other packet's program runs on this CPU meanwhile.
#[inline(always)]
pub(crate) fn sight() -> Option<&'static mut Sight> {
    let sight = SIGHTS.get_ptr_mut(0)?;
    // SAFETY: this CPU's own value, which no one else holds meanwhile; every bit pattern that it gets is one of its own.
    Some(unsafe { &mut *sight })
}

/// Where this CPU reads a resolver's message; see [`sight`].
#[inline(always)]
pub(crate) fn message() -> Option<&'static mut Dns> {
    let message = MESSAGES.get_ptr_mut(0)?;
    // SAFETY: this CPU's own value, which no one else holds meanwhile; it is of integers.
    Some(unsafe { &mut *message })
}

/// What the agent wants done.
#[inline(always)]
pub(crate) fn order() -> Option<&'static Order> {
    let order = ORDER.get_ptr(0)?;
    // SAFETY: the map's only value; the agent writes it before it runs the program, and not meanwhile.
    Some(unsafe { &*order })
}

/// No addresses yet.
#[inline(always)]
pub(crate) fn nothing() -> Option<&'static Addresses> {
    let nothing = NOTHING.get_ptr(0)?;
    // SAFETY: nobody writes it.
    Some(unsafe { &*nothing })
}

/// Counts what a resolver's message came to.
#[inline(always)]
pub(crate) fn answered(outcome: Outcome) {
    if let Some(count) = ANSWERS.get_ptr_mut(outcome as u32) {
        // SAFETY: this CPU's own value, and no other program runs on it meanwhile.
        unsafe { *count += 1 };
    }
}

/// Leaves the time for user space.
#[inline(always)]
pub(crate) fn tell_time(ticks: u64, nanoseconds: u64) {
    // An array takes every index that it has.
    let _told = CLOCK.set(0, [ticks, nanoseconds], 0);
}

/// Where helpers put pieces of a frame.
#[inline(always)]
pub(crate) fn scratch() -> Option<*mut u8> {
    SCRATCH.get_ptr_mut(0).map(<*mut [u8; SCRATCH_BYTES]>::cast)
}

/// Counts one of the things that happen to the tables.
#[inline(always)]
pub(crate) fn happened(what: Happening) {
    if let Some(count) = HAPPENINGS.get_ptr_mut(what as u32) {
        // SAFETY: this CPU's own value, and no other program runs on it meanwhile.
        unsafe { *count += 1 };
    }
}

#[inline(always)]
fn word(page: Option<*const [u16; page::WORDS as usize]>, index: u32) -> Option<u16> {
    let page = page?.cast::<u16>();
    // SAFETY: the index is below the page's length.
    let place = unsafe { page.add((index % page::WORDS) as usize) };
    // SAFETY: as above; a value of an array map lives as long as the program.
    Some(unsafe { *place })
}

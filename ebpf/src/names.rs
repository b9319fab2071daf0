//! Learning over the kernel's maps: names of the policy, questions, and the addresses that answers tell.

mod learned;

use core::{hint::black_box, ptr};

use aya_ebpf::maps::lpm_trie::Key;
use portreeve_common::{
    Address, Direction, Packet, Sight,
    dns::{self, Dns, Hint, Learning, Query, QueryKey, Walked},
    flow::FlowKey,
    names::{KEY_BYTES, LearnedName, NameId, NameKey},
};

pub(crate) use self::learned::{learned, obey};
use crate::{
    argument::{direction, given, given_mut},
    maps,
};

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
        learned::learn(name);
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

/// Learns from the message that was [`load`]ed off a packet. Where the next one stands, or 0.
#[inline(always)]
pub(crate) fn follow(sight: &Sight, direction: Direction, generation: u16, now: u64) -> u32 {
    let Some(message) = maps::message() else { return 0 };
    let next = message.next(direction);
    let of = direction.index() << 16 | u32::from(generation);
    portreeve_follow(message, &sight.headers.key, of, now);
    next
}

/// Reads a message off a packet; 1 if there is one.
#[inline(always)]
pub(crate) fn load<P: Packet>(packet: &P, sight: &Sight, from: u32) -> u32 {
    let Some(message) = maps::message() else { return 0 };
    dns::load(packet, &sight.headers, message, from).is_some().into()
}

/// A global function: the verifier proves it once. `of`: the direction in the upper half, the generation in the lower.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn portreeve_follow(dns: *mut Dns, flow: *const FlowKey, of: u32, now: u64) -> u32 {
    let Some(dns) = own(dns) else { return 0 };
    let Some(flow) = given(flow) else { return 0 };
    let names = KernelNames { generation: of as u16, now };
    maps::answered(dns::follow(dns, flow, direction(of >> 16), &names));
    0
}

/// As above: one step over a name.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn portreeve_step(dns: *mut Dns) -> u32 {
    given_mut(dns).map_or(Walked::Broken as u32, dns::step)
}

/// As above: a name.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn portreeve_read(dns: *mut Dns, at: u32, keeps: u32) -> u32 {
    let Some(dns) = given_mut(dns) else { return 0 };
    dns::read(dns, at, keeps, &KernelNames { generation: 0, now: 0 })
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
    let (Some(dns), Some(flow)) = (own(dns), given(flow)) else { return 0 };
    dns::begin(dns, flow, &KernelNames { generation: generation as u16, now })
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

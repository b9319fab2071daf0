//! Where a flow's entry lies: in one of two sets of its table.

use aya_ebpf::bindings;
use portreeve_common::{
    flow::FlowKey,
    table::{FlowEntry, FlowSet, Place, WAYS},
};

use crate::maps;

/// One of the tables.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// Flows whose other end has answered: nothing pushes them out.
    Established,
    /// Flows that wait for it: the oldest of a set gives way.
    Embryonic,
}

/// A flow's entry in a map.
pub(crate) type Slot = *mut FlowEntry;

#[inline(always)]
pub(super) fn place(which: Which, key: &FlowKey) -> Place {
    let sets = match which {
        Which::Established => maps::sets_established(),
        Which::Embryonic => maps::sets_embryonic(),
    };
    Place::of(key, &maps::secret(), sets)
}

#[inline(always)]
pub(super) fn set(which: Which, number: u32) -> Option<*mut FlowSet> {
    match which {
        Which::Established => maps::ESTABLISHED.get_ptr_mut(number),
        Which::Embryonic => maps::EMBRYONIC.get_ptr_mut(number),
    }
}

#[inline(always)]
pub(super) fn lock_of(set: *mut FlowSet) -> *mut bindings::bpf_spin_lock {
    // SAFETY: a place inside the value that `set` points to.
    unsafe { &raw mut (*set).lock }.cast()
}

#[inline(always)]
pub(super) fn entry(set: *mut FlowSet, at: usize) -> Slot {
    // SAFETY: a place inside the value that `set` points to.
    let entries = unsafe { &raw mut (*set).entries }.cast::<FlowEntry>();
    // SAFETY: the mask keeps it below the number of entries.
    unsafe { entries.add(at & (WAYS - 1)) }
}

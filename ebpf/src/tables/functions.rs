//! Global functions: the verifier proves each once, whatever the packet looked like, and not once for each way through the
//! parser. They take plain words and memory only.

use portreeve_common::{
    Address, Decision, Reason, Sight, Tables as _, class, decide, flow::FlowKey, names::NameId,
    switch::Posture,
};

use super::{KernelTables, LIVES, Time};
use crate::argument::{self, direction, given};

/// Decides of what was seen of a frame.
#[inline(never)]
#[unsafe(no_mangle)]
pub(super) extern "C" fn portreeve_judge(sight: *const Sight, direction: u32, posture: u32, now: u64) -> u32 {
    let tables = KernelTables::at(posture, now);
    let Some(sight) = given(sight) else { return INTERNAL.word() };
    decide::judge(sight, argument::direction(direction), &tables).word()
}

#[inline(never)]
#[unsafe(no_mangle)]
pub(super) extern "C" fn portreeve_leases(
    sight: *const Sight,
    direction: u32,
    generation: u32,
    now: u64,
) -> u32 {
    let tables = KernelTables::at(generation, now);
    let Some(sight) = given(sight) else { return 0 };
    decide::leases(sight, argument::direction(direction), &tables).into()
}

const INTERNAL: Decision = Decision::plain(Reason::Internal);

#[inline(never)]
#[unsafe(no_mangle)]
pub(super) extern "C" fn portreeve_among(generation: u32, number: u32, remote: *const Address) -> u32 {
    let Some((tables, remote)) = of(generation, remote) else { return INTERNAL.word() };
    decide::among(number as u16, &remote, &tables).word()
}

/// `of`: the generation in the lower half, and how the time is handed on in the upper.
#[inline(never)]
#[unsafe(no_mangle)]
pub(super) extern "C" fn portreeve_named(of: u32, number: u32, remote: *const Address, now: u64) -> u32 {
    let tables = KernelTables::new(Posture::of(of as u16), Time::from_words(of >> 16, now));
    let Some(remote) = given(remote) else { return INTERNAL.word() };
    decide::named(number as u16, remote, of >> 16 & LIVES != 0, &tables).word()
}

/// One more than the position in the set, or 0.
#[inline(never)]
#[unsafe(no_mangle)]
pub(super) extern "C" fn portreeve_pattern(generation: u32, set: u32, name: u64) -> u32 {
    let tables = KernelTables::at(generation, 0);
    class::pattern(set as u16, NameId::from_word(name), &tables).map_or(0, |member| u32::from(member) + 1)
}

#[inline(never)]
#[unsafe(no_mangle)]
pub(super) extern "C" fn portreeve_protects(generation: u32, address: *const Address) -> u32 {
    let Some((tables, address)) = of(generation, address) else { return 0 };
    decide::protects(&address, &tables).into()
}

/// `of`: the generation in the upper half, the first clause in the lower; `how`: who begins, and [`LIVES`].
#[inline(never)]
#[unsafe(no_mangle)]
pub(super) extern "C" fn portreeve_particular(of: u32, how: u32, key: *const FlowKey, now: u64) -> u32 {
    let Some(key) = given(key) else { return INTERNAL.word() };
    let (began, lives) = (direction(how & !LIVES), how & LIVES != 0);
    decide::particular(of as u16, key, began, lives, &KernelTables::at(of >> 16, now)).word()
}

/// `of`: the generation in the upper half, the control port in the lower.
#[inline(never)]
#[unsafe(no_mangle)]
pub(super) extern "C" fn portreeve_controlled(of: u32, began: u32, key: *const FlowKey, now: u64) -> u32 {
    let Some(key) = given(key) else { return 0 };
    let tables = KernelTables::at(of >> 16, now);
    decide::is_controlled(of as u16, key, direction(began), &tables).into()
}

#[inline(never)]
#[unsafe(no_mangle)]
pub(super) extern "C" fn portreeve_note(generation: u32, began: u32, key: *const FlowKey, now: u64) -> u32 {
    let Some(key) = given(key) else { return 0 };
    decide::note(key, direction(began), &KernelTables::at(generation, now));
    0
}

/// 0, or one more than the direction's number.
#[inline(never)]
#[unsafe(no_mangle)]
pub(super) extern "C" fn portreeve_open(generation: u32, key: *const FlowKey, now: u64) -> u32 {
    let Some(key) = given(key) else { return 0 };
    let live = KernelTables::at(generation, now).established(key, now);
    match live {
        Some(live) if !live.state.is_closing() => live.state.began().index() + 1,
        Some(_) | None => 0,
    }
}

/// The tables of a generation, and the address that a caller's pointer has.
#[inline(always)]
fn of(generation: u32, address: *const Address) -> Option<(KernelTables, Address)> {
    let tables = KernelTables::at(generation, 0);
    given(address).map(|address| (tables, *address))
}

//! Later fragments follow their first one, and may not reach back into it.

use super::Decision;
use crate::{
    Direction, Reason, Tables,
    parse::Headers,
    tables::{FragmentKey, FragmentState},
};

#[inline(always)]
fn key(headers: &Headers, direction: Direction) -> FragmentKey {
    FragmentKey {
        source: headers.source(direction),
        destination: headers.destination(direction),
        id: headers.fragment_id,
        protocol: if headers.is_v4() { headers.protocol.into() } else { 0 },
    }
}

/// A first fragment that passes lets its followers pass.
#[inline(always)]
pub(super) fn first<T: Tables>(headers: &Headers, direction: Direction, decision: Decision, tables: &T) {
    let state = FragmentState {
        seen: tables.now(),
        end: u32::from(headers.fragment_at) + headers.end - headers.offset,
        rule: decision.rule().unwrap_or(FragmentState::NO_RULE),
        generation: tables.generation(),
    };
    tables.remember(&key(headers, direction), state);
}

#[inline(always)]
pub(super) fn later<T: Tables>(headers: &Headers, direction: Direction, tables: &T) -> Decision {
    let Some(first) = tables.fragment(&key(headers, direction)) else { return Reason::Fragment.into() };
    // Linux gives a datagram 30 s to become whole (`IP_FRAG_TIME`); the embryonic limit is the same.
    let stale = tables.now().saturating_sub(first.seen) > tables.settings().limits().embryonic();
    let overlaps = u32::from(headers.fragment_at) < first.end;
    if stale || overlaps || first.generation != tables.generation() {
        return Reason::Fragment.into();
    }
    match first.rule {
        FragmentState::NO_RULE => Reason::Related.into(),
        rule => Decision::under(Reason::Related, rule),
    }
}

//! Later fragments follow their first one, and may not reach back into it.

use super::Decision;
use crate::{
    Reason, Tables,
    parse::Headers,
    tables::{FragmentKey, FragmentState},
};

#[inline(always)]
fn key(headers: &Headers, id: u32) -> FragmentKey {
    let protocol = if headers.source.is_v4() { headers.protocol.into() } else { 0 };
    FragmentKey { source: headers.source, destination: headers.destination, id, protocol }
}

/// A first fragment that passes lets its followers pass.
#[inline(always)]
pub(super) fn first<T: Tables>(headers: &Headers, id: u32, decision: Decision, tables: &T) {
    if !decision.reason.passes() {
        return;
    }
    let state = FragmentState {
        seen: tables.now(),
        end: (headers.end - headers.offset) as u32,
        rule: decision.rule.unwrap_or(FragmentState::NO_RULE),
        generation: tables.generation(),
    };
    tables.remember(&key(headers, id), state);
}

/// `at`: offset of its payload in the datagram's, bytes.
#[inline(always)]
pub(super) fn later<T: Tables>(headers: &Headers, id: u32, at: u16, tables: &T) -> Decision {
    let Some(first) = tables.fragment(&key(headers, id)) else { return Decision::plain(Reason::Fragment) };
    // Linux gives a datagram 30 s to become whole (`IP_FRAG_TIME`); the embryonic limit is the same.
    let stale = tables.now().saturating_sub(first.seen) > tables.settings().limits().embryonic();
    let overlaps = u32::from(at) < first.end;
    if stale || overlaps || first.generation != tables.generation() {
        return Decision::plain(Reason::Fragment);
    }
    match first.rule {
        FragmentState::NO_RULE => Decision::plain(Reason::Related),
        rule => Decision::under(Reason::Related, rule),
    }
}

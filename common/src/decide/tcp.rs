//! TCP: a flow begins with a SYN that policy allows, and lives when the handshake is complete.

use super::{
    Decision, policy,
    state::{Again, valid_for},
};
use crate::{
    Direction, Reason, Tables,
    flow::{FlowKey, FlowState},
    parse::{Headers, flags},
    sight::Sight,
    tables::Live,
};

/// How far an initiator's first acknowledgement may be ahead of the SYN-ACK, where data was sent early (RFC 7413).
const EARLY_DATA: u32 = 1 << 16;

/// A SYN that policy allows, on a flow that is there.
#[inline(always)]
pub(super) fn begins_again<Slot>(live: &Live<Slot>, direction: Direction) -> Result<Again, Decision> {
    // A reset alone does not do: whoever forges one that its receiver ignores could then begin again, which would end
    // the connection. After a true one, the SYN goes on under the old entry.
    if live.established && live.state.is_finished() {
        return Ok(Again::Begins);
    }
    if live.state.began() != direction {
        // The callee has no reason to call.
        return Err(Reason::NoState.into());
    }
    // The receiver of a SYN on a live connection answers with a challenge (RFC 5961, section 4); the connection goes
    // on. One that still waits for its answer is asked again.
    Ok(if live.established { Again::GoesOn } else { Again::Begins })
}

/// Anything but a SYN, on a flow that is there.
#[inline(always)]
pub(super) fn continues<T: Tables>(
    headers: &Headers,
    live: &Live<T::Slot>,
    key: &FlowKey,
    direction: Direction,
    tables: &T,
) -> Result<(), Decision> {
    let state = live.state;
    if live.established {
        tables.refresh(live, key, advance(state, headers, direction).at(tables.now()));
        Ok(())
    } else if let Some(met_by) = state.met_by() {
        met(headers, state, key, [met_by, direction], tables)
    } else if state.began() == direction {
        initiator(headers, state, key, direction, tables)
    } else {
        responder(headers, state, key, tables)
    }
}

/// The callee before the handshake is complete: a SYN-ACK, or a refusal.
#[inline(always)]
fn responder<T: Tables>(
    headers: &Headers,
    state: FlowState,
    key: &FlowKey,
    tables: &T,
) -> Result<(), Decision> {
    if headers.has(flags::SYN) {
        let (caller, expected) = (state.began(), headers.sequence.wrapping_add(1));
        let state = match caller {
            // What the host accepts next tells a credible reset of the caller's, before it says anything else.
            Direction::Ingress => state.acknowledging(Direction::Egress, headers.acknowledgement),
            Direction::Egress => state,
        };
        let state = state.early(headers.data).answered().acknowledging(caller, expected);
        tables.begin(key, state.at(tables.now()));
        return Ok(());
    }
    if headers.has(flags::RST) {
        return Ok(());
    }
    if !state.is_answered() {
        return Err(Reason::NoState.into());
    }
    if headers.data && !state.is_early() {
        tables.begin(key, state.early(true));
    }
    Ok(())
}

/// The caller: only the acknowledgement of the very SYN-ACK completes the handshake, so a forged source can't; and of the
/// data behind it, if there was any.
#[inline(always)]
fn initiator<T: Tables>(
    headers: &Headers,
    state: FlowState,
    key: &FlowKey,
    direction: Direction,
    tables: &T,
) -> Result<(), Decision> {
    if headers.has(flags::RST) {
        return Ok(());
    }
    let ahead = headers.acknowledgement.wrapping_sub(state.acknowledged(direction));
    let furthest = if state.is_early() { EARLY_DATA } else { 0 };
    if !state.is_answered() || headers.has(flags::SYN) || ahead > furthest {
        return Err(Reason::NoState.into());
    }
    tables.establish(key, advance(state, headers, direction).at(tables.now()));
    Ok(())
}

/// A connection that was met in its middle: it lives when the other end goes on with it too. A forged packet gets a reset
/// for an answer, or none.
#[inline(always)]
fn met<T: Tables>(
    headers: &Headers,
    state: FlowState,
    key: &FlowKey,
    [met_by, direction]: [Direction; 2],
    tables: &T,
) -> Result<(), Decision> {
    if headers.has(flags::RST) {
        return Ok(());
    }
    if headers.has(flags::SYN) {
        return Err(Reason::NoState.into());
    }
    let state = advance(state, headers, direction);
    if met_by == direction {
        // It waits no longer for that.
        tables.begin(key, state);
    } else {
        tables.establish(key, state.answered().at(tables.now()));
    }
    Ok(())
}

#[inline(always)]
fn advance(state: FlowState, headers: &Headers, direction: Direction) -> FlowState {
    goes_on(state, headers.flags, || headers.sequence, headers.acknowledgement, direction)
}

/// Keeps what the host acknowledges, so that only a reset that its receiver would take counts as one: the host's own, and from
/// outside one that stands exactly where the host has acknowledged to (RFC 5961, section 3), or does so with its next packet.
/// Any other one its receiver ignores, or asks about; one that was true all the same leaves an entry that its idle limit ends.
#[inline(always)]
pub(crate) fn goes_on(
    state: FlowState,
    all: u8,
    sequence: impl FnOnce() -> u32,
    acknowledgement: u32,
    direction: Direction,
) -> FlowState {
    if all & flags::RST != 0 {
        return match direction {
            Direction::Egress => state.reset(true),
            Direction::Ingress => {
                let at = sequence();
                // 0: of a connection that was not seen to begin, what the host has acknowledged is not known yet.
                let credible = at != 0 && at == state.acknowledged(Direction::Egress);
                if credible {
                    state.reset(true).resetting(at)
                } else if state.is_reset() {
                    state
                } else {
                    state.resetting(at)
                }
            }
        };
    }
    // Every other packet of a connection acknowledges; who sends one has not reset it.
    let state = match direction {
        Direction::Egress => {
            let reset = acknowledgement != 0 && acknowledgement == state.resets_at();
            state.reset(reset).acknowledging(Direction::Egress, acknowledgement)
        }
        Direction::Ingress => state.reset(false).resetting(0),
    };
    if all & flags::FIN != 0 { state.finished(direction) } else { state }
}

/// In the window after the first enforcement, a connection that policy would have let begin is taken as it is. It waits
/// for its other end, as one that begins does.
#[inline(always)]
pub(super) fn adopt<T: Tables>(
    sight: &Sight,
    direction: Direction,
    tables: &T,
) -> Result<Decision, Decision> {
    let (headers, key) = (&sight.headers, sight.key());
    let opens = headers.has(flags::SYN | flags::RST);
    if opens || tables.now() >= tables.settings().adopt_until() {
        return Err(Reason::NoState.into());
    }
    let mut began = Direction::Ingress;
    let mut ruled = policy::look_up(key.service(began), sight, true, tables);
    if !ruled.passes() && ruled.question().is_none() {
        began = Direction::Egress;
        ruled = policy::look_up(key.service(began), sight, true, tables);
    }
    if ruled.question().is_some() {
        return Err(ruled);
    }
    if !ruled.passes() {
        return Err(Reason::NoState.into());
    }
    let (_, ruled) = ruled.settled();
    policy::ends(key, direction, ruled, tables)?;
    let generation = valid_for(ruled, key.service(began), tables);
    let state = FlowState::new(key.protocol(), began, ruled.id(), generation, tables.now()).met(direction);
    tables.begin(key, advance(state, headers, direction));
    Ok(ruled.because(Reason::Adopted))
}

//! TCP: a flow begins with a SYN that policy allows, and lives when the handshake is complete.

use super::{
    Decision, Ends,
    policy::{self, Refusal},
};
use crate::{
    Direction, Reason, Tables,
    flow::{FlowKey, FlowState},
    number::protocol,
    parse::{Tcp, flags},
};

/// How far ahead of the last acknowledgement a reset is still credible: the receive windows of Linux's defaults
/// stay below it. A reset elsewhere is ignored by its receiver (RFC 5961).
const RESET_WINDOW: u32 = 1 << 23;
/// How far an initiator's first acknowledgement may be ahead of the SYN-ACK: data sent early (RFC 7413).
const EARLY_DATA: u32 = 1 << 16;

#[inline(always)]
pub(super) fn judge<T: Tables>(tcp: &Tcp, ends: &Ends, tables: &T) -> Decision {
    let key = ends.key(tcp.source, tcp.destination, protocol::TCP);
    let judged = if tcp.begins() { begin(tcp, &key, ends, tables) } else { go_on(tcp, &key, ends, tables) };
    judged.unwrap_or_else(Decision::from)
}

/// A SYN: to a port that nothing documents it is dropped before the state tables are asked.
#[inline(always)]
fn begin<T: Tables>(tcp: &Tcp, key: &FlowKey, ends: &Ends, tables: &T) -> Result<Decision, Refusal> {
    let rule = policy::look_up(ends.service(protocol::TCP, tcp.destination), &ends.remote, tables)?;
    if let Some((_, state)) = tables.established(key) {
        if !state.is_closing() {
            // The receiver of a SYN on a live connection answers with a challenge (RFC 5961, section 4); the
            // connection goes on. The callee of a live connection has no reason to call.
            return if state.began() == ends.direction {
                Ok(Decision::under(Reason::Established, state.rule()))
            } else {
                Err(Reason::NoState.into())
            };
        }
        tables.end(key);
    } else if tables.embryonic(key).is_some_and(|state| state.began() != ends.direction) {
        return Err(Reason::NoState.into());
    }
    policy::ends(ends, tables)?;
    tables.begin(key, FlowState::new(ends.direction, rule, tables.generation(), tables.now()));
    Ok(Decision::under(Reason::Rule, rule))
}

/// Anything but a SYN needs its flow.
#[inline(always)]
fn go_on<T: Tables>(tcp: &Tcp, key: &FlowKey, ends: &Ends, tables: &T) -> Result<Decision, Refusal> {
    if let Some((slot, old)) = tables.established(key) {
        let state = super::datagram::judged_by_this_generation(key, old, tables)?;
        tables.refresh(slot, key, old, advance(state, tcp, ends.direction).at(tables.now()));
        return Ok(Decision::under(Reason::Established, state.rule()));
    }
    if let Some(state) = tables.embryonic(key) {
        let state = super::datagram::judged_by_this_generation(key, state, tables)?;
        return handshake(tcp, key, state, ends, tables);
    }
    adopt(tcp, key, ends, tables)
}

/// Keeps acknowledgements, so that only a reset that its receiver would take counts as one.
#[inline(always)]
const fn advance(state: FlowState, tcp: &Tcp, direction: Direction) -> FlowState {
    if tcp.flags & flags::RST != 0 {
        let other = match direction {
            Direction::Ingress => Direction::Egress,
            Direction::Egress => Direction::Ingress,
        };
        let ahead = tcp.sequence.wrapping_sub(state.acknowledged(other));
        return if ahead < RESET_WINDOW { state.reset(true) } else { state };
    }
    let state = state.reset(false);
    let state =
        if tcp.flags & flags::ACK != 0 { state.acknowledging(direction, tcp.acknowledgement) } else { state };
    if tcp.flags & flags::FIN != 0 { state.finished(direction) } else { state }
}

/// Between the SYN and the initiator's acknowledgement of the SYN-ACK.
#[inline(always)]
fn handshake<T: Tables>(
    tcp: &Tcp,
    key: &FlowKey,
    state: FlowState,
    ends: &Ends,
    tables: &T,
) -> Result<Decision, Refusal> {
    let passed = Decision::under(Reason::Established, state.rule());
    if state.began() != ends.direction {
        if tcp.flags & (flags::SYN | flags::ACK) == flags::SYN | flags::ACK {
            let expected = tcp.sequence.wrapping_add(1);
            tables.begin(key, state.answered().acknowledging(state.began(), expected).at(tables.now()));
        } else if tcp.flags & flags::RST == 0 && !state.is_answered() {
            return Err(Reason::NoState.into());
        }
        return Ok(passed);
    }
    if tcp.flags & flags::RST != 0 {
        return Ok(passed);
    }
    let ahead = tcp.acknowledgement.wrapping_sub(state.acknowledged(ends.direction));
    if !state.is_answered() || tcp.flags & flags::SYN != 0 || ahead > EARLY_DATA {
        return Err(Reason::NoState.into());
    }
    tables.establish(key, advance(state, tcp, ends.direction).at(tables.now()));
    Ok(passed)
}

/// In the window after the first enforcement, a connection that policy would have let begin is taken as it is.
#[inline(always)]
fn adopt<T: Tables>(tcp: &Tcp, key: &FlowKey, ends: &Ends, tables: &T) -> Result<Decision, Refusal> {
    let opens = tcp.flags & (flags::SYN | flags::RST) != 0;
    if opens || tables.now() >= tables.settings().adopt_until() {
        return Err(Reason::NoState.into());
    }
    for began in Direction::ALL {
        if let Ok(rule) = policy::look_up(key.service(began), &ends.remote, tables) {
            policy::ends(ends, tables)?;
            let state = FlowState::new(began, rule, tables.generation(), tables.now()).answered();
            tables.establish(key, advance(state, tcp, ends.direction));
            return Ok(Decision::under(Reason::Adopted, rule));
        }
    }
    Err(Reason::NoState.into())
}

//! State before policy: a packet of a live flow passes, any other must be allowed to begin one.

use super::{Decision, policy, tcp};
use crate::{
    Direction, Reason, Service, Tables, dns,
    flow::{FlowKey, FlowState},
    number::protocol,
    sight::{Part, Sight},
    tables::Live,
};

/// Judges a packet of a flow.
///
/// # Errors
///
/// A refusal.
#[inline(always)]
pub(super) fn judge<T: Tables>(
    sight: &Sight,
    direction: Direction,
    tables: &T,
) -> Result<Decision, Decision> {
    let mut ruled = Decision::plain(Reason::NoState);
    if matches!(sight.part, Part::Begins) {
        // A SYN to a port that nothing documents is dropped before the state tables are asked.
        ruled = policy::look_up(sight.service(direction), sight, false, tables);
        if !ruled.passes() {
            return Err(ruled);
        }
    }
    match tables.find(sight.key()) {
        Some(live) => known(sight, live, ruled, direction, tables),
        None => unknown(sight, ruled, direction, tables),
    }
}

#[inline(always)]
fn known<T: Tables>(
    sight: &Sight,
    mut live: Live<T::Slot>,
    ruled: Decision,
    direction: Direction,
    tables: &T,
) -> Result<Decision, Decision> {
    let key = sight.key();
    match sight.part {
        Part::Reports => return Ok(Decision::under(Reason::Related, live.state.rule())),
        Part::Begins => {
            if tcp::begins_again(&live, direction)? == Again::GoesOn {
                return Ok(ruled.because(Reason::Established));
            }
            tables.end(key);
            return begin(ruled, key, direction, tables);
        }
        Part::GoesOn | Part::Sends | Part::Answers | Part::Dhcp => {}
        Part::Judged | Part::Link | Part::Follows | Part::Igmp | Part::Message => {
            return Err(Reason::Internal.into());
        }
    }
    if live.state.generation() != tables.generation() {
        live.state = by_this_generation(sight, live.state, tables)?;
    }
    if matches!(sight.part, Part::GoesOn) {
        tcp::continues(&sight.headers, &live, key, direction, tables)?;
    } else {
        datagram(&live, key, direction, tables);
    }
    Ok(Decision::under(Reason::Established, live.state.rule()))
}

/// What a SYN means on a flow that is there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// Nothing: it goes on.
    GoesOn,
    /// It begins anew.
    Begins,
}

/// The first answer makes a flow without connections live.
#[inline(always)]
fn datagram<T: Tables>(live: &Live<T::Slot>, key: &FlowKey, direction: Direction, tables: &T) {
    if live.established {
        tables.refresh(live, key, live.state.at(tables.now()));
    } else if live.state.began() != direction {
        tables.establish(key, live.state.answered().at(tables.now()));
    }
}

#[inline(always)]
fn unknown<T: Tables>(
    sight: &Sight,
    ruled: Decision,
    direction: Direction,
    tables: &T,
) -> Result<Decision, Decision> {
    let key = sight.key();
    match sight.part {
        Part::GoesOn => tcp::adopt(sight, direction, tables),
        Part::Begins => begin(ruled, key, direction, tables),
        Part::Sends | Part::Dhcp => begin(allowed(sight, direction, tables)?, key, direction, tables),
        Part::Answers => Err(Reason::NoState.into()),
        Part::Reports => Err(Reason::IcmpUnrelated.into()),
        Part::Judged | Part::Link | Part::Follows | Part::Igmp | Part::Message => {
            Err(Reason::Internal.into())
        }
    }
}

/// A protocol that nothing documents is named as such: it has no port.
#[inline(always)]
fn allowed<T: Tables>(sight: &Sight, direction: Direction, tables: &T) -> Result<Decision, Decision> {
    let ruled = policy::look_up(sight.service(direction), sight, false, tables);
    if ruled.passes() {
        Ok(ruled)
    } else if ruled.is(Reason::NoRule) && !sight.headers.has_number() {
        Err(Reason::Protocol.into())
    } else {
        Err(ruled)
    }
}

/// Lets a flow begin; a packet to many begins none.
#[inline(always)]
fn begin<T: Tables>(
    ruled: Decision,
    key: &FlowKey,
    direction: Direction,
    tables: &T,
) -> Result<Decision, Decision> {
    let (many, ruled) = ruled.settled();
    if many {
        policy::sender(key, direction, tables)?;
        return Ok(ruled);
    }
    policy::ends(key, direction, ruled, tables)?;
    let generation = valid_for(ruled, key.service(direction), tables);
    tables.begin(key, FlowState::new(key.protocol(), direction, ruled.id(), generation, tables.now()));
    Ok(ruled)
}

/// The generation under which a verdict holds for the packets that follow. A data connection is judged with each one, and
/// so are its control flow, which has to be kept in mind, and a flow to a resolver, whose answers are read on the long way:
/// no generation is 0.
#[inline(always)]
pub(super) fn valid_for<T: Tables>(ruled: Decision, service: Service, tables: &T) -> u16 {
    let controls = || service.protocol == protocol::TCP && tables.settings().controls(service.number);
    let resolves = || service.number == dns::PORT && dns::listens(ruled, tables.settings());
    if ruled.is(Reason::Related) || controls() || resolves() { 0 } else { tables.generation() }
}

/// A flow that an older generation let begin goes on under its new rule, or ends.
#[inline(always)]
fn by_this_generation<T: Tables>(sight: &Sight, state: FlowState, tables: &T) -> Result<FlowState, Decision> {
    let key = sight.key();
    let service = key.service(state.began());
    let ruled = policy::look_up(service, sight, true, tables);
    if ruled.passes() {
        Ok(state.under(ruled.id(), valid_for(ruled, service, tables)))
    } else if ruled.question().is_some() {
        Err(ruled)
    } else {
        tables.end(key);
        Err(ruled)
    }
}

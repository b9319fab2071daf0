//! State before policy: a packet of a live flow passes, any other must be allowed to begin one.

use super::{Decision, policy, tcp};
use crate::{
    Direction, Reason, Service, Tables, dns,
    flow::{FlowKey, FlowState},
    number::protocol,
    sight::{Part, Sight},
    switch::Mode,
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
        if !ruled.passes() && (ruled.question().is_some() || !tables.posture().observes_alone(direction)) {
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
        Part::Reports => return Ok(by(Reason::Related, live.state)),
        Part::Begins => {
            match tcp::begins_again(&live, direction) {
                Ok(Again::Begins) => tables.end(key),
                _ if !ruled.passes() => return Err(ruled),
                Ok(Again::GoesOn) => return Ok(ruled.because(Reason::Established)),
                Err(refusal) => return Err(refusal),
            }
            return begin(ruled, key, direction, tables);
        }
        Part::GoesOn | Part::Sends | Part::Answers | Part::Dhcp => {}
        Part::Judged | Part::Link | Part::Follows | Part::Igmp | Part::Message => {
            return Err(Reason::Internal.into());
        }
    }
    let mut ruled = Decision::plain(Reason::Established);
    if live.state.generation() != tables.generation() {
        let service = key.service(live.state.began());
        ruled = policy::look_up(service, sight, true, tables);
        live.state = by_this_generation::<T>(ruled, service, live.state, key, tables)?;
    }
    if matches!(sight.part, Part::GoesOn) {
        tcp::continues(&sight.headers, &live, key, direction, tables)?;
    } else {
        datagram(&live, key, direction, tables);
    }
    let began = live.state.began();
    // Of a flow that is refused only the answers pass, and only to where they would be dropped.
    if ruled.passes() || began != direction && tables.posture().observes_alone(began) {
        Ok(by(Reason::Established, live.state))
    } else if matches!(sight.part, Part::GoesOn) {
        Err(Reason::NoState.into())
    } else {
        Err(named(ruled, sight))
    }
}

/// A packet of a flow, which passes under its rule, if it has one.
#[inline(always)]
const fn by(reason: Reason, state: FlowState) -> Decision {
    match state.rule() {
        FlowState::NO_RULE => Decision::plain(reason),
        rule => Decision::under(reason, rule),
    }
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
        Part::Sends | Part::Dhcp => {
            let ruled = policy::look_up(sight.service(direction), sight, false, tables);
            begin(named(ruled, sight), key, direction, tables)
        }
        Part::Answers => Err(Reason::NoState.into()),
        Part::Reports => Err(Reason::IcmpUnrelated.into()),
        Part::Judged | Part::Link | Part::Follows | Part::Igmp | Part::Message => {
            Err(Reason::Internal.into())
        }
    }
}

/// A protocol that nothing documents is named as such: it has no port.
#[inline(always)]
fn named(ruled: Decision, sight: &Sight) -> Decision {
    if ruled.is(Reason::NoRule) && !sight.headers.has_number() { Reason::Protocol.into() } else { ruled }
}

/// Lets a flow begin; a packet to many begins none. One that is refused begins all the same where its direction alone is
/// observed: the packet passes, and its answers would be dropped.
#[inline(always)]
fn begin<T: Tables>(
    ruled: Decision,
    key: &FlowKey,
    direction: Direction,
    tables: &T,
) -> Result<Decision, Decision> {
    if !ruled.passes() {
        let remembered = tables.posture().observes_alone(direction) && ruled.question().is_none();
        if remembered && policy::ends(key, direction, ruled, tables).is_ok() {
            tables.begin(key, FlowState::new(key.protocol(), direction, FlowState::NO_RULE, 0, tables.now()));
        }
        return Err(ruled);
    }
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

/// A flow that an older generation let begin goes on under its new rule, without one where its direction is observed, or
/// ends.
#[inline(always)]
fn by_this_generation<T: Tables>(
    ruled: Decision,
    service: Service,
    state: FlowState,
    key: &FlowKey,
    tables: &T,
) -> Result<FlowState, Decision> {
    if ruled.passes() {
        return Ok(state.under(ruled.id(), valid_for(ruled, service, tables)));
    }
    if ruled.question().is_some() {
        return Err(ruled);
    }
    if matches!(tables.posture().mode(state.began()), Mode::Observe) {
        return Ok(state.under(FlowState::NO_RULE, 0));
    }
    tables.end(key);
    Err(ruled)
}

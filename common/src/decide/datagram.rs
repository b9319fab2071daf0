//! UDP, echo and other protocols without connections: the first answer makes a flow live. IGMP has no flows.

use super::{
    Decision, Ends, fits,
    policy::{self, Refusal},
};
use crate::{
    Address, Direction, Reason, Service, Tables,
    flow::{FlowKey, FlowState},
    number::{dhcp, protocol},
    parse::Headers,
    settings::flag,
};

#[inline(always)]
pub(super) fn udp<T: Tables>(
    source: u16,
    destination: u16,
    headers: &Headers,
    ends: &Ends,
    tables: &T,
) -> Decision {
    if is_dhcp(source, destination, headers, ends.direction) && tables.settings().has(flag::DHCP) {
        return Decision::plain(Reason::BaselineDhcp);
    }
    let key = ends.key(source, destination, protocol::UDP);
    go_on(&key, ends, tables, Some(ends.service(protocol::UDP, destination)))
}

/// Between this host's client and any server (RFC 2131, section 4.1; RFC 8415, section 7.2).
#[inline(always)]
fn is_dhcp(source: u16, destination: u16, headers: &Headers, direction: Direction) -> bool {
    let (client, server) = match direction {
        Direction::Ingress => (destination, source),
        Direction::Egress => (source, destination),
    };
    if headers.source.is_v4() {
        return client == dhcp::CLIENT && server == dhcp::SERVER;
    }
    client == dhcp::CLIENT_V6 && server == dhcp::SERVER_V6 && headers.source.is_link_local_v6()
}

/// Reports leave, queries come (RFC 3376); neither makes a flow.
#[inline(always)]
pub(super) fn igmp<T: Tables>(kind: u8, ends: &Ends, tables: &T) -> Decision {
    let service = ends.service(protocol::IGMP, kind.into());
    match policy::look_up(service, &ends.remote, tables) {
        Ok(rule) if fits(protocol::IGMP, ends.remote.is_v4()) => Decision::under(Reason::Rule, rule),
        Ok(_) | Err(_) => Decision::plain(Reason::Protocol),
    }
}

/// A protocol that goes by its number alone.
#[inline(always)]
pub(super) fn other<T: Tables>(number: u8, ends: &Ends, tables: &T) -> Decision {
    let key = ends.key(0, 0, number);
    let decision = go_on(&key, ends, tables, Some(ends.service(number, 0)));
    match decision.reason {
        Reason::NoRule => Decision::plain(Reason::Protocol),
        _ => decision,
    }
}

/// A packet of a flow without connections; `service`: what it would begin, `None` for an answer.
#[inline(always)]
pub(super) fn go_on<T: Tables>(key: &FlowKey, ends: &Ends, tables: &T, service: Option<Service>) -> Decision {
    live(key, ends, tables)
        .and_then(|found| match (found, service) {
            (Some(decision), _) => Ok(decision),
            (None, Some(service)) => begin(key, service, ends, tables),
            (None, None) => Err(Reason::NoState.into()),
        })
        .unwrap_or_else(Decision::from)
}

/// The verdict on a packet of a live flow, if it is one.
#[inline(always)]
fn live<T: Tables>(key: &FlowKey, ends: &Ends, tables: &T) -> Result<Option<Decision>, Refusal> {
    if let Some((slot, old)) = tables.established(key) {
        let state = judged_by_this_generation(key, old, tables)?;
        tables.refresh(slot, key, old, state.at(tables.now()));
        return Ok(Some(Decision::under(Reason::Established, state.rule())));
    }
    let Some(state) = tables.embryonic(key) else { return Ok(None) };
    let state = judged_by_this_generation(key, state, tables)?;
    if state.began() != ends.direction {
        tables.establish(key, state.answered().at(tables.now()));
    }
    Ok(Some(Decision::under(Reason::Established, state.rule())))
}

#[inline(always)]
fn begin<T: Tables>(key: &FlowKey, service: Service, ends: &Ends, tables: &T) -> Result<Decision, Refusal> {
    let rule = policy::look_up(service, &ends.remote, tables)?;
    policy::ends(ends, tables)?;
    tables.begin(key, FlowState::new(ends.direction, rule, tables.generation(), tables.now()));
    Ok(Decision::under(Reason::Rule, rule))
}

/// A flow that an older generation let begin goes on under its new rule, or ends.
#[inline(always)]
pub(super) fn judged_by_this_generation<T: Tables>(
    key: &FlowKey,
    state: FlowState,
    tables: &T,
) -> Result<FlowState, Refusal> {
    let generation = tables.generation();
    if state.generation() == generation {
        return Ok(state);
    }
    let remote: Address = key.remote();
    match policy::look_up(key.service(state.began()), &remote, tables) {
        Ok(rule) => Ok(state.under(rule, generation)),
        Err(refusal) => {
            tables.end(key);
            Err(refusal)
        }
    }
}

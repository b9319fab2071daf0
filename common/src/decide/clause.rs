//! Rules that look at more than the peer: the first of a service's clauses that lets a packet pass wins.

use super::{BROADCAST, Decision};
use crate::{
    Direction, Reason, Tables,
    class::Allows,
    clause::{Clause, MAX_ALTERNATIVES},
    flow::FlowKey,
};

/// The verdict of the clauses from `first` on. A packet for which none is has `no-rule`; one of a peer that none
/// names has `wrong-peer`; one that begins by an interface to which its clause is not bound has `wrong-interface`; a data
/// connection without its control flow has `no-state`. A flow that `lives` goes on by every interface: whoever forges a
/// packet of it somewhere else must not end it.
#[inline(always)]
pub fn particular<T: Tables>(
    first: u16,
    key: &FlowKey,
    began: Direction,
    lives: bool,
    tables: &T,
) -> Decision {
    let (destination, source_port) = match began {
        Direction::Ingress => (key.local(), key.remote_port()),
        Direction::Egress => (key.remote(), key.local_port()),
    };
    let broadcast = tables.protects(destination) == BROADCAST;
    let mut refusal = Decision::plain(Reason::NoRule);
    for place in 0..MAX_ALTERNATIVES {
        let Some(clause) = tables.clause(u32::from(first) + place) else { return Reason::Internal.into() };
        if clause.is_to(destination, broadcast) && clause.is_from(source_port) {
            let decision = judge(clause, key, began, lives, tables);
            if decision.passes() {
                return decision;
            }
            if !(refusal.is(Reason::NoState) || refusal.is(Reason::WrongInterface)) {
                refusal = decision;
            }
        }
        if clause.is_last() {
            break;
        }
    }
    refusal
}

#[inline(always)]
fn judge<T: Tables>(clause: &Clause, key: &FlowKey, began: Direction, lives: bool, tables: &T) -> Decision {
    let ruled = match clause.class().allows() {
        Allows::Nobody => return Reason::NoRule.into(),
        Allows::Anybody(rule) => Decision::under(Reason::Rule, rule),
        Allows::Peers(number) if lives => tables.among_living(number, key.remote()),
        Allows::Peers(number) => tables.among(number, key.remote()),
        Allows::Particular(_) => return Reason::Internal.into(),
    };
    if !ruled.passes() {
        return ruled;
    }
    if !lives && !clause.is_on(tables.interfaces()) {
        return ruled.because(Reason::WrongInterface);
    }
    let ruled = if clause.is_observed() { ruled.observed() } else { ruled };
    if clause.is_to_many() {
        return ruled.to_many();
    }
    match clause.control_port() {
        0 => ruled,
        port if tables.is_controlled(port, key, began) => ruled.because(Reason::Related),
        _ => Reason::NoState.into(),
    }
}

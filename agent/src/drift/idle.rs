//! Documented flows that nobody has used since counting began.

use jiff::Timestamp;
use serde::Serialize;

use super::{Finding, Kind, Seen};
use crate::policy::rule::Need;

/// A flow without a packet that the product can do without: no drift, but worth knowing before it is relied on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Idle {
    /// Its stable id.
    pub flow: String,
    /// How much it is needed: optional, debug or internal.
    pub need: Need,
    /// What it is for.
    pub purpose: String,
}

/// Flows without a packet that the product doesn't work without.
pub(super) fn findings(since: Timestamp, seen: &Seen<'_>) -> impl Iterator<Item = Finding> {
    let unused = seen.flows.iter().filter(|(_, counter)| counter.passed.packets == 0);
    let required = unused.filter(|(meta, _)| meta.need == Need::Required);
    required.map(move |(meta, _)| Finding {
        kind: Kind::UnusedFlow,
        subject: meta.flow.clone(),
        seen: format!("no packet since {}", since.strftime("%Y-%m-%dT%H:%M:%SZ")),
        expected: meta.origin.purpose.clone(),
    })
}

/// All other flows without a packet.
#[must_use]
pub fn idle(seen: &Seen<'_>) -> Vec<Idle> {
    let unused = seen.flows.iter().filter(|(_, counter)| counter.passed.packets == 0);
    let spare = unused.filter(|(meta, _)| meta.need != Need::Required);
    spare
        .map(|(meta, _)| Idle {
            flow: meta.flow.clone(),
            need: meta.need,
            purpose: meta.origin.purpose.clone(),
        })
        .collect()
}

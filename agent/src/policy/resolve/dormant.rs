//! Flows of a host that are off, and the one thing that keeps each so.

use portreeve_common::Direction;
use serde::Serialize;

use super::Scope;
use crate::policy::{
    pack::{Condition, Flow, OptionKind},
    rule::{Origin, Peers, Service},
};

/// A flow that is off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dormant {
    /// Its id.
    pub flow: String,
    /// The role that has it, or `site`.
    pub role: String,
    /// As seen from this host.
    pub direction: Direction,
    /// With this host's ports.
    pub service: Service,
    /// Whom it would be for; `None` while nobody is named.
    pub peers: Option<Peers>,
    /// Where it is written.
    pub origin: Origin,
    /// What keeps it off.
    pub off: Off,
    /// The same in words: the condition with the values that it saw, or the peer that is unset.
    pub why: String,
}

/// What keeps a flow off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Off {
    /// Its peer is nobody on this host.
    Peer,
    /// An option has another value.
    Option,
    /// The product's version doesn't have it.
    Version,
    /// The last day of an `[[allow]]` has passed.
    Expired,
}

impl Scope<'_> {
    /// A flow whose condition does not hold.
    pub(super) fn conditioned(&self, flow: &Flow, why: String) -> Dormant {
        let off = if self.only_versions(&flow.when) { Off::Version } else { Off::Option };
        let mut groups = self.gather(flow).map(|gathered| gathered.by_port()).unwrap_or_default();
        // Entries with ports of their own make several rules: what they have in common is that somebody is named.
        let peers = if groups.len() == 1 { groups.pop().map(|(_, peers)| peers) } else { None };
        self.dormant(flow, peers, off, why)
    }

    /// A flow whose peers are nobody.
    pub(super) fn peerless(&self, flow: &Flow, why: String) -> Dormant {
        self.dormant(flow, None, Off::Peer, why)
    }

    fn dormant(&self, flow: &Flow, peers: Option<Peers>, off: Off, why: String) -> Dormant {
        Dormant {
            flow: flow.id.clone(),
            role: self.role.name.clone(),
            direction: flow.direction,
            service: self.service(flow, None),
            peers,
            origin: self.origin(flow),
            off,
            why,
        }
    }

    /// Whether every test that failed is one of a version.
    fn only_versions(&self, when: &Condition) -> bool {
        let fails = |condition: &Condition| !condition.judge(&self.options).holds;
        let tests = when.tests.iter().all(|(name, test)| {
            let alone = Condition { tests: vec![(name.clone(), test.clone())], any: Vec::new() };
            let is_version = self.role.option(name).is_some_and(|option| option.kind == OptionKind::Version);
            is_version || !fails(&alone)
        });
        let alternatives = when.any.iter().any(|either| !fails(either))
            || when.any.is_empty()
            || when.any.iter().any(|either| self.only_versions(either));
        tests && alternatives
    }
}

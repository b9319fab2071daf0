//! The compiled policy: exactly what the kernel's maps hold of one generation.

mod service;

mod classes;
mod clauses;
mod deferred;
mod error;
mod flows;
mod observed;

mod expand;
mod names;
mod peers;
mod table;

mod places;
mod settings;
mod slots;

pub mod simulation;

use std::net::IpAddr;

use ipnet::IpNet;
use portreeve_common::{
    Service,
    class::{PeerBucket, Peering, RuleId},
    clause::{Clause, Interfaces},
    settings::Settings,
};

pub(crate) use self::service::{closed, is_meant, known_addresses};
use self::{
    classes::{Classes, Given},
    names::Names,
    observed::{Observed, Slotted},
    peers::Sets,
    service::Needs,
};
pub use self::{
    deferred::Deferred,
    error::ImageError,
    flows::FlowMeta,
    names::NamesError,
    places::{InterfaceSlots, Slots},
    slots::FlowSlots,
};
use crate::policy::{
    Policy,
    rule::{Local, Rule},
};

/// Ticks a second of an image that no clock is held against.
pub const TIMELESS: u64 = 1;

/// One generation's tables, in plain vectors.
#[derive(Clone, Debug)]
pub struct Image {
    /// A word a service, by [`Service::slot`].
    pub classes: Vec<u16>,
    /// By class number; the first is no class.
    pub peerings: Vec<Peering>,
    /// The peer table, all of its buckets.
    pub peers: Vec<PeerBucket>,
    /// Rules of the numbered classes, one class after the other.
    pub shared: Vec<RuleId>,
    /// What rules look at besides the peer, one service after the other.
    pub clauses: Vec<Clause>,
    /// Limits in ticks; nothing is adopted yet.
    pub settings: Settings,
    /// What the slots of the flows' counters count; ascending by slot.
    pub flows: Vec<FlowMeta>,
    /// Flows with names of which no address is known, and none can be learned.
    pub deferred: Vec<Deferred>,
    /// Names and wildcards whose addresses are learned.
    pub names: Vec<String>,
}

impl Image {
    /// Lays a policy out. `protected`: the host's own addresses, each with the prefix length of its interface;
    /// `slots`: kept from one compilation to the next.
    ///
    /// # Errors
    /// The policy has more of something than the tables hold.
    pub fn compile(
        policy: &Policy,
        protected: &[IpNet],
        slots: &mut Slots,
        ticks_per_second: u64,
    ) -> Result<Self, ImageError> {
        let observed = Observed::of(policy);
        let named = policy.rules.iter().map(|rule| rule.flow.as_str());
        let mut ids =
            slots.flows.assign(named.chain(observed.flows.iter().map(|(_, flow)| flow.as_str())))?;
        let observed_ids = ids.split_off(policy.rules.len());
        let needs = Needs::gather(&policy.rules, &policy.host.names);
        let deferred = Deferred::of(policy);
        let sets = Sets::new(protected, groups(&policy.rules));
        let names = Names::of(policy)?;
        let bound: Result<Vec<Interfaces>, _> =
            policy.rules.iter().map(|rule| slots.interfaces.set(&rule.interfaces)).collect();
        let given = Given {
            ids: &ids,
            bound: &bound?,
            needs: &needs,
            names: &names,
            observed: Slotted { observed: &observed, ids: &observed_ids },
        };
        let mut classes = Classes::new(given, sets);
        let mut words = vec![0; Service::SLOTS as usize];
        for (services, rules) in needs.services() {
            let word = classes.class(services.first.protocol, rules)?.word();
            if let Some(words) = words.get_mut(services.slots()) {
                words.fill(word);
            }
        }
        let clauses = classes.clauses.all;
        let Sets { peerings, peers, shared, .. } = classes.sets;
        let (seed, peers) = table::place(&peers)?;
        let settings = settings::of(policy, &ids, seed, ticks_per_second)?;
        let mut flows = flows::flows(&policy.rules, &ids);
        flows.extend(observed.meta(&observed_ids));
        flows.sort_by_key(|flow| flow.slot);
        let names = names.all;
        Ok(Self { classes: words, peerings, peers, shared, clauses, settings, flows, deferred, names })
    }

    /// The flow that a slot counts.
    #[must_use]
    pub fn flow(&self, slot: RuleId) -> Option<&FlowMeta> {
        let at = self.flows.binary_search_by_key(&slot, |flow| flow.slot).ok()?;
        self.flows.get(at)
    }
}

/// The groups that rules name.
fn groups(rules: &[Rule]) -> impl Iterator<Item = IpAddr> {
    rules.iter().filter_map(|rule| match rule.local {
        Local::Group(group) => Some(group),
        Local::Own | Local::Broadcast => None,
    })
}

//! Which names are due, and what was learned and is not wanted any more.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    net::IpAddr,
};

use portreeve_common::{
    Address,
    dns::Hint,
    names::{LearnedName, NameId},
    switch::Switch,
};

use super::Answer;
use crate::{
    control::{ControlError, View},
    datapath::names::{Names, Orders},
    instance::Instance,
    policy::{Catalogue, Policy, rule::Peers},
};

/// An address lives at least as long, in seconds, as in the kernel programs.
const SHORTEST_LIFE: u64 = 60;
/// A name is asked for again so many seconds before its last address ends: some looks of the daemon.
const AHEAD: u64 = 20;
/// And at most as often, in seconds: some names have no address.
const PAUSE: u64 = 30;

/// A name to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The pattern that its addresses count for.
    pub id: NameId,
    /// The name.
    pub name: String,
    /// Whom to ask, one after the other.
    pub resolvers: Vec<IpAddr>,
    /// The answer is known not to fit into what the kernel reads.
    pub whole: bool,
}

/// Keeps what was learned in order; remembers when it asked for what, and when it was told.
#[derive(Debug, Default)]
pub struct Keeper {
    asked: BTreeMap<String, u64>,
    told: BTreeMap<String, u64>,
}

impl Keeper {
    /// Drops what no generation wants and what is over, lets live on what a flow lives to, and says which names to ask
    /// for.
    ///
    /// # Errors
    /// The kernel does not let it.
    pub fn look(&mut self, instance: &Instance, catalogue: &Catalogue) -> Result<Vec<Due>, ControlError> {
        let view = View::open(instance, catalogue)?;
        let (now, second) = (view.now.ticks, u64::from(view.now.rate));
        let mut names = Names::open(&instance.pins)?;
        let learned = names.learned()?;
        if learned.is_empty() && view.image.names.is_empty() {
            return Ok(Vec::new());
        }
        let wanted = wanted(&view, catalogue)?;
        let flows: HashSet<Address> = view.live()?.iter().map(|(key, _)| key.remote()).collect();
        let mut orders = Orders::open(&instance.pins)?;
        let mut held: BTreeMap<u64, u64> = BTreeMap::new();
        for name in learned {
            let ends = name.until < now + AHEAD * second;
            if !wanted.contains(&name.id) || name.until < now && !flows.contains(&name.address) {
                orders.forget(name)?;
                continue;
            }
            if ends && flows.contains(&name.address) {
                orders.learn(LearnedName { until: now + SHORTEST_LIFE * second, ..name })?;
            }
            let until = held.entry(name.id).or_default();
            *until = name.until.max(*until);
        }
        let resolvers = resolvers(&view.policy);
        let handed = names.take_handed()?;
        if resolvers.is_empty() {
            return Ok(Vec::new());
        }
        let recent = |_: &String, then: &mut u64| now < then.saturating_add(PAUSE * second);
        self.asked.retain(recent);
        let mut due: Vec<Due> = handed.iter().filter_map(|hint| self.handed_over(hint, &resolvers)).collect();
        self.told.retain(recent);
        for name in view.image.names.iter().filter(|name| !name.starts_with('*')) {
            let id = NameId::of(name);
            let holds = held.get(&id.word()).is_some_and(|until| *until >= now + AHEAD * second);
            if !holds && !self.asked.contains_key(name) {
                self.asked.insert(name.clone(), now);
                due.push(Due { id, name: name.clone(), resolvers: resolvers.clone(), whole: false });
            }
        }
        Ok(due)
    }

    /// Puts in what the kernel has not seen answered.
    ///
    /// # Errors
    /// The kernel does not let it.
    pub fn told(&mut self, instance: &Instance, due: &Due, answer: &Answer) -> Result<usize, ControlError> {
        let state = instance.running()?;
        let now = crate::datapath::clock::Clock::open(&instance.pins)?.now(state.ticks_per_second)?;
        let second = u64::from(now.rate);
        self.told.insert(due.name.clone(), now.ticks);
        let known: BTreeSet<(u64, Address)> =
            Names::open(&instance.pins)?.learned()?.iter().map(|name| (name.id, name.address)).collect();
        let mut orders = Orders::open(&instance.pins)?;
        let mut new = 0;
        for (address, life) in &answer.addresses {
            // A lifetime with its highest bit set is none (RFC 2181, section 8).
            let life = if life >> 31 == 0 { u64::from(*life) } else { 0 };
            let until = now.ticks + life.max(SHORTEST_LIFE) * second;
            let (address, resolver) = (Address::from(*address), Address::from(answer.resolver));
            let name = LearnedName { id: due.id.word(), address, since: now.ticks, until, resolver };
            new += usize::from(!known.contains(&(name.id, address)));
            orders.learn(name)?;
        }
        Ok(new)
    }

    /// A name whose answer the kernel could not read whole. The one to the agent's own question comes back here too, and is
    /// known by then.
    fn handed_over(&self, hint: &Hint, resolvers: &[IpAddr]) -> Option<Due> {
        let name = hint.name()?.to_owned();
        let known = self.told.get(&name).is_some_and(|told| hint.seen <= *told);
        let id = NameId::from_word(hint.id);
        (!known).then(|| Due { id, name, resolvers: resolvers.to_vec(), whole: true })
    }
}

/// The ids of all names that a generation wants which is in force, or may be again.
fn wanted(view: &View, catalogue: &Catalogue) -> Result<BTreeSet<u64>, ControlError> {
    let switch = Switch::from_word(view.state.switch);
    let mut wanted: BTreeSet<u64> = view.image.names.iter().map(|name| NameId::of(name).word()).collect();
    for generation in [switch.latest(), switch.previous()].map(|posture| posture.generation()) {
        if !view.state.generations.contains_key(&generation) {
            continue;
        }
        let policy = crate::control::compiled(&view.state, generation, catalogue)?;
        let names = policy.rules.iter().flat_map(|rule| rule.peers.learned_names(&policy.host.names));
        wanted.extend(names.map(|name| NameId::of(name).word()));
    }
    Ok(wanted)
}

/// Resolvers that the policy names by address.
fn resolvers(policy: &Policy) -> Vec<IpAddr> {
    let mut all = Vec::new();
    for rule in policy.rules.iter().filter(|rule| rule.asks_resolvers()) {
        let Peers::Listed { prefixes, names: _ } = &rule.peers else { continue };
        for net in prefixes.iter().filter(|net| net.prefix_len() == net.max_prefix_len()) {
            if !all.contains(&net.addr()) {
                all.push(net.addr());
            }
        }
    }
    all
}

//! Which names are due, and what was learned and is not wanted any more.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    net::IpAddr,
};

use portreeve_common::{
    Address,
    class::RuleId,
    dns::{self, Hint, SHORTEST_LIFE},
    flow::FlowState,
    names::{LearnedName, NameId},
    switch::Switch,
};

use super::Answer;
use crate::{
    control::{ControlError, View},
    datapath::names::{Names, Orders},
    instance::Instance,
    policy::{
        Catalogue, Policy,
        rule::{Need, Peers},
    },
};

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
    /// Drops what no generation wants and what is over, lets live on what a flow lives to by its name, ends what a resolver
    /// answered that the policy no longer names, and says which names to ask for.
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
        let flows = flows_by_name(&view)?;
        let mut orders = Orders::open(&instance.pins)?;
        let mut held: BTreeMap<u64, u64> = BTreeMap::new();
        for name in learned {
            let lives = flows.contains(&(name.address, name.id));
            if !wanted.contains(&name.id) || name.until < now && !lives {
                orders.forget(name)?;
                continue;
            }
            if !is_believed(&view.policy, name.resolver.into()) {
                // Flows that live go on; no other one begins.
                if name.until >= now {
                    orders.forget(name)?;
                    if lives {
                        orders.learn(LearnedName { until: now.saturating_sub(1), ..name })?;
                    }
                }
                continue;
            }
            if lives && name.until < now + AHEAD * second {
                orders.learn(LearnedName { until: now + u64::from(SHORTEST_LIFE) * second, ..name })?;
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
            let until = now.ticks + u64::from(dns::life(*life)) * second;
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

/// Live flows that passed by a name: the address, and the pattern.
fn flows_by_name(view: &View) -> Result<HashSet<(Address, u64)>, ControlError> {
    let mut named: BTreeMap<RuleId, Vec<u64>> = BTreeMap::new();
    for rule in &view.policy.rules {
        let Some(slot) = view.state.slots.flows.slot(&rule.flow) else { continue };
        let ids = rule.peers.learned_names(&view.policy.host.names).map(|name| NameId::of(name).word());
        named.entry(slot).or_default().extend(ids);
    }
    let by = |state: FlowState| named.get(&state.rule()).into_iter().flatten();
    let live = view.live()?;
    Ok(live.iter().flat_map(|(key, state)| by(*state).map(|id| (*key.remote(), *id))).collect())
}

/// Whether a resolver's answers count by this policy.
fn is_believed(policy: &Policy, resolver: IpAddr) -> bool {
    policy.rules.iter().filter(|rule| rule.asks_resolvers()).any(|rule| match &rule.peers {
        Peers::Any => false,
        Peers::Listed { prefixes, names: _ } => prefixes.iter().any(|net| net.contains(&resolver)),
    })
}

/// Resolvers that the policy names by address: those that it needs before those that it may do without.
fn resolvers(policy: &Policy) -> Vec<IpAddr> {
    let mut all = Vec::new();
    let mut rules: Vec<_> = policy.rules.iter().filter(|rule| rule.asks_resolvers()).collect();
    rules.sort_by_key(|rule| rule.origin.need != Need::Required);
    for rule in rules {
        let Peers::Listed { prefixes, names: _ } = &rule.peers else { continue };
        for net in prefixes {
            if !all.contains(&net.addr()) {
                all.push(net.addr());
            }
        }
    }
    all
}

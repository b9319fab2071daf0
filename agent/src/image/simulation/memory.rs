//! What a simulation remembers of resolvers: questions, addresses by name, and how messages were counted.

use std::{cell::RefCell, collections::HashMap};

use portreeve_common::{
    Address,
    dns::{Hint, Outcome, Query, QueryKey},
    names::{Addresses, LearnedName, LearnedSet, learned_set},
};

/// In collections that never fill up; of one address and of one name no more is kept than in the kernel.
#[derive(Debug, Default)]
pub(super) struct Memory {
    queries: RefCell<HashMap<QueryKey, Query>>,
    learned: RefCell<HashMap<u32, LearnedSet>>,
    addresses: RefCell<HashMap<u64, Addresses>>,
    hints: RefCell<HashMap<Address, Hint>>,
    outcomes: RefCell<HashMap<u32, u64>>,
}

impl Memory {
    pub(super) fn remember(&self, key: &QueryKey, query: Query) {
        self.queries.borrow_mut().insert(*key, query);
    }

    pub(super) fn outstanding(&self, key: &QueryKey) -> Option<Query> {
        self.queries.borrow().get(key).copied()
    }

    pub(super) fn forget(&self, key: &QueryKey) {
        self.queries.borrow_mut().remove(key);
    }

    pub(super) fn set_of(&self, address: &Address) -> Option<LearnedSet> {
        self.learned.borrow().get(&learned_set(address, 0)).copied()
    }

    pub(super) fn learned(&self) -> Vec<LearnedName> {
        let learned = self.learned.borrow();
        let mut all: Vec<_> =
            learned.values().flat_map(|set| set.places).filter(|name| name.id != 0).collect();
        all.sort_by_key(|name| (name.address.octets(), name.id));
        all
    }

    pub(super) fn learn(&self, name: &LearnedName) {
        let mut all = self.learned.borrow_mut();
        let set = all.entry(learned_set(&name.address, 0)).or_default();
        let at = set.place(&name.address, name.id);
        let Some(place) = set.places.get_mut(at) else { return };
        let known = place.is(name);
        *place = name.over(place);
        if known {
            return;
        }
        let Some(oldest) = self.addresses.borrow_mut().entry(name.id).or_default().push(name.address) else {
            return;
        };
        let Some(set) = all.get_mut(&learned_set(&oldest, 0)) else { return };
        let given_up = LearnedName { address: oldest, ..*name };
        set.places
            .iter_mut()
            .filter(|place| place.is(&given_up))
            .for_each(|place| *place = LearnedName::default());
    }

    pub(super) fn hint(&self, address: &Address, hint: &Hint) {
        self.hints.borrow_mut().insert(*address, *hint);
    }

    pub(super) fn count(&self, outcome: Outcome) {
        *self.outcomes.borrow_mut().entry(outcome as u32).or_default() += 1;
    }

    pub(super) fn counted(&self, outcome: Outcome) -> u64 {
        self.outcomes.borrow().get(&(outcome as u32)).copied().unwrap_or_default()
    }
}

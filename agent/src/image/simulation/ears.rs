//! How a simulation learns: over its own image and memory.

use portreeve_common::{
    Address,
    dns::{Hint, Learning, Query, QueryKey},
    names::{LearnedName, NameId, NameKey},
};

use super::Simulation;

/// A simulation that listens to resolvers.
pub(super) struct Ears<'s>(pub(super) &'s Simulation);

impl Learning for Ears<'_> {
    fn secret(&self) -> u64 {
        0
    }

    fn now(&self) -> u64 {
        self.0.now.get()
    }

    fn generation(&self) -> u16 {
        self.0.generation
    }

    fn ticks_per_second(&self) -> u64 {
        self.0.image.settings.ticks_per_second()
    }

    fn wanted(&self, key: &NameKey) -> NameId {
        let patterns = self.0.image.names.iter().map(|name| (NameKey::of(self.0.generation, name), name));
        let longest =
            patterns.filter(|(pattern, _)| pattern.matches(key)).max_by_key(|(pattern, _)| pattern.bits);
        longest.map_or(NameId::NONE, |(_, name)| NameId::of(name))
    }

    fn remember(&self, key: &QueryKey, query: Query, _wanted: bool) {
        self.0.memory.remember(key, query);
    }

    fn outstanding(&self, key: &QueryKey) -> Option<Query> {
        self.0.memory.outstanding(key)
    }

    fn forget(&self, key: &QueryKey) {
        self.0.memory.forget(key);
    }

    fn learn(&self, name: &LearnedName) {
        self.0.memory.learn(name);
    }

    fn hint(&self, address: &Address, hint: &Hint) {
        self.0.memory.hint(address, hint);
    }

    fn hand_over(&self, _question: u64, _hint: &Hint) {}
}

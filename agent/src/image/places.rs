//! Numbers that outlive a compilation: of the interfaces and of the flows' counters.

use std::collections::BTreeMap;

use portreeve_common::{
    clause::{self, ANY_INTERFACE, Interfaces},
    counter::MAX_INTERFACES,
};
use serde::{Deserialize, Serialize};

use super::{FlowSlots, ImageError};

/// What is numbered; kept in the state folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slots {
    /// Interfaces: in the reasons' counters, and in rules that are bound to some.
    pub interfaces: InterfaceSlots,
    /// Flows: in their counters.
    pub flows: FlowSlots,
}

/// Slots by the interface's name, which an interface that comes again has too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceSlots(BTreeMap<String, u32>);

impl InterfaceSlots {
    /// An interface's slot; the same one for as long as the counters live.
    ///
    /// # Errors
    /// There are no more.
    pub fn give(&mut self, interface: &str) -> Result<u32, ImageError> {
        if let Some(slot) = self.get(interface) {
            return Ok(slot);
        }
        let free = (0..MAX_INTERFACES).find(|slot| !self.0.values().any(|taken| taken == slot));
        let slot = free.ok_or(ImageError::Interfaces)?;
        self.0.insert(interface.into(), slot);
        Ok(slot)
    }

    /// The interface as the kernel knows it; no interface where it has no slot.
    #[must_use]
    pub fn only(&self, interface: &str) -> Interfaces {
        self.get(interface).map_or(0, clause::interface)
    }

    /// The slot of an interface that has one.
    #[must_use]
    pub fn get(&self, interface: &str) -> Option<u32> {
        self.0.get(interface).copied()
    }

    /// These interfaces as the kernel knows them; none: any.
    ///
    /// # Errors
    /// There are no more slots.
    pub(super) fn set(&mut self, interfaces: &[String]) -> Result<Interfaces, ImageError> {
        if interfaces.is_empty() {
            return Ok(ANY_INTERFACE);
        }
        interfaces.iter().try_fold(0, |set, name| Ok(set | clause::interface(self.give(name)?)))
    }

    /// All that have one, with it.
    pub fn all(&self) -> impl Iterator<Item = (&str, u32)> {
        self.0.iter().map(|(name, slot)| (name.as_str(), *slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_keeps_its_slot() {
        let mut slots = InterfaceSlots::default();
        assert_eq!(["b", "a", "b"].map(|name| slots.give(name).unwrap()), [0, 1, 0]);
        assert_eq!((slots.get("a"), slots.get("c")), (Some(1), None));
        assert_eq!(slots.set(&["c".into(), "a".into()]).unwrap(), 0b110);
        assert_eq!((slots.set(&[]).unwrap(), slots.only("a"), slots.only("d")), (ANY_INTERFACE, 0b10, 0));
    }

    #[test]
    fn there_are_as_many_as_the_counters_have() {
        let mut slots = InterfaceSlots::default();
        for number in 0..MAX_INTERFACES {
            slots.give(&format!("eth{number}")).unwrap();
        }
        assert!(matches!(slots.give("eth99"), Err(ImageError::Interfaces)));
        assert_eq!(slots.all().count(), MAX_INTERFACES as usize);
    }
}

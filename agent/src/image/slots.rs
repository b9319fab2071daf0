//! Which slot of the counters a flow has: the same one for as long as any other is left, so that totals survive.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::{HashMap, HashSet};
use portreeve_common::class::{MAX_RULES, RuleId};
use serde::{Deserialize, Serialize};

use super::ImageError;

/// Slots by flow id; kept in the state folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, try_from = "Stored")]
pub struct FlowSlots {
    /// Of flows that the policy has, and of flows that it had.
    slots: BTreeMap<String, RuleId>,
    /// Ids that the policy had, the oldest first.
    removed: Vec<String>,
}

/// As it was written, not yet checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    slots: BTreeMap<String, RuleId>,
    removed: Vec<String>,
}

/// Why stored slots can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum StoredError {
    #[error("flow `{0}` has slot {1}, which no counter has or which another flow has too")]
    Slot(String, RuleId),
    #[error("flow `{0}` is listed as removed, but has no slot or is listed twice")]
    Removed(String),
}

impl FlowSlots {
    /// The slot of each flow, in the order in which they come; new ones get a slot, missing ones count as removed.
    ///
    /// # Errors
    /// More flows than slots; nothing has changed then.
    pub fn assign<'f>(&mut self, flows: impl Iterator<Item = &'f str>) -> Result<Vec<RuleId>, ImageError> {
        let flows: Vec<&str> = flows.collect();
        let live: HashSet<&str> = flows.iter().copied().collect();
        if live.len() > MAX_RULES as usize {
            return Err(ImageError::Flows { flows: live.len() });
        }
        self.removed.retain(|flow| !live.contains(flow.as_str()));
        let known: HashSet<&str> = self.removed.iter().map(String::as_str).collect();
        let gone =
            self.slots.keys().filter(|flow| !live.contains(flow.as_str()) && !known.contains(flow.as_str()));
        let gone: Vec<String> = gone.cloned().collect();
        self.removed.extend(gone);
        self.give(&flows)?;
        let slots: HashMap<&str, RuleId> =
            self.slots.iter().map(|(flow, slot)| (flow.as_str(), *slot)).collect();
        Ok(flows.iter().filter_map(|flow| slots.get(flow).copied()).collect())
    }

    /// The slot of a flow that the policy has or had.
    #[must_use]
    pub fn slot(&self, flow: &str) -> Option<RuleId> {
        self.slots.get(flow).copied()
    }

    /// Slots for those that have none: unused ones first, then that of the flow that was removed first.
    fn give(&mut self, flows: &[&str]) -> Result<(), ImageError> {
        let taken: HashSet<RuleId> = self.slots.values().copied().collect();
        let mut unused = (0..).take(MAX_RULES as usize).filter(|slot| !taken.contains(slot));
        let mut removed = std::mem::take(&mut self.removed).into_iter();
        for flow in flows {
            if self.slots.contains_key(*flow) {
                continue;
            }
            let reused = |removed: &mut std::vec::IntoIter<String>, slots: &mut BTreeMap<_, _>| {
                removed.next().and_then(|oldest| slots.remove(&oldest))
            };
            let slot = unused.next().or_else(|| reused(&mut removed, &mut self.slots));
            let slot = slot.ok_or(ImageError::Flows { flows: flows.len() })?;
            self.slots.insert((*flow).to_owned(), slot);
        }
        self.removed = removed.collect();
        Ok(())
    }
}

impl TryFrom<Stored> for FlowSlots {
    type Error = StoredError;

    fn try_from(Stored { slots, removed }: Stored) -> Result<Self, StoredError> {
        let mut taken = BTreeSet::new();
        for (flow, slot) in &slots {
            if u32::from(*slot) >= MAX_RULES || !taken.insert(*slot) {
                return Err(StoredError::Slot(flow.clone(), *slot));
            }
        }
        let mut listed = BTreeSet::new();
        for flow in &removed {
            if !slots.contains_key(flow) || !listed.insert(flow) {
                return Err(StoredError::Removed(flow.clone()));
            }
        }
        Ok(Self { slots, removed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assign(slots: &mut FlowSlots, flows: &[&str]) -> Vec<RuleId> {
        slots.assign(flows.iter().copied()).unwrap()
    }

    #[test]
    fn a_flow_keeps_its_slot_through_edits_and_removal() {
        let mut slots = FlowSlots::default();
        assert_eq!(assign(&mut slots, &["a", "b", "a"]), [0, 1, 0]);
        assert_eq!(assign(&mut slots, &["c", "b"]), [2, 1]);
        assert_eq!(assign(&mut slots, &["d", "a"]), [3, 0]);
        let text = serde_json::to_string(&slots).unwrap();
        assert_eq!(serde_json::from_str::<FlowSlots>(&text).unwrap(), slots);
    }

    #[test]
    fn only_when_all_are_taken_the_oldest_gives_way() {
        let mut slots = FlowSlots::default();
        let many: Vec<String> = (0..MAX_RULES).map(|n| format!("flow-{n:05}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assign(&mut slots, &many);
        assign(&mut slots, &many[1..]);
        assign(&mut slots, &many[2..]);
        assert_eq!(assign(&mut slots, &["new"]), [0]);
        assert_eq!((slots.slot(many[0]), slots.slot(many[1])), (None, Some(1)));
        let too_many = many.iter().copied().chain(["x"]);
        assert!(matches!(slots.assign(too_many), Err(ImageError::Flows { flows: 16_385 })));
    }

    #[test]
    fn broken_state_is_refused() {
        for text in [
            r#"{"slots":{"a":1,"b":1},"removed":[]}"#,
            r#"{"slots":{"a":16384},"removed":[]}"#,
            r#"{"slots":{"a":1},"removed":["b"]}"#,
            r#"{"slots":{"a":1},"removed":["a","a"]}"#,
        ] {
            assert!(serde_json::from_str::<FlowSlots>(text).is_err(), "{text}");
        }
    }
}

//! The table of live flows, as far as `status` asks: how full it is.

use aya::maps::{Array, MapData};
use portreeve_common::{
    flow::{FlowKey, FlowState},
    settings::Limits,
    table::{FlowEntry, FlowSet, WAYS},
};

use super::{
    DatapathError, Pins,
    map::{failed, pinned, typed},
};

/// The established table.
pub struct Established {
    sets: Array<MapData, FlowSet>,
}

impl Established {
    /// The pinned one.
    ///
    /// # Errors
    /// It is missing or has another form.
    pub fn open(pins: &Pins) -> Result<Self, DatapathError> {
        Ok(Self { sets: typed("ESTABLISHED", pinned(pins, "ESTABLISHED")?)? })
    }

    /// Flows that it has room for.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        u64::from(self.sets.len()) * WAYS as u64
    }

    /// Flows that live: one call of the kernel for each eight places.
    ///
    /// # Errors
    /// The map can't be read.
    pub fn live(&self, limits: &Limits, now: u64) -> Result<u64, DatapathError> {
        let mut live = 0;
        for set in self.sets.iter() {
            live += count(&set.map_err(|error| failed("ESTABLISHED", error))?, limits, now);
        }
        Ok(live)
    }

    /// The flows that live, each with what is remembered of it.
    ///
    /// # Errors
    /// The map can't be read.
    pub fn flows(&self, limits: &Limits, now: u64) -> Result<Vec<(FlowKey, FlowState)>, DatapathError> {
        let mut flows = Vec::new();
        for set in self.sets.iter() {
            let set = set.map_err(|error| failed("ESTABLISHED", error))?;
            flows.extend(living(&set, limits, now).map(|entry| (entry.key, entry.state)));
        }
        Ok(flows)
    }
}

fn count(set: &FlowSet, limits: &Limits, now: u64) -> u64 {
    living(set, limits, now).map(|_| 1).sum()
}

fn living<'s>(set: &'s FlowSet, limits: &Limits, now: u64) -> impl Iterator<Item = &'s FlowEntry> {
    let tags = set.tags.into_iter().flat_map(|word| [0, 16, 32, 48].map(|shift| (word >> shift) & 0xffff));
    let taken = tags.zip(&set.entries).filter(|(tag, _)| *tag != 0);
    taken.map(|(_, entry)| entry).filter(move |entry| entry.state.lives(limits, now))
}

#[cfg(test)]
mod tests {
    use portreeve_common::{Direction, flow::FlowState, table::with_tag};

    use super::*;

    #[test]
    fn free_and_idle_places_are_not_counted() {
        let limits = Limits::new(1_000, 60, 30, 180, 30);
        let mut set = FlowSet::default();
        for (place, seen) in [(0, 5_000), (3, 3_000), (6, 4_900)] {
            let (word, with) = with_tag(&set.tags, place, 7);
            set.tags[word] = with;
            set.entries[place].state = FlowState::new(6, Direction::Egress, 1, 1, seen).answered();
        }
        set.entries[1].state = FlowState::new(6, Direction::Egress, 1, 1, 5_000).answered();
        assert_eq!(count(&set, &limits, 5_000), 2);
        assert_eq!(count(&FlowSet::default(), &limits, 0), 0);
    }
}

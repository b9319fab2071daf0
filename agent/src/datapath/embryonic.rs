//! The table of flows that wait for their answer, as far as `status` asks: how full it is.

use aya::maps::{Array, MapData};
use portreeve_common::{
    settings::Limits,
    table::{FlowSet, WAYS},
};

use super::{
    DatapathError, Pins,
    map::{failed, pinned, typed},
};

/// The map's name.
const NAME: &str = "EMBRYONIC";

/// The embryonic table.
pub struct Embryonic {
    sets: Array<MapData, FlowSet>,
}

impl Embryonic {
    /// The pinned one.
    ///
    /// # Errors
    /// It is missing or has another form.
    pub fn open(pins: &Pins) -> Result<Self, DatapathError> {
        Ok(Self { sets: typed(NAME, pinned(pins, NAME)?)? })
    }

    /// Flows that it has room for.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        u64::from(self.sets.len()) * WAYS as u64
    }

    /// Flows that may still be answered: one call of the kernel for each eight places.
    ///
    /// # Errors
    /// The map can't be read.
    pub fn waiting(&self, limits: &Limits, now: u64) -> Result<u64, DatapathError> {
        let mut waiting = 0;
        for set in self.sets.iter() {
            waiting += count(&set.map_err(|error| failed(NAME, error))?, limits, now);
        }
        Ok(waiting)
    }
}

fn count(set: &FlowSet, limits: &Limits, now: u64) -> u64 {
    let tags = set.tags.into_iter().flat_map(|word| [0, 16, 32, 48].map(|shift| (word >> shift) & 0xffff));
    let taken = tags.zip(&set.entries).filter(|(tag, _)| *tag != 0);
    taken.map(|(_, entry)| u64::from(entry.state.waits(limits, now))).sum()
}

#[cfg(test)]
mod tests {
    use portreeve_common::{Direction, flow::FlowState, table::with_tag};

    use super::*;

    #[test]
    fn free_places_and_those_that_waited_too_long_are_not_counted() {
        let limits = Limits::new(1_000, 60, 30, 180, 30);
        let mut set = FlowSet::default();
        for (place, seen) in [(0, 5_000), (3, 4_900), (6, 4_990)] {
            let (word, with) = with_tag(&set.tags, place, 7);
            set.tags[word] = with;
            set.entries[place].state = FlowState::new(6, Direction::Egress, 1, 1, seen);
        }
        set.entries[1].state = FlowState::new(6, Direction::Egress, 1, 1, 5_000);
        assert_eq!(count(&set, &limits, 5_000), 2);
    }
}

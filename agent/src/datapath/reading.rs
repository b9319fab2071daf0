//! What the kernel has counted, summed over its CPUs. What can't be read is an error, never zero.

use std::collections::BTreeMap;

use aya::{
    Pod,
    maps::{Array, MapData, PerCpuArray},
};
use portreeve_common::{
    Direction, Reason,
    counter::{
        FlowCounter, Happening, PortPage, TALKER_SETS, Talker, TalkerKey, TalkerSet, Tally, reason_slot,
    },
    switch::Mode,
};

use super::{
    DatapathError, Pins,
    map::{failed, pinned, typed},
    pages::Pages,
};

/// The counters of an instance.
pub struct Counters {
    ports: PerCpuArray<MapData, PortPage>,
    reasons: PerCpuArray<MapData, Tally>,
    talkers: PerCpuArray<MapData, TalkerSet>,
    flows: PerCpuArray<MapData, FlowCounter>,
    happenings: PerCpuArray<MapData, u64>,
    proofs: Option<Array<MapData, u64>>,
}

/// What happened to the tables themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Happenings {
    /// Answered flows that found the established table full.
    pub established_full: u64,
    /// Waiting flows that newer ones pushed out.
    pub embryonic_pushed_out: u64,
    /// Lines of the table of who that gave way to newer ones.
    pub talkers_pushed_out: u64,
    /// Learned addresses that gave way to newer ones while they still held.
    pub learned_pushed_out: u64,
}

impl Counters {
    /// The pinned ones.
    ///
    /// # Errors
    /// One is missing or has another form.
    pub fn open(pins: &Pins) -> Result<Self, DatapathError> {
        let proofs = pins.map(super::verify::PROOFS).exists();
        let proofs = proofs.then(|| typed(super::verify::PROOFS, pinned(pins, super::verify::PROOFS)?));
        Ok(Self {
            ports: typed("PORTS", pinned(pins, "PORTS")?)?,
            reasons: typed("REASONS", pinned(pins, "REASONS")?)?,
            talkers: typed("TALKERS", pinned(pins, "TALKERS")?)?,
            flows: typed("FLOWS", pinned(pins, "FLOWS")?)?,
            happenings: typed("HAPPENINGS", pinned(pins, "HAPPENINGS")?)?,
            proofs: proofs.transpose()?,
        })
    }

    /// Drops by port, and what is counted beside them.
    ///
    /// # Errors
    /// The map can't be read.
    pub fn pages(&self) -> Result<Pages, DatapathError> {
        Pages::read(&self.ports).map_err(|error| failed("PORTS", error))
    }

    /// What an interface counted for a reason, on the long way and in the pages.
    ///
    /// # Errors
    /// The map can't be read.
    pub fn reason(
        &self,
        pages: &Pages,
        slot: u32,
        mode: Mode,
        direction: Direction,
        reason: Reason,
    ) -> Result<Tally, DatapathError> {
        let place = reason_slot(slot, mode.would(), direction, reason as u8);
        let tallies = self.reasons.get(&place, 0).map_err(|error| failed("REASONS", error))?;
        let mut sum = pages.tally(slot, mode, direction, reason);
        for tally in tallies.iter() {
            sum += *tally;
        }
        if reason != super::verify::PROOF_REASON {
            return Ok(sum);
        }
        // Our own proofs are not traffic.
        let proofs = match &self.proofs {
            Some(proofs) => {
                let place = super::verify::proof_slot(slot, mode, direction);
                proofs.get(&place, 0).map_err(|error| failed(super::verify::PROOFS, error))?
            }
            None => 0,
        };
        Ok(Tally {
            packets: sum.packets.saturating_sub(proofs),
            bytes: sum.bytes.saturating_sub(proofs * super::verify::PROOF_BYTES),
        })
    }

    /// Who was dropped: one line a peer, port, reason and mode, the CPUs' lines put together.
    ///
    /// # Errors
    /// The map can't be read.
    pub fn talkers(&self, pages: &Pages) -> Result<Vec<Talker>, DatapathError> {
        let mut merged = BTreeMap::new();
        pages.latest().iter().for_each(|talker| merge(&mut merged, talker));
        for set in 0..TALKER_SETS {
            let sets = self.talkers.get(&set, 0).map_err(|error| failed("TALKERS", error))?;
            sets.iter().flatten().for_each(|talker| merge(&mut merged, talker));
        }
        Ok(merged.into_values().collect())
    }

    /// What was counted for a rule.
    ///
    /// # Errors
    /// The map can't be read.
    pub fn flow(&self, slot: u16) -> Result<FlowCounter, DatapathError> {
        let counters = self.flows.get(&slot.into(), 0).map_err(|error| failed("FLOWS", error))?;
        let mut sum = FlowCounter::default();
        for counter in counters.iter() {
            sum.passed += counter.passed;
            sum.dropped += counter.dropped;
            sum.seen = sum.seen.max(counter.seen);
        }
        Ok(sum)
    }

    /// Clears a rule's counters, before its slot goes to another flow.
    ///
    /// # Errors
    /// The map can't be written.
    pub fn clear_flow(&mut self, slot: u16) -> Result<(), DatapathError> {
        clear(&mut self.flows, slot.into()).map_err(|error| failed("FLOWS", error))
    }

    /// What happened to the tables.
    ///
    /// # Errors
    /// The map can't be read.
    pub fn happenings(&self) -> Result<Happenings, DatapathError> {
        let sum = |what: Happening| {
            let counts =
                self.happenings.get(&(what as u32), 0).map_err(|error| failed("HAPPENINGS", error))?;
            Ok::<u64, DatapathError>(counts.iter().sum())
        };
        Ok(Happenings {
            established_full: sum(Happening::EstablishedFull)?,
            embryonic_pushed_out: sum(Happening::EmbryonicPushedOut)?,
            talkers_pushed_out: sum(Happening::TalkerPushedOut)?,
            learned_pushed_out: sum(Happening::LearnedPushedOut)?,
        })
    }
}

fn clear<V: Pod + Default>(map: &mut PerCpuArray<MapData, V>, place: u32) -> Result<(), aya::maps::MapError> {
    let count = map.get(&place, 0)?.len();
    let zeros = aya::maps::PerCpuValues::try_from(vec![V::default(); count])?;
    map.set(place, zeros, 0)
}

fn merge(merged: &mut BTreeMap<TalkerKey, Talker>, talker: &Talker) {
    if !talker.key.is_present() {
        return;
    }
    let Some(known) = merged.get_mut(&talker.key) else {
        merged.insert(talker.key, *talker);
        return;
    };
    known.packets += talker.packets;
    known.first = known.first.min(talker.first);
    if talker.last > known.last {
        (known.last, known.cgroup, known.uid) = (talker.last, talker.cgroup, talker.uid);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use portreeve_common::Address;

    use super::*;

    #[test]
    fn a_peers_lines_on_two_cpus_are_one() {
        let peer: IpAddr = "198.51.100.7".parse().unwrap();
        let key = TalkerKey::new(Address::from(peer), 23, 6, Direction::Ingress, Mode::Enforce.would(), 24);
        let line = |packets, first, last| Talker { key, packets, first, last, ..Talker::default() };
        let mut merged = BTreeMap::new();
        for talker in [line(3, 20, 30), Talker::default(), line(4, 10, 25)] {
            merge(&mut merged, &talker);
        }
        assert_eq!(merged.into_values().collect::<Vec<_>>(), [line(7, 10, 30)]);
    }
}

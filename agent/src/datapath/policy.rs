//! The policy's tables: written page by page into the half that is not in force, made current by one store.

use std::collections::BTreeMap;

use aya::{
    Pod,
    maps::{Array, Map, MapData, MapError},
};
use portreeve_common::{
    Direction, Service,
    class::{Class, Documented, PeerBucket, Peering},
    clause::Clause,
    service::Transport,
    settings::Settings,
    switch::Switch,
};

use super::{DatapathError, Pins};
use crate::{crash, image::Image};

/// As in the kernel programs' `maps`.
const WORDS: usize = 2_048;
const PEERINGS: usize = 64;
const BUCKETS: usize = 32;
const CLAUSES: usize = 64;
const HALVES: u32 = 2;

/// What the programs address directly, as it lies in the kernel.
pub(super) struct Direct {
    pub(super) switch: u64,
    pub(super) settings: [Settings; HALVES as usize],
    pub(super) documented: Box<Bits>,
}

/// Which ports are documented, of both halves.
type Bits = [[u8; Documented::BYTES]; HALVES as usize];

impl Default for Direct {
    /// Nothing yet.
    fn default() -> Self {
        let documented = Box::new([[0; Documented::BYTES]; HALVES as usize]);
        Self { switch: 0, settings: [Settings::default(); HALVES as usize], documented }
    }
}

/// What one generation consists of.
#[derive(Clone, Copy, Debug)]
pub struct Tables<'a> {
    /// Class words by service.
    pub classes: &'a [u16],
    /// Numbered classes.
    pub peerings: &'a [Peering],
    /// The peer table.
    pub peers: &'a [PeerBucket],
    /// Rules that share a service.
    pub shared: &'a [u16],
    /// What rules look at besides the peer.
    pub clauses: &'a [Clause],
    /// The rest.
    pub settings: Settings,
}

impl<'a> From<&'a Image> for Tables<'a> {
    fn from(image: &'a Image) -> Self {
        Self {
            classes: &image.classes,
            peerings: &image.peerings,
            peers: &image.peers,
            shared: &image.shared,
            clauses: &image.clauses,
            settings: image.settings,
        }
    }
}

/// The maps that hold the policy.
pub struct PolicyMaps {
    switch: Array<MapData, u64>,
    settings: Array<MapData, [Settings; HALVES as usize]>,
    documented: Array<MapData, Bits>,
    classes: Array<MapData, [u16; WORDS]>,
    peerings: Array<MapData, [Peering; PEERINGS]>,
    peers: Array<MapData, [PeerBucket; BUCKETS]>,
    shared: Array<MapData, [u16; WORDS]>,
    clauses: Array<MapData, [Clause; CLAUSES]>,
}

impl PolicyMaps {
    /// The pinned ones of an instance.
    ///
    /// # Errors
    /// One is missing or has another form.
    pub fn open(pins: &Pins) -> Result<Self, DatapathError> {
        Self::from_maps(|name| pinned(pins, name))
    }

    /// From wherever `map` takes them.
    pub(super) fn from_maps(
        mut map: impl FnMut(&'static str) -> Result<Map, DatapathError>,
    ) -> Result<Self, DatapathError> {
        Ok(Self {
            switch: typed("SWITCH", map("SWITCH")?)?,
            settings: typed("SETTINGS", map("SETTINGS")?)?,
            documented: typed("DOCUMENTED", map("DOCUMENTED")?)?,
            classes: typed("CLASSES", map("CLASSES")?)?,
            peerings: typed("PEERINGS", map("PEERINGS")?)?,
            peers: typed("PEERS", map("PEERS")?)?,
            shared: typed("SHARED", map("SHARED")?)?,
            clauses: typed("CLAUSES", map("CLAUSES")?)?,
        })
    }

    /// What is in force.
    ///
    /// # Errors
    /// The map can't be read.
    pub fn switch(&self) -> Result<Switch, DatapathError> {
        self.switch.get(&0, 0).map(Switch::from_word).map_err(|error| failed("SWITCH", error))
    }

    /// Makes a generation or a mode current, in every program at once.
    ///
    /// # Errors
    /// The map can't be written.
    pub fn set_switch(&mut self, switch: Switch) -> Result<(), DatapathError> {
        crash::point();
        self.switch.set(0, switch.word(), 0).map_err(|error| failed("SWITCH", error))?;
        crash::point();
        Ok(())
    }

    /// Settings of a generation.
    ///
    /// # Errors
    /// The map can't be read.
    pub fn settings(&self, generation: u16) -> Result<Settings, DatapathError> {
        let [even, odd] = self.settings.get(&0, 0).map_err(|error| failed("SETTINGS", error))?;
        Ok(if half(generation) == 0 { even } else { odd })
    }

    /// Writes a generation's settings, in force or not; the other half is written as it stands.
    ///
    /// # Errors
    /// The map can't be written.
    pub fn set_settings(&mut self, generation: u16, settings: &Settings) -> Result<(), DatapathError> {
        let [even, odd] = self.settings.get(&0, 0).map_err(|error| failed("SETTINGS", error))?;
        let both = if half(generation) == 0 { [*settings, odd] } else { [even, *settings] };
        crash::point();
        self.settings.set(0, both, 0).map_err(|error| failed("SETTINGS", error))
    }

    /// What is pinned of it.
    ///
    /// # Errors
    /// A map can't be read.
    pub(super) fn direct(pins: &Pins) -> Result<Direct, DatapathError> {
        let Self { switch, settings, documented, .. } = Self::open(pins)?;
        let documented = documented.get(&0, 0).map_err(|error| failed("DOCUMENTED", error))?;
        Ok(Direct {
            documented: Box::new(documented),
            switch: switch.get(&0, 0).map_err(|error| failed("SWITCH", error))?,
            settings: settings.get(&0, 0).map_err(|error| failed("SETTINGS", error))?,
        })
    }

    /// Writes a generation's tables into its half; pages that stand there already are left alone.
    ///
    /// # Errors
    /// A map can't be written, or the tables are larger than the maps.
    pub fn write(&mut self, generation: u16, tables: &Tables<'_>) -> Result<(), DatapathError> {
        let Tables { classes, peerings, peers, shared, clauses, settings } = tables;
        self.write_documented(generation, classes)?;
        pages(&mut self.classes, generation, classes).map_err(|error| failed("CLASSES", error))?;
        pages(&mut self.peerings, generation, peerings).map_err(|error| failed("PEERINGS", error))?;
        pages(&mut self.peers, generation, peers).map_err(|error| failed("PEERS", error))?;
        pages(&mut self.shared, generation, shared).map_err(|error| failed("SHARED", error))?;
        pages(&mut self.clauses, generation, clauses).map_err(|error| failed("CLAUSES", error))?;
        self.set_settings(generation, settings)
    }

    /// As for the settings, the other half is written as it stands.
    fn write_documented(&mut self, generation: u16, classes: &[u16]) -> Result<(), DatapathError> {
        let mut bits = self.documented.get(&0, 0).map_err(|error| failed("DOCUMENTED", error))?;
        let [even, odd] = &mut bits;
        let spare = if half(generation) == 0 { even } else { odd };
        spare.copy_from_slice(&documented(classes));
        crash::point();
        self.documented.set(0, bits, 0).map_err(|error| failed("DOCUMENTED", error))
    }

    /// Whether a half holds exactly these tables; the adoption window aside.
    ///
    /// # Errors
    /// A map can't be read.
    pub fn holds(&self, generation: u16, tables: &Tables<'_>) -> Result<bool, DatapathError> {
        Ok(self.differing(generation, &Expected::of(tables))?.is_empty())
    }

    /// The maps that don't hold what they should; the adoption window aside.
    ///
    /// # Errors
    /// A map can't be read.
    pub fn differing(
        &self,
        generation: u16,
        expected: &Expected,
    ) -> Result<Vec<&'static str>, DatapathError> {
        let Expected { settings, documented, classes, peerings, peers, shared, clauses } = expected;
        let now = self.settings(generation)?;
        let [even, odd] = self.documented.get(&0, 0).map_err(|error| failed("DOCUMENTED", error))?;
        let bits = if half(generation) == 0 { even } else { odd };
        let same = [
            ("SETTINGS", now.adopting_until(settings.adopt_until()) == *settings),
            ("DOCUMENTED", bits.as_slice() == documented),
            ("CLASSES", same("CLASSES", &self.classes, generation, classes)?),
            ("PEERINGS", same("PEERINGS", &self.peerings, generation, peerings)?),
            ("PEERS", same("PEERS", &self.peers, generation, peers)?),
            ("SHARED", same("SHARED", &self.shared, generation, shared)?),
            ("CLAUSES", same("CLAUSES", &self.clauses, generation, clauses)?),
        ];
        Ok(same.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect())
    }
}

/// What a half should hold, as little as that takes: pages that are empty are left out.
pub struct Expected {
    settings: Settings,
    documented: Vec<u8>,
    classes: Pages<u16, WORDS>,
    peerings: Pages<Peering, PEERINGS>,
    peers: Pages<PeerBucket, BUCKETS>,
    shared: Pages<u16, WORDS>,
    clauses: Pages<Clause, CLAUSES>,
}

type Pages<V, const N: usize> = BTreeMap<u32, Box<[V; N]>>;

impl Expected {
    /// Of these tables.
    #[must_use]
    pub fn of(tables: &Tables<'_>) -> Self {
        let Tables { classes, peerings, peers, shared, clauses, settings } = tables;
        Self {
            settings: *settings,
            documented: documented(classes),
            classes: filled(classes),
            peerings: filled(peerings),
            peers: filled(peers),
            shared: filled(shared),
            clauses: filled(clauses),
        }
    }
}

/// A bit for each port that has a class.
fn documented(classes: &[u16]) -> Vec<u8> {
    const PORTS: usize = 65_536;
    let mut bits = vec![0; Documented::BYTES];
    for direction in Direction::ALL {
        for transport in [Transport::TCP, Transport::UDP] {
            let first = Service::port_slot(direction, transport, 0) as usize;
            let Documented { byte, bit: _ } = Documented::of(direction, transport, 0);
            let ports = classes.get(first..).unwrap_or_default();
            let ports = ports.get(..PORTS).unwrap_or(ports);
            // Eight ports a byte, the first in its lowest bit: looking each one up takes longer than all the rest of
            // a change of one rule.
            for (byte, eight) in bits.iter_mut().skip(byte as usize).zip(ports.chunks(8)) {
                *byte = eight
                    .iter()
                    .rev()
                    .fold(0, |byte, class| byte << 1 | u8::from(*class != Class::NONE.word()));
            }
        }
    }
    bits
}

/// A pinned map.
pub(super) fn pinned(pins: &Pins, name: &'static str) -> Result<Map, DatapathError> {
    let data = MapData::from_pin(pins.map(name)).map_err(|error| failed(name, error))?;
    Map::from_map_data(data).map_err(|error| failed(name, error))
}

pub(super) fn typed<T: TryFrom<Map, Error = MapError>>(
    name: &'static str,
    map: Map,
) -> Result<T, DatapathError> {
    T::try_from(map).map_err(|error| failed(name, error))
}

pub(super) fn failed(name: &'static str, source: MapError) -> DatapathError {
    DatapathError::Map { name, source: Box::new(source) }
}

const fn half(generation: u16) -> u32 {
    generation as u32 & (HALVES - 1)
}

/// A page of a table; what the table doesn't reach is empty.
fn page<V: Pod + Default, const N: usize>(table: &[V], number: u32) -> [V; N] {
    let mut page = [V::default(); N];
    for (to, from) in page.iter_mut().zip(rest(table, number, N)) {
        *to = *from;
    }
    page
}

/// A table from a page on.
fn rest<V>(table: &[V], number: u32, length: usize) -> &[V] {
    let begin = usize::try_from(number).unwrap_or(usize::MAX).saturating_mul(length);
    table.get(begin..).unwrap_or_default()
}

fn fits<V: Pod, const N: usize>(map: &Array<MapData, [V; N]>, table: &[V]) -> Result<u32, MapError> {
    let count = map.len() / HALVES;
    let needed = u32::try_from(table.len().div_ceil(N)).unwrap_or(u32::MAX);
    if needed > count {
        return Err(MapError::OutOfBounds { index: needed, max_entries: count });
    }
    Ok(count)
}

fn pages<V: Pod + Default + PartialEq, const N: usize>(
    map: &mut Array<MapData, [V; N]>,
    generation: u16,
    table: &[V],
) -> Result<(), MapError> {
    let count = fits(map, table)?;
    let first = half(generation) * count;
    for number in 0..count {
        let now = map.get(&(first + number), 0)?;
        // Most pages stand there already, and most are whole: they are compared where they lie.
        let same = match rest(table, number, N).first_chunk::<N>() {
            Some(page) => now == *page,
            None => now == page(table, number),
        };
        if !same {
            crash::point();
            map.set(first + number, page(table, number), 0)?;
        }
    }
    Ok(())
}

fn filled<V: Pod + Default + PartialEq, const N: usize>(table: &[V]) -> Pages<V, N> {
    let mut pages = Pages::new();
    for (number, of_table) in (0..).zip(table.chunks(N)) {
        if of_table.iter().any(|value| *value != V::default()) {
            pages.insert(number, Box::new(page(table, number)));
        }
    }
    pages
}

fn same<V: Pod + Default + PartialEq, const N: usize>(
    name: &'static str,
    map: &Array<MapData, [V; N]>,
    generation: u16,
    pages: &Pages<V, N>,
) -> Result<bool, DatapathError> {
    let count = map.len() / HALVES;
    let first = half(generation) * count;
    for number in 0..count {
        let now = map.get(&(first + number), 0).map_err(|error| failed(name, error))?;
        let same = match pages.get(&number) {
            Some(page) => **page == now,
            None => now.iter().all(|value| *value == V::default()),
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(pages.keys().all(|number| *number < count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_for_each_port_with_a_class() {
        let mut classes = vec![0; Service::SLOTS as usize];
        let ports = [0, 1, 7, 8, 443, 65_534, 65_535];
        let services = Direction::ALL
            .into_iter()
            .flat_map(|direction| [Transport::TCP, Transport::UDP].map(|transport| (direction, transport)));
        for (number, (direction, transport)) in services.clone().enumerate() {
            for port in ports.into_iter().skip(number) {
                classes[Service::port_slot(direction, transport, port) as usize] = 0x8001;
            }
        }
        let bits = documented(&classes);
        assert_eq!(bits.len(), Documented::BYTES);
        for (number, (direction, transport)) in services.enumerate() {
            for port in 0..=u16::MAX {
                let Documented { byte, bit } = Documented::of(direction, transport, port);
                let ruled = ports.iter().skip(number).any(|it| *it == port);
                assert_eq!(bits[byte as usize] >> bit & 1 == 1, ruled, "{direction:?} {port}");
            }
        }
    }

    #[test]
    fn a_page_beyond_the_table_is_empty() {
        let table: Vec<u16> = (1..=5).collect();
        assert_eq!(page::<u16, 4>(&table, 0), [1, 2, 3, 4]);
        assert_eq!(page::<u16, 4>(&table, 1), [5, 0, 0, 0]);
        assert_eq!(page::<u16, 4>(&table, 2), [0; 4]);
    }
}

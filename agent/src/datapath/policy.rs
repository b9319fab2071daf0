//! The policy's tables: written page by page into the half that is not in force, made current by one store.

mod documented;
mod expected;
mod page;

use aya::maps::{
    Array, Map, MapData, MapError,
    lpm_trie::{Key, LpmTrie},
};
use portreeve_common::{
    class::{Documented, PeerBucket, Peering},
    clause::Clause,
    names::{KEY_BYTES, NameKey},
    page::{self as of_pages, HALVES, half},
    settings::Settings,
    switch::Switch,
};

pub use self::expected::Expected;
use self::{
    documented::documented,
    expected::{Patterns, patterns},
    page::{pages, same},
};
use super::{
    DatapathError, Pins,
    map::{failed, pinned, typed},
};
use crate::{crash, image::Image};

/// Entries of a page.
const WORDS: usize = of_pages::WORDS as usize;
const PEERINGS: usize = of_pages::PEERINGS as usize;
const BUCKETS: usize = of_pages::BUCKETS as usize;
const CLAUSES: usize = of_pages::CLAUSES as usize;

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
    /// Names and wildcards whose addresses are learned.
    pub names: &'a [String],
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
            names: &image.names,
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
    names: LpmTrie<MapData, [u8; KEY_BYTES], u64>,
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
            names: typed("NAMES", map("NAMES")?)?,
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
        let Tables { classes, peerings, peers, shared, clauses, names, settings } = tables;
        self.write_documented(generation, classes)?;
        pages(&mut self.classes, generation, classes).map_err(|error| failed("CLASSES", error))?;
        pages(&mut self.peerings, generation, peerings).map_err(|error| failed("PEERINGS", error))?;
        pages(&mut self.peers, generation, peers).map_err(|error| failed("PEERS", error))?;
        pages(&mut self.shared, generation, shared).map_err(|error| failed("SHARED", error))?;
        pages(&mut self.clauses, generation, clauses).map_err(|error| failed("CLAUSES", error))?;
        self.write_names(generation, &patterns(generation, names)).map_err(|error| failed("NAMES", error))?;
        self.set_settings(generation, settings)
    }

    /// What stands there of another generation goes, the rest stays.
    fn write_names(&mut self, generation: u16, patterns: &Patterns) -> Result<(), MapError> {
        let standing = self.standing_names(generation)?;
        for key in standing.keys().filter(|key| !patterns.contains_key(key)) {
            crash::point();
            self.names.remove(&Key::new(key.bits, key.data))?;
        }
        for (key, id) in patterns.iter().filter(|(key, id)| standing.get(key) != Some(id)) {
            crash::point();
            self.names.insert(&Key::new(key.bits, key.data), id, 0)?;
        }
        Ok(())
    }

    fn standing_names(&self, generation: u16) -> Result<Patterns, MapError> {
        let mut standing = Patterns::new();
        for entry in self.names.iter() {
            let (key, id) = entry?;
            let key = NameKey { bits: key.prefix_len(), data: key.data() };
            if key.is_of(generation) {
                standing.insert(key, id);
            }
        }
        Ok(standing)
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
        let Expected { settings, documented, classes, peerings, peers, shared, clauses, names } = expected;
        let now = self.settings(generation)?;
        let [even, odd] = self.documented.get(&0, 0).map_err(|error| failed("DOCUMENTED", error))?;
        let bits = if half(generation) == 0 { even } else { odd };
        let standing = self.standing_names(generation).map_err(|error| failed("NAMES", error))?;
        let same = [
            ("SETTINGS", now.adopting_until(settings.adopt_until()) == *settings),
            ("DOCUMENTED", bits.as_slice() == documented),
            ("CLASSES", same("CLASSES", &self.classes, generation, classes)?),
            ("PEERINGS", same("PEERINGS", &self.peerings, generation, peerings)?),
            ("PEERS", same("PEERS", &self.peers, generation, peers)?),
            ("SHARED", same("SHARED", &self.shared, generation, shared)?),
            ("CLAUSES", same("CLAUSES", &self.clauses, generation, clauses)?),
            ("NAMES", standing == patterns(generation, names)),
        ];
        Ok(same.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect())
    }
}

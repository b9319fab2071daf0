//! What resolvers answered: learned addresses, the names that were asked for, and how their messages were counted.

use aya::{
    Ebpf, TestRun, TestRunOptions,
    maps::{Array, HashMap, Map, MapData, PerCpuArray},
    programs::Xdp,
};
use aya_obj::programs::XdpAttachType;
use portreeve_common::{
    Address,
    dns::{Hint, Outcome},
    names::{LearnedName, LearnedSet, Order},
};

use super::{
    DatapathError, Pins,
    map::{failed, pinned, typed},
    object::ORDER,
};

/// Anything that the kernel takes for a frame.
const FRAME: [u8; 64] = [0; 64];

/// The tables, for reading.
pub struct Names {
    learned: Array<MapData, LearnedSet>,
    hints: HashMap<MapData, Address, Hint>,
    handed: HashMap<MapData, u64, Hint>,
    answers: PerCpuArray<MapData, u64>,
}

impl Names {
    /// The pinned ones of an instance.
    ///
    /// # Errors
    /// One is missing or has another form.
    pub fn open(pins: &Pins) -> Result<Self, DatapathError> {
        Self::from_maps(|name| pinned(pins, name))
    }

    /// Those that `map` finds by name.
    ///
    /// # Errors
    /// It does not find one, or one has another form.
    pub(super) fn from_maps(
        mut map: impl FnMut(&'static str) -> Result<Map, DatapathError>,
    ) -> Result<Self, DatapathError> {
        Ok(Self {
            learned: typed("LEARNED", map("LEARNED")?)?,
            hints: typed("HINTS", map("HINTS")?)?,
            handed: typed("HANDED", map("HANDED")?)?,
            answers: typed("ANSWERS", map("ANSWERS")?)?,
        })
    }

    /// All names of all addresses, in the order of these; some may be over.
    ///
    /// # Errors
    /// The map can't be read.
    pub fn learned(&self) -> Result<Vec<LearnedName>, DatapathError> {
        let mut learned = Vec::new();
        for set in self.learned.iter() {
            let LearnedSet { places, .. } = set.map_err(|error| failed("LEARNED", error))?;
            learned.extend(places.into_iter().filter(|name| name.id != 0));
        }
        learned.sort_by_key(|name| (name.address.octets(), name.id));
        Ok(learned)
    }

    /// The name that each address was last answered for, wanted or not.
    ///
    /// # Errors
    /// The map can't be read.
    pub fn hints(&self) -> Result<Vec<(Address, Hint)>, DatapathError> {
        self.hints.iter().collect::<Result<_, _>>().map_err(|error| failed("HINTS", error))
    }

    /// The name that an address was last answered for.
    ///
    /// # Errors
    /// The map can't be read.
    pub fn hint(&self, address: &Address) -> Result<Option<Hint>, DatapathError> {
        match self.hints.get(address, 0) {
            Ok(hint) => Ok(Some(hint)),
            Err(aya::maps::MapError::KeyNotFound) => Ok(None),
            Err(error) => Err(failed("HINTS", error)),
        }
    }

    /// Wanted names whose answers could not be read whole; each is told once.
    ///
    /// # Errors
    /// The map can't be read or written.
    pub fn take_handed(&mut self) -> Result<Vec<Hint>, DatapathError> {
        let handed: Vec<(u64, Hint)> =
            self.handed.iter().collect::<Result<_, _>>().map_err(|error| failed("HANDED", error))?;
        let mut hints = Vec::new();
        for (key, hint) in handed {
            match self.handed.remove(&key) {
                Ok(()) | Err(aya::maps::MapError::KeyNotFound) => hints.push(hint),
                Err(error) => return Err(failed("HANDED", error)),
            }
        }
        Ok(hints)
    }

    /// How many of resolvers' messages came to what.
    ///
    /// # Errors
    /// The map can't be read.
    pub fn answers(&self) -> Result<Vec<(Outcome, u64)>, DatapathError> {
        let count = |outcome: Outcome| {
            let cpus = self.answers.get(&(outcome as u32), 0).map_err(|error| failed("ANSWERS", error))?;
            Ok((outcome, cpus.iter().sum()))
        };
        Outcome::ALL.into_iter().map(count).collect()
    }
}

/// The program that changes what was learned, under the locks that only programs can hold.
pub struct Orders {
    program: Xdp,
    map: Array<MapData, Order>,
}

impl Orders {
    /// The pinned one of an instance.
    ///
    /// # Errors
    /// There is none.
    pub fn open(pins: &Pins) -> Result<Self, DatapathError> {
        let program = Xdp::from_pin(pins.order(), XdpAttachType::Interface)
            .map_err(|error| DatapathError::program("order", "cannot open the pinned program", error))?;
        Ok(Self { program, map: typed(ORDER, pinned(pins, ORDER)?)? })
    }

    /// Pins the program of an object whose maps are pinned, unless one is.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn pin(ebpf: &mut Ebpf, pins: &Pins) -> Result<(), DatapathError> {
        let path = pins.order();
        if path.exists() {
            return Ok(());
        }
        let program = ebpf.program_mut("order").ok_or(DatapathError::Missing("order"))?;
        let failed = |error| DatapathError::program("order", "cannot load the program", error);
        let program: &mut Xdp = program.try_into().map_err(failed)?;
        program.load().map_err(failed)?;
        program.pin(&path).map_err(|source| DatapathError::Pin { path, source: Box::new(source) })
    }

    /// Puts a name to an address, or lets it hold longer.
    ///
    /// # Errors
    /// The program does not run.
    pub fn learn(&mut self, name: LearnedName) -> Result<(), DatapathError> {
        self.give(Order { what: Order::LEARN, name })
    }

    /// Takes a name off an address.
    ///
    /// # Errors
    /// The program does not run.
    pub fn forget(&mut self, name: LearnedName) -> Result<(), DatapathError> {
        self.give(Order { what: Order::FORGET, name })
    }

    fn give(&mut self, order: Order) -> Result<(), DatapathError> {
        self.map.set(0, order, 0).map_err(|error| failed(ORDER, error))?;
        let options = TestRunOptions { data_in: Some(&FRAME), ..TestRunOptions::default() };
        let run = self.program.test_run(options);
        run.map(drop).map_err(|error| DatapathError::program("order", "cannot run the program", error))
    }
}

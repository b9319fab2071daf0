//! The kernel programs as they were built, and what is set in them before they are loaded.

#[cfg(test)]
mod stack;

use aya::{Ebpf, EbpfLoader, include_bytes_aligned, maps::MapData};
use portreeve_common::{
    clause::{self, ANY_INTERFACE, Interfaces},
    hash,
    switch::{Posture, Switch},
    table::WAYS,
};

use super::{
    DatapathError, Pins,
    policy::{Direct, PolicyMaps},
};
use crate::{crash, policy::host::StateLimits};

static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/datapath"));

/// Maps that outlive a program: every interface and every start of the agent shares them.
pub const SHARED_MAPS: [&str; 25] = [
    "SWITCH",
    "SETTINGS",
    "DOCUMENTED",
    "CLASSES",
    "PEERINGS",
    "PEERS",
    "SHARED",
    "CLAUSES",
    "NAMES",
    "ESTABLISHED",
    "EMBRYONIC",
    "CONTROLS",
    "FRAGMENTS",
    "QUERIES",
    "OTHERS",
    "LEARNED",
    "ADDRESSES",
    "HINTS",
    "HANDED",
    "ANSWERS",
    "FLOWS",
    "PORTS",
    "REASONS",
    "TALKERS",
    "HAPPENINGS",
];

/// The maps that hold the policy, but for the switch.
const POLICY_MAPS: [&str; 8] =
    ["SETTINGS", "DOCUMENTED", "CLASSES", "PEERINGS", "PEERS", "SHARED", "CLAUSES", "NAMES"];

/// Sets of the state tables of programs that are only asked.
const ASKED_SETS: Sets = Sets { established: 64, embryonic: 1_024 };
/// Counters that nobody reads: a look-up beyond the end is a miss, and nothing is counted.
const UNREAD: [&str; 4] = ["FLOWS", "PORTS", "REASONS", "TALKERS"];

/// Where the clock program leaves the time; pinned, so that commands can ask it while no daemon runs.
pub const CLOCK: &str = "CLOCK";
/// Where the agent leaves what is to be done with a learned name.
pub const ORDER: &str = "ORDER";

/// What a shared map is called in the object: those that the programs address directly are sections of it, and bpffs
/// takes no dots.
#[must_use]
pub fn in_object(name: &'static str) -> &'static str {
    match name {
        "SWITCH" => ".bss.switch",
        "SETTINGS" => ".bss.settings",
        "DOCUMENTED" => ".bss.documented",
        name => name,
    }
}

/// Words that those who aim at a bucket of the state tables would have to know.
pub type Secret = [u64; 2];

/// Sets of the state tables: powers of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sets {
    /// Of flows that were answered.
    pub established: u32,
    /// Of flows that wait for their answer.
    pub embryonic: u32,
}

/// What a program is told before it is loaded.
#[derive(Clone, Copy, Debug)]
pub struct Globals {
    slot: u32,
    interfaces: Interfaces,
    secret: Secret,
    sets: Sets,
}

impl Globals {
    /// Of programs for the interface with this place.
    #[must_use]
    pub const fn of(slot: u32, secret: Secret, sets: Sets) -> Self {
        Self { slot, interfaces: clause::interface(slot), secret, sets }
    }

    /// Of programs that stand for every interface: they are not attached.
    #[must_use]
    pub const fn of_any(secret: Secret, sets: Sets) -> Self {
        Self { slot: 0, interfaces: ANY_INTERFACE, secret, sets }
    }

    /// The same on these interfaces only.
    #[must_use]
    pub const fn on(self, interfaces: Interfaces) -> Self {
        Self { interfaces, ..self }
    }
}

impl Sets {
    /// For a host file's capacities, rounded up.
    #[must_use]
    pub fn of(limits: &StateLimits) -> Self {
        let sets = |entries: u32| (entries / WAYS_U32).max(1).next_power_of_two();
        Self { established: sets(limits.established), embryonic: sets(limits.embryonic) }
    }

    /// Of the tables that are pinned: programs that are loaded later have to agree with them.
    ///
    /// # Errors
    /// A pinned table can't be opened.
    pub fn pinned(pins: &Pins) -> Result<Option<Self>, DatapathError> {
        let (established, embryonic) = (pins.map("ESTABLISHED"), pins.map("EMBRYONIC"));
        if !established.exists() || !embryonic.exists() {
            return Ok(None);
        }
        let sets = |name, path| {
            let map = |source| DatapathError::Map { name, source: Box::new(source) };
            let info = MapData::from_pin(path).and_then(|data| data.info()).map_err(map)?;
            Ok(info.max_entries())
        };
        Ok(Some(Self {
            established: sets("ESTABLISHED", established)?,
            embryonic: sets("EMBRYONIC", embryonic)?,
        }))
    }

    /// Flows that the established table has room for.
    #[must_use]
    pub const fn established_capacity(&self) -> u32 {
        self.established * WAYS_U32
    }
}

#[expect(clippy::cast_possible_truncation, reason = "eight")]
const WAYS_U32: u32 = WAYS as u32;

/// Loads the object: with the shared maps of an instance, or with maps of its own.
///
/// # Errors
/// The kernel refuses a map, or a pinned map has another form.
pub fn load(globals: &Globals, pins: Option<&Pins>) -> Result<Ebpf, DatapathError> {
    // Of a section that is a map, aya writes the first content even into one that is pinned already: what is in force
    // has to be that content, or every load would undo the policy. The instance's lock keeps it from changing.
    let direct = pins.filter(|pins| pins.exist()).map(PolicyMaps::direct).transpose()?.unwrap_or_default();
    let shared: &[&str] = if pins.is_some() { &SHARED_MAPS } else { &[] };
    let own: &[&str] = if pins.is_some() { &[CLOCK, ORDER] } else { &[] };
    load_with(globals, &direct, pins, shared.iter().chain(own).copied(), &[])
}

/// Loads the object to be asked over the policy of an instance, as if `posture` were in force; what it counts and
/// remembers is its own.
///
/// # Errors
/// As [`load`].
pub(super) fn load_over(pins: &Pins, secret: Secret, posture: Posture) -> Result<Ebpf, DatapathError> {
    let globals = Globals::of_any(secret, ASKED_SETS);
    let switch = Switch::settled(posture, posture).word();
    let direct = Direct { switch, ..PolicyMaps::direct(pins)? };
    load_with(&globals, &direct, Some(pins), POLICY_MAPS.into_iter(), &UNREAD)
}

fn load_with(
    globals: &Globals,
    direct: &Direct,
    pins: Option<&Pins>,
    shared: impl Iterator<Item = &'static str>,
    unread: &[&'static str],
) -> Result<Ebpf, DatapathError> {
    let Globals { slot, interfaces, secret, sets } = globals;
    let Direct { switch, settings, documented } = direct;
    let mut loader = EbpfLoader::new();
    // Nothing in the programs depends on the kernel's types: reading them would take more memory than all else.
    loader
        .btf(None)
        .override_global("INTERFACE", slot, true)
        .override_global("INTERFACES", interfaces, true)
        .override_global("SECRET", secret, true)
        .override_global("SETS_ESTABLISHED", &sets.established, true)
        .override_global("SETS_EMBRYONIC", &sets.embryonic, true)
        .override_global("SWITCH", switch, true)
        .override_global("SETTINGS", settings, true)
        .override_global("DOCUMENTED", &**documented, true)
        .map_max_entries("ESTABLISHED", sets.established)
        .map_max_entries("EMBRYONIC", sets.embryonic);
    for name in unread {
        loader.map_max_entries(name, 1);
    }
    for name in shared {
        if let Some(pins) = pins {
            loader.map_pin_path(in_object(name), pins.map(name));
        }
    }
    crash::point();
    loader.load(OBJECT).map_err(|error| DatapathError::Object(Box::new(error)))
}

/// What identifies the programs that this agent carries: FNV-1a over their object.
#[must_use]
pub fn version() -> u64 {
    hash::fnv1a(hash::FNV_BASIS, OBJECT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_a_power_of_two_of_sets() {
        let limits = StateLimits { established: 65_536, embryonic: 1_500, ..StateLimits::default() };
        assert_eq!(Sets::of(&limits), Sets { established: 8_192, embryonic: 256 });
        assert_eq!(Sets::of(&limits).established_capacity(), 65_536);
    }
}

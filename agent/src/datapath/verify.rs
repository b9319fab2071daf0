//! What really stands in front of an interface: one word a direction, computed from the kernel's links and programs
//! and proven with a packet.
//!
//! The proof is a frame whose IPv4 header has version 0, run through the program that the link names. It is
//! `malformed` under every policy, so it moves no port, flow or talker; the one reason counter that it moves is
//! corrected by the number of proofs, which a map of ours beside the others counts.

use aya::{
    TestRun, TestRunOptions,
    maps::{Array, Map, MapData, MapInfo},
    programs::{ProgramInfo, SchedClassifier, TcAttachType, Xdp, loaded_programs},
};
use aya_obj::programs::XdpAttachType;
use portreeve_common::{
    Direction, Reason,
    counter::MAX_INTERFACES,
    switch::{Mode, Posture},
};
use serde::Serialize;

use super::{
    DatapathError, Pins,
    attach::Cover,
    clsact, foreign, interface,
    link::{self, LinkFacts},
    map::{failed, pinned, typed},
    object::SHARED_MAPS,
    pins::Hook,
};

/// Counts the proofs, by interface, mode and direction.
pub const PROOFS: &str = "PROOFS";
/// What a proof is counted as by the programs.
pub const PROOF_REASON: Reason = Reason::Malformed;
/// Length of a proof's frame.
pub const PROOF_BYTES: u64 = PROOF.len() as u64;

/// Ethernet from and to nobody, IPv4 by its type, and then zeros.
const PROOF: [u8; 60] = {
    let mut frame = [0; 60];
    frame[12] = 0x08;
    frame
};

const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;
const TC_SHOT: u32 = 2;
/// `TCX_NEXT`, -1.
const TC_NEXT: u32 = u32::MAX;

/// The state of one direction of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Drops, in the driver.
    EnforcingNative,
    /// Drops, in the traffic control layer.
    EnforcingTc,
    /// Judges and counts.
    Observing,
    /// Something is there, but not as it should be.
    Degraded(String),
    /// Nothing of ours is there.
    Off(String),
}

impl Standing {
    /// The word of metrics; a cause is not in it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::EnforcingNative => "enforcing-native",
            Self::EnforcingTc => "enforcing-tc",
            Self::Observing => "observing",
            Self::Degraded(_) => "degraded",
            Self::Off(_) => "off",
        }
    }

    /// All words.
    pub const WORDS: [&'static str; 5] = ["enforcing-native", "enforcing-tc", "observing", "degraded", "off"];

    /// Whether it is as it should be.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        matches!(self, Self::EnforcingNative | Self::EnforcingTc | Self::Observing)
    }
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Degraded(why) => write!(f, "degraded: {why}"),
            Self::Off(why) => write!(f, "off: {why}"),
            Self::EnforcingNative | Self::EnforcingTc | Self::Observing => f.write_str(self.word()),
        }
    }
}

impl Serialize for Standing {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Place of a number of proofs.
#[must_use]
pub const fn proof_slot(slot: u32, mode: Mode, direction: Direction) -> u32 {
    let observed = matches!(mode, Mode::Observe) as u32;
    slot * 4 + observed * 2 + direction.index()
}

/// Makes the map that counts proofs, unless it is there.
///
/// # Errors
/// The kernel refuses.
pub fn create_proofs(pins: &Pins) -> Result<(), DatapathError> {
    let path = pins.map(PROOFS);
    if path.exists() {
        return Ok(());
    }
    let map = Array::<MapData, u64>::create(MAX_INTERFACES * 4, 0).map_err(|error| failed(PROOFS, error))?;
    map.pin(&path).map_err(|source| DatapathError::Pin { path, source: Box::new(source) })
}

/// What stands on an interface in a direction. The instance's lock has to be held: two proofs at once would be
/// counted as one.
///
/// # Errors
/// The kernel doesn't say.
pub fn standing(
    pins: &Pins,
    name: &str,
    slot: u32,
    cover: &Cover,
    direction: Direction,
    posture: Posture,
) -> Result<Standing, DatapathError> {
    let (hook, facts) = match attached(pins, name, cover, direction)? {
        Ok(attached) => attached,
        Err(trouble) => return Ok(trouble),
    };
    let mode = posture.mode(direction);
    let drops = prove(pins, &facts, hook, slot, mode, direction)?;
    Ok(match (drops, mode, hook) {
        (true, Mode::Enforce, Hook::Xdp) => Standing::EnforcingNative,
        (true, Mode::Enforce, Hook::Ingress | Hook::Egress) => Standing::EnforcingTc,
        (false, Mode::Observe, _) => Standing::Observing,
        (false, Mode::Enforce, _) => {
            Standing::Degraded("the attached program lets a malformed packet pass".into())
        }
        (true, Mode::Observe, _) => {
            Standing::Degraded("the attached program drops while it should observe".into())
        }
    })
}

/// What is wrong on an interface in a direction, as far as can be told without a packet.
///
/// # Errors
/// The kernel doesn't say.
pub fn trouble(
    pins: &Pins,
    name: &str,
    cover: &Cover,
    direction: Direction,
) -> Result<Option<Standing>, DatapathError> {
    Ok(attached(pins, name, cover, direction)?.err())
}

/// The hook that judges a direction and the link that is there, or what is wrong with it.
fn attached(
    pins: &Pins,
    name: &str,
    cover: &Cover,
    direction: Direction,
) -> Result<Result<(Hook, LinkFacts), Standing>, DatapathError> {
    let hook = match direction {
        Direction::Egress => Hook::Egress,
        Direction::Ingress if cover.native => Hook::Xdp,
        Direction::Ingress => Hook::Ingress,
    };
    let off = |why: String| Ok(Err(Standing::Off(why)));
    let Ok(index) = interface::index(name) else { return off("the interface is missing".into()) };
    if interface::ensure_ethernet(name).is_err() {
        return off("no Ethernet header".into());
    }
    let path = pins.link(name, hook);
    let facts = match link::open(&path)? {
        Some(open) => Some(link::facts(&path, &open)?),
        None => filter(pins, index, hook)?,
    };
    let Some(facts) = facts else {
        let other = if direction == Direction::Ingress { foreign::xdp(index)? } else { None };
        let other = other.map(|other| format!(", but {other} is")).unwrap_or_default();
        return off(format!("no program of ours is attached{other}"));
    };
    Ok(match fault(pins, name, hook, index, cover, &facts)? {
        Some(why) => Err(why),
        None => Ok((hook, facts)),
    })
}

/// Where the kernel has no TCX: our filter, as if it were a link.
fn filter(pins: &Pins, index: u32, hook: Hook) -> Result<Option<LinkFacts>, DatapathError> {
    if hook == Hook::Xdp {
        return Ok(None);
    }
    let found = clsact::find(pins, index, hook)?;
    Ok(found.map(|(program, _)| LinkFacts { id: 0, program, index: Some(index) }))
}

/// Whether all maps are pinned.
#[must_use]
pub fn is_complete(pins: &Pins) -> bool {
    SHARED_MAPS.into_iter().all(|name| pins.map(name).exists())
}

/// The first pinned map that a program does not work on.
fn other_map(pins: &Pins, program: &ProgramInfo) -> Result<Option<&'static str>, DatapathError> {
    let failed = |error| DatapathError::program("attached", "cannot read the maps of a program", error);
    let Some(own) = program.map_ids().map_err(failed)? else { return Ok(None) };
    for name in SHARED_MAPS {
        let map = |source| DatapathError::Map { name, source: Box::new(source) };
        if !pins.map(name).exists() {
            return Ok(Some(name));
        }
        let id = MapInfo::from_pin(pins.map(name)).map_err(map)?.id();
        if !own.contains(&id) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// What is wrong with a link, if anything is.
fn fault(
    pins: &Pins,
    name: &str,
    hook: Hook,
    index: u32,
    cover: &Cover,
    facts: &LinkFacts,
) -> Result<Option<Standing>, DatapathError> {
    let off = |why: &str| Ok(Some(Standing::Off(why.into())));
    match facts.index {
        Some(found) if found == index => {}
        Some(_) => return off("the link belongs to an earlier interface of this name"),
        None if cover.index == index => return off("the link was detached by hand"),
        None => return off("the interface went away and came back"),
    }
    let path = pins.program(name, hook);
    if !path.exists() {
        return Ok(Some(Standing::Degraded("the program is not pinned".into())));
    }
    let failed = |error| DatapathError::program(hook.program(), "cannot read the pinned program", error);
    let pinned = ProgramInfo::from_pin(&path).map_err(failed)?;
    let meant = pinned.id();
    if let Some(map) = other_map(pins, &pinned)? {
        return Ok(Some(Standing::Degraded(format!("the program does not work on the pinned map {map}"))));
    }
    if meant != facts.program {
        let found = foreign::describe(facts.program);
        let why = format!("{found} was put in the place of ours ({meant})");
        return Ok(Some(Standing::Degraded(why)));
    }
    let way = match hook {
        Hook::Xdp => return Ok(None),
        Hook::Ingress => TcAttachType::Ingress,
        Hook::Egress => TcAttachType::Egress,
    };
    if !pins.link(name, hook).exists() {
        let before = clsact::find(pins, index, hook)?.and_then(|(_, before)| before.last().cloned());
        let why = |filter: clsact::Filter| format!("{} stands before it", filter.describe());
        return Ok(before.map(|filter| Standing::Degraded(why(filter))));
    }
    let (_, order) = SchedClassifier::query_tcx(name, way).map_err(failed)?;
    let before = order.iter().take_while(|program| program.id() != facts.program).last();
    Ok(before.map(|program| {
        let name = program.name_as_str().unwrap_or("?");
        Standing::Degraded(format!("another program ({name}, {}) stands before it", program.id()))
    }))
}

/// Runs the proof through the program that the link names; whether it drops.
fn prove(
    pins: &Pins,
    facts: &LinkFacts,
    hook: Hook,
    slot: u32,
    mode: Mode,
    direction: Direction,
) -> Result<bool, DatapathError> {
    let failed = |error| DatapathError::program(hook.program(), "cannot prove the attached program", error);
    let info = loaded_programs().flatten().find(|program| program.id() == facts.program);
    let info = info.ok_or(DatapathError::Missing(hook.program()))?;
    let options = TestRunOptions { data_in: Some(&PROOF), ..TestRunOptions::default() };
    let name = hook.program().into();
    let result = if hook == Hook::Xdp {
        Xdp::from_program_info(info, name, XdpAttachType::Interface)
            .and_then(|program| program.test_run(options))
    } else {
        SchedClassifier::from_program_info(info, name).and_then(|program| program.test_run(options))
    };
    let verdict = result.map_err(failed)?.return_value;
    count(pins, slot, mode, direction)?;
    let (drop, pass) = if hook == Hook::Xdp { (XDP_DROP, XDP_PASS) } else { (TC_SHOT, TC_NEXT) };
    if verdict == drop || verdict == pass {
        return Ok(verdict == drop);
    }
    Err(DatapathError::Silent)
}

fn count(pins: &Pins, slot: u32, mode: Mode, direction: Direction) -> Result<(), DatapathError> {
    let map: Map = pinned(pins, PROOFS)?;
    let mut map: Array<MapData, u64> = typed(PROOFS, map)?;
    let place = proof_slot(slot, mode, direction);
    let proofs = map.get(&place, 0).map_err(|error| failed(PROOFS, error))?;
    map.set(place, proofs + 1, 0).map_err(|error| failed(PROOFS, error))
}

#[cfg(test)]
mod tests {
    use portreeve_common::{Sight, look, sight::Part};

    use super::*;

    #[test]
    fn the_proof_is_malformed_under_every_policy() {
        let mut sight = Sight::default();
        look(&PROOF[..], Direction::Ingress, &mut sight);
        assert_eq!((sight.part, sight.judged()), (Part::Judged, PROOF_REASON as u8));
    }

    #[test]
    fn a_state_is_one_word_and_its_cause() {
        assert_eq!(Standing::Degraded("x is there".into()).to_string(), "degraded: x is there");
        assert_eq!(Standing::EnforcingTc.to_string(), "enforcing-tc");
        assert_eq!(Standing::Off("gone".into()).word(), "off");
    }
}

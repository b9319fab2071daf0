//! Whether the kernel holds what it should, looked at again and again, and put right.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Zoned;
use portreeve_common::{Direction, switch::Posture};

use super::{
    ControlError, cover, described, generation,
    opened::{self, Opened},
    start::{self, Begin},
};
use crate::{
    datapath::{
        interface,
        object::SHARED_MAPS,
        policy::{Expected, Tables},
        verify,
    },
    instance::{Generation, Instance},
    policy::Catalogue,
};

/// What kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// All pins are gone, and nobody took the instance off.
    Pins,
    /// The switch has another word.
    Switch,
    /// A table has another content.
    Tables,
    /// A link, a program or an interface is not as it should be.
    Attachment,
    /// The host has other addresses.
    Addresses,
    /// An `[[allow]]` has expired.
    Expired,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Pins, Self::Switch, Self::Tables, Self::Attachment, Self::Addresses, Self::Expired];

    /// The word of logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pins => "pins",
            Self::Switch => "switch",
            Self::Tables => "tables",
            Self::Attachment => "attachment",
            Self::Addresses => "addresses",
            Self::Expired => "expired",
        }
    }
}

/// Looks at an instance, and remembers what it has said.
#[derive(Default)]
pub struct Guard {
    hands_off: bool,
    /// Faults that were put right, by kind.
    pub repaired: BTreeMap<Fault, u64>,
    /// Faults that stand.
    pub standing: BTreeSet<(Fault, String)>,
    seen: BTreeSet<(Fault, String)>,
    /// What the generations compile to.
    expected: BTreeMap<u16, (Generation, Expected)>,
}

impl Guard {
    /// One that reports only.
    #[must_use]
    pub fn hands_off() -> Self {
        Self { hands_off: true, ..Self::default() }
    }

    /// Looks once. `false`: the instance was taken off.
    ///
    /// # Errors
    /// The kernel or the disk doesn't let it.
    pub fn look(&mut self, instance: &Instance, catalogue: &Catalogue) -> Result<bool, ControlError> {
        if instance.state()?.is_none() {
            return Ok(false);
        }
        self.seen.clear();
        let looked = self.at(instance, catalogue);
        self.standing = std::mem::take(&mut self.seen);
        looked.map(|()| true)
    }

    fn at(&mut self, instance: &Instance, catalogue: &Catalogue) -> Result<(), ControlError> {
        if !verify::is_complete(&instance.pins) {
            let lock = instance.lock()?;
            let missing = if self.hands_off { instance.pins.missing() } else { instance.pins.mend()? };
            drop(lock);
            let all = missing.len() == SHARED_MAPS.len();
            if self.hands_off && !all {
                let why = "pins of maps were removed, and the rest can't be looked at without them";
                return self.put_right(Fault::Pins, missing.join(", "), why, || Ok(()));
            }
            if !missing.is_empty() && !all {
                let subject = missing.join(", ");
                self.put_right(Fault::Pins, subject, "pins of maps were removed: pinned again", || Ok(()))?;
            }
        }
        if !instance.pins.exist() {
            let root = instance.pins.root().display().to_string();
            return self.put_right(Fault::Pins, root, "the pins are gone", || {
                start::start(instance, catalogue, Begin::LastGood).map(drop)
            });
        }
        let mut opened = None;
        if opened::is_foreign(instance)? {
            self.put_right(Fault::Switch, "SWITCH".into(), "was changed by another hand", || {
                opened = Some(Opened::running(instance, catalogue)?);
                Ok(())
            })?;
            if opened.is_none() {
                return Ok(());
            }
        }
        let mut opened = opened.map_or_else(|| Opened::running(instance, catalogue), Ok)?;
        let switch = opened.switch();
        let mut halves = vec![opened.posture()];
        if switch.previous().generation() != switch.latest().generation() {
            halves.extend([switch.latest(), switch.previous()]);
            halves.dedup();
        }
        for posture in halves {
            self.tables(&mut opened, posture)?;
        }
        self.expected.retain(|number, _| opened.state.generations.contains_key(number));
        let policy = opened.policy(opened.posture())?;
        let names = interface::chosen(&policy.host.interfaces)?;
        self.policy_of_today(&mut opened, &names)?;
        for name in &cover::meant(&opened, &names) {
            self.interface(&mut opened, name)?;
        }
        Ok(())
    }

    /// The content of a generation's tables.
    fn tables(&mut self, opened: &mut Opened<'_>, posture: Posture) -> Result<(), ControlError> {
        let Some(record) = opened.record(posture).cloned() else { return Ok(()) };
        let generation = posture.generation();
        let known = self.expected.remove(&generation).filter(|(known, _)| *known == record);
        let expected = match known {
            Some((_, expected)) => expected,
            None => Expected::of(&Tables::from(&opened.image(posture)?.1)),
        };
        let differing = opened.maps.differing(generation, &expected);
        self.expected.insert(generation, (record, expected));
        let differing = differing?;
        if differing.is_empty() {
            return Ok(());
        }
        let what = format!("{} of generation {generation}", differing.join(", "));
        self.put_right(Fault::Tables, what, "was changed by another hand", || {
            let (_, image) = opened.image(posture)?;
            let tables = Tables::from(&image);
            // Page by page, and only those that differ: what is right in them stays right all the while.
            let window = opened.maps.settings(generation)?.adopt_until();
            let tables = Tables { settings: tables.settings.adopting_until(window), ..tables };
            Ok(opened.maps.write(generation, &tables)?)
        })
    }

    /// Addresses that came or went, and an `[[allow]]` whose last day is over.
    fn policy_of_today(&mut self, opened: &mut Opened<'_>, names: &[String]) -> Result<(), ControlError> {
        let posture = opened.posture();
        let Some(record) = opened.record(posture).cloned() else { return Ok(()) };
        let policy = opened.policy(posture)?;
        let protected = start::protected(&policy, names)?;
        let today = Zoned::now().date();
        let expired = policy.valid_until().is_some_and(|last| last < today);
        let (fault, why, what) = if protected != record.protected {
            let list: Vec<_> = protected.iter().map(ToString::to_string).collect();
            (Fault::Addresses, "the host's addresses changed", list.join(", "))
        } else if expired {
            (Fault::Expired, "an [[allow]] has expired", posture.generation().to_string())
        } else {
            return Ok(());
        };
        self.put_right(fault, what, why, || generation::renew(opened, &record.host, names))
    }

    fn interface(&mut self, opened: &mut Opened<'_>, name: &str) -> Result<(), ControlError> {
        if interface::index(name).is_err() {
            // It is covered when it comes.
            return Ok(());
        }
        let known = opened.state.interfaces.get(name).cloned().unwrap_or_default();
        let mut whys = Vec::new();
        for direction in Direction::ALL {
            let trouble = verify::trouble(&opened.instance.pins, name, &known, direction)?;
            whys.extend(trouble.map(|trouble| format!("{direction}: {trouble}")));
        }
        if whys.is_empty() {
            return Ok(());
        }
        self.put_right(Fault::Attachment, name.to_owned(), &whys.join("; "), || {
            let policy = opened.policy(opened.posture())?;
            cover::one(opened, &policy, name)?;
            Ok(opened.finish()?)
        })
    }

    /// Says it once, and puts it right if it may.
    fn put_right(
        &mut self,
        fault: Fault,
        subject: String,
        why: &str,
        repair: impl FnOnce() -> Result<(), ControlError>,
    ) -> Result<(), ControlError> {
        let key = (fault, subject);
        let (kind, subject) = (fault.name(), key.1.clone());
        let said = self.standing.contains(&key);
        if self.hands_off {
            if !said {
                tracing::warn!(kind, subject, why, "a fault: it is left alone, as --no-repair asks");
            }
            self.seen.insert(key);
            return Ok(());
        }
        match repair() {
            Ok(()) => {
                tracing::warn!(kind, subject, why, "a fault was put right");
                *self.repaired.entry(fault).or_default() += 1;
            }
            Err(error) => {
                if !said {
                    tracing::error!(kind, subject, why, error = described(error), "a fault stays");
                }
                self.seen.insert(key);
            }
        }
        Ok(())
    }
}

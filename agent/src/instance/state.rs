//! What an instance remembers.

use std::{collections::BTreeMap, fs::File, io};

use jiff::{Timestamp, civil::Date};
use portreeve_common::switch::{Posture, Switch};
use serde::{Deserialize, Serialize};

use super::InstanceError;
use crate::{
    datapath::{attach::Cover, object::Secret},
    image::Slots,
    policy::stage::Declared,
};

/// What is remembered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// Secret words of the state tables' hash: programs that are loaded later have to agree with earlier ones.
    pub secret: Secret,
    /// Places of interfaces and flows in the counters.
    pub slots: Slots,
    /// Ticks of the kernel's clock in a second.
    pub ticks_per_second: u32,
    /// When counting began.
    pub since: Timestamp,
    /// The generation that was made last.
    pub generation: u16,
    /// Whether numbers of generations are used again.
    #[serde(default)]
    pub reused: bool,
    /// Those that the kernel may have in force: the current one, the one to go back to, one that is being made.
    pub generations: BTreeMap<u16, Generation>,
    /// The switch's word as it was stored last.
    pub switch: u64,
    /// A word that is about to be stored: if the kernel has it, only the remembering was cut short.
    pub intent: Option<u64>,
    /// The interfaces that should be covered, and how they are.
    pub interfaces: BTreeMap<String, Cover>,
    /// Whether drops have dropped before: the adoption window opens once.
    pub enforced: bool,
    /// Of an instance whose maps are gone: the mode of each direction, and the one that its host file had asked for.
    pub resume: BTreeMap<String, Resume>,
    /// When modes and stages last changed or were asked for again, by direction and by role and direction: since when is
    /// observed what is observed.
    pub changed: BTreeMap<String, Timestamp>,
    /// How many had been pushed out of the table of who then.
    #[serde(default)]
    pub pushed_out: BTreeMap<String, u64>,
    /// Of an instance whose maps are gone: the stages of the roles.
    #[serde(default)]
    pub resume_stages: Declared,
}

/// How a direction stood before a reboot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// What the host file had asked for.
    pub declared: String,
    /// What was in force, which a command may have set.
    pub mode: String,
}

/// All that a generation was compiled from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// The host file's text.
    pub host: String,
    /// The addresses that the tables protect.
    pub protected: Vec<ipnet::IpNet>,
    /// The day that `expires` was held against.
    pub day: Date,
    /// The modes that the host file asked for, by direction: only a new wish undoes what a command has set.
    pub declared: BTreeMap<String, String>,
    /// The stages of its roles, and those that the host file asked for.
    #[serde(default)]
    pub roles: Declared,
}

impl State {
    /// For an instance whose counting begins now.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn begin(ticks_per_second: u32) -> Result<Self, InstanceError> {
        Ok(Self {
            secret: secret()?,
            slots: Slots::default(),
            ticks_per_second,
            since: Timestamp::now(),
            generation: 0,
            reused: false,
            generations: BTreeMap::new(),
            switch: 0,
            intent: None,
            interfaces: BTreeMap::new(),
            enforced: false,
            resume: BTreeMap::new(),
            changed: BTreeMap::new(),
            pushed_out: BTreeMap::new(),
            resume_stages: Declared::default(),
        })
    }

    /// The posture that stays unless somebody confirms another one.
    #[must_use]
    pub fn settled(&self) -> Posture {
        let switch = Switch::from_word(self.switch);
        if switch.deadline().is_some() { switch.previous() } else { switch.latest() }
    }

    /// The generation of a posture.
    #[must_use]
    pub fn record(&self, posture: Posture) -> Option<&Generation> {
        self.generations.get(&posture.generation())
    }
}

/// Random words.
fn secret() -> Result<Secret, InstanceError> {
    const RANDOM: &str = "/dev/urandom";
    let mut bytes = [0; size_of::<Secret>()];
    let read = File::open(RANDOM).and_then(|mut file| io::Read::read_exact(&mut file, &mut bytes));
    read.map_err(|source| InstanceError::File { doing: "read", path: RANDOM.into(), source })?;
    let mut secret = Secret::default();
    for (word, bytes) in secret.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_ne_bytes(*bytes);
    }
    Ok(secret)
}

//! Stages: roles that are only observed while their host enforces.
//!
//! What nothing documents belongs to no role, so the host's own modes decide on it. What belongs to a role is a packet to a
//! service that only this role (or others in the same stage) documents, from or to a peer that the role does not name:
//! while the role is observed it passes, with its answers, and counts as a packet that would be dropped. A service that an
//! enforced role or the site documents too stays enforced: observing one role opens nothing that another one closes.

use std::collections::BTreeMap;

use portreeve_common::Direction;
use serde::{Deserialize, Serialize};

use super::host::{Mode, RoleUse};

/// How strictly a role is held, where its host enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// Of packets towards the host.
    pub ingress: Mode,
    /// Of packets from the host.
    pub egress: Mode,
}

impl Default for Stage {
    fn default() -> Self {
        Self { ingress: Mode::Enforce, egress: Mode::Enforce }
    }
}

impl Stage {
    /// Of a direction.
    #[must_use]
    pub const fn of(&self, direction: Direction) -> Mode {
        match direction {
            Direction::Ingress => self.ingress,
            Direction::Egress => self.egress,
        }
    }

    /// The same with another mode in a direction.
    #[must_use]
    pub const fn with(self, direction: Direction, mode: Mode) -> Self {
        match direction {
            Direction::Ingress => Self { ingress: mode, ..self },
            Direction::Egress => Self { egress: mode, ..self },
        }
    }

    /// What a role's direction is called.
    #[must_use]
    pub fn key(role: &str, direction: Direction) -> String {
        format!("{role} {direction}")
    }

    /// The id under which is counted what passes only because the role is observed. No document and no site has such an id.
    #[must_use]
    pub fn flow(role: &str, direction: Direction) -> String {
        format!("observed:{role}:{direction}")
    }
}

/// The stages of a host's roles, by role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stages(BTreeMap<String, Stage>);

impl Stages {
    /// As the host file has them; of a role that stands there twice, the stricter one.
    #[must_use]
    pub fn declared(roles: &[RoleUse]) -> Self {
        let mut stages = Self::default();
        for RoleUse { role, stage, .. } in roles {
            let known = stages.0.entry(role.clone()).or_insert(*stage);
            for direction in Direction::ALL {
                if stage.of(direction) == Mode::Enforce {
                    *known = known.with(direction, Mode::Enforce);
                }
            }
        }
        stages
    }

    /// Those of `declared`, but where nothing else than in `before` is declared, what was in force then: a command may have
    /// set it.
    #[must_use]
    pub fn kept(declared: &Self, before: &Declared) -> Self {
        let mut stages = declared.clone();
        for (role, stage) in &mut stages.0 {
            let (Some(was), Some(stood)) = (before.declared.0.get(role), before.stages.0.get(role)) else {
                continue;
            };
            for direction in Direction::ALL {
                if was.of(direction) == stage.of(direction) {
                    *stage = stage.with(direction, stood.of(direction));
                }
            }
        }
        stages
    }

    /// Of a role, if the host has it.
    #[must_use]
    pub fn get(&self, role: &str) -> Option<Stage> {
        self.0.get(role).copied()
    }

    /// Sets the stage of a role that the host has.
    pub fn set(&mut self, role: &str, direction: Direction, mode: Mode) {
        if let Some(stage) = self.0.get_mut(role) {
            *stage = stage.with(direction, mode);
        }
    }

    /// Whether a role is only observed.
    #[must_use]
    pub fn observes(&self, role: &str, direction: Direction) -> bool {
        self.get(role).is_some_and(|stage| stage.of(direction) == Mode::Observe)
    }

    /// The roles that are only observed, each with its direction.
    pub fn observed(&self) -> impl Iterator<Item = (&str, Direction)> {
        let all =
            self.0.iter().flat_map(|(role, stage)| Direction::ALL.map(|way| (role.as_str(), stage, way)));
        all.filter(|(_, stage, way)| stage.of(*way) == Mode::Observe).map(|(role, _, way)| (role, way))
    }

    /// Roles and directions in which two hosts' stages differ; a role that only one has counts as enforced on the other.
    #[must_use]
    pub fn differing(&self, other: &Self) -> Vec<(String, Direction)> {
        let roles = self.0.keys().chain(other.0.keys().filter(|role| !self.0.contains_key(*role)));
        let pairs = roles.flat_map(|role| Direction::ALL.map(|way| (role.clone(), way)));
        pairs.filter(|(role, way)| self.observes(role, *way) != other.observes(role, *way)).collect()
    }
}

/// Stages that were in force, and those that the host file had asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declared {
    /// What was asked for.
    pub declared: Stages,
    /// What was in force.
    pub stages: Stages,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stages(of: &[(&str, Mode, Mode)]) -> Stages {
        Stages(
            of.iter()
                .map(|(role, ingress, egress)| ((*role).into(), Stage { ingress: *ingress, egress: *egress }))
                .collect(),
        )
    }

    #[test]
    fn only_a_new_wish_undoes_what_a_command_has_set() {
        use Mode::{Enforce, Observe};
        let before = Declared {
            declared: stages(&[("ied", Observe, Enforce)]),
            stages: stages(&[("ied", Enforce, Observe)]),
        };
        let same = stages(&[("ied", Observe, Enforce), ("iem", Observe, Observe)]);
        let kept = Stages::kept(&same, &before);
        assert_eq!(kept, stages(&[("ied", Enforce, Observe), ("iem", Observe, Observe)]));
        let new = stages(&[("ied", Enforce, Enforce)]);
        assert_eq!(Stages::kept(&new, &before), stages(&[("ied", Enforce, Observe)]));
        assert_eq!(
            kept.differing(&new),
            [
                ("ied".to_owned(), Direction::Egress),
                ("iem".to_owned(), Direction::Ingress),
                ("iem".to_owned(), Direction::Egress)
            ]
        );
        assert_eq!(kept.observed().count(), 3);
    }
}

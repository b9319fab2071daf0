//! What commands and the daemon do to an instance: start it, change it, look at it. All of it under its lock.

mod opened;
mod start;

mod change;
mod generation;
mod golden;

mod cover;
mod modes;
mod seeding;

pub mod connections;
pub mod plan;
pub mod readiness;

pub mod guard;
mod view;

use std::fmt;

use jiff::Timestamp;
use portreeve_common::{Direction, switch};

use self::readiness::WouldCut;

pub use self::{
    change::{Applied, Wish, apply, confirm, rollback},
    golden::Mismatch,
    modes::{detach, on_stop, set_modes, set_stage},
    plan::plan,
    start::{Begin, start},
    view::{PortDrops, PortKey, ReasonCount, View, protocol_name},
};
use crate::{
    datapath::DatapathError,
    diagnostic::Report,
    image::ImageError,
    instance::InstanceError,
    policy::{catalogue::CatalogueError, host},
};

/// Why an instance can't be worked on.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// No catalogue.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// The kernel's side.
    #[error(transparent)]
    Datapath(#[from] DatapathError),
    /// The policy doesn't fit the kernel's tables.
    #[error("the policy does not fit")]
    Image(#[from] ImageError),
    /// The files' side.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// The host file is broken; whoever asked shows the report.
    #[error("the host file {} has errors: nothing was changed", .0.source.name)]
    Policy(Box<Report>),
    /// Neither the last good policy nor the host file in its place.
    #[error("no policy can be used, and nothing is protected: {last}; and {host} has errors")]
    NoPolicy {
        /// Why the last good one is none.
        last: String,
        /// The host file.
        host: String,
        /// What is wrong in it.
        report: Box<Report>,
    },
    /// No interface to cover.
    #[error("the host file names no interface that is there: list some under [host] interfaces")]
    NoInterfaces,
    /// The kernel has a generation that nobody remembers.
    #[error("generation {0} is not remembered: `portreeve apply HOST.toml` makes a policy current")]
    Unknown(u16),
    /// It was done, and could not be written down.
    #[error("it was done, but can't be remembered: the next command or start of the daemon tries again")]
    Unremembered(#[source] InstanceError),
    /// Another change waits.
    #[error(
        "a change waits for its confirmation until {0}: `portreeve confirm` or `portreeve rollback` first"
    )]
    Pending(Timestamp),
    /// None waits.
    #[error("nothing waits for its confirmation: generation {0} is in force")]
    NothingPending(u16),
    /// None before.
    #[error("nothing to go back to: generation {0} is in force, and none before it is kept")]
    NothingBefore(u16),
    /// The host has none of this name.
    #[error("this host has no role `{role}`: it has {roles}")]
    Role {
        /// As it was asked for.
        role: String,
        /// Those that it has.
        roles: String,
    },
    /// Live flows have all of them.
    #[error("live flows of older policies have every number that a new one could have: try again later")]
    Generations,
    /// Beyond what the switch holds.
    #[error(
        "this machine has run for too long for a deadline: apply without --confirm-within, or restart it"
    )]
    Deadline,
    /// Loaded programs judge otherwise than the rules read.
    #[error("the compiled policy judges otherwise than its rules say, and nothing was changed: {}", list(.0))]
    Golden(Vec<Mismatch>),
    /// The session that asks.
    #[error("this would cut the session that you are typing in ({0}): allow it, or say --cut-me-off")]
    OwnSession(String),
    /// Required flows.
    #[error("required flows would be cut, and nothing was changed:\n{}\nsay --force if that is meant", lines(.0))]
    WouldCut(Vec<WouldCut>),
    /// The sockets of this host.
    #[error("cannot list the sockets of this host")]
    Sockets(#[source] procfs::ProcError),
    /// What the kernel tracks.
    #[error("cannot list the connections that the kernel tracks")]
    Tracked(#[source] std::io::Error),
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { flow, packet, said } = self;
        write!(f, "'{packet}' of {flow} is {said}")
    }
}

/// Mismatches that a message names.
const NAMED: usize = 5;

fn list(mismatches: &[Mismatch]) -> String {
    let named: Vec<_> = mismatches.iter().take(NAMED).map(ToString::to_string).collect();
    format!("{} ({} in all)", named.join(", "), mismatches.len())
}

fn lines(found: &[WouldCut]) -> String {
    found.iter().map(|one| format!("  {one}")).collect::<Vec<_>>().join("\n")
}

/// An error with all that it comes from, for logs.
pub(crate) fn described(error: impl std::error::Error + Send + Sync + 'static) -> String {
    format!("{:#}", anyhow::Error::new(error))
}

/// The kernel's word for a mode of the host file.
#[must_use]
pub const fn mode(mode: host::Mode) -> switch::Mode {
    match mode {
        host::Mode::Observe => switch::Mode::Observe,
        host::Mode::Enforce => switch::Mode::Enforce,
    }
}

/// The mode that a host file asks for.
#[must_use]
pub const fn wanted(enforcement: &host::Enforcement, direction: Direction) -> switch::Mode {
    match direction {
        Direction::Ingress => mode(enforcement.ingress),
        Direction::Egress => mode(enforcement.egress),
    }
}

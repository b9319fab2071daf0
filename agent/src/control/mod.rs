//! What commands and the daemon do to an instance: start it, change it, look at it. All of it under its lock.

mod modes;
mod start;
mod view;

use portreeve_common::{Direction, switch};

pub use self::{
    modes::{detach, set_modes},
    start::{Started, cover_again, is_attached, protect, protect_again, start},
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
    /// No interface to cover.
    #[error("the host file names no interface that is there: list some under [host] interfaces")]
    NoInterfaces,
    /// Maps without the state that belongs to them.
    #[error(
        "{0} has maps, but the state that belongs to them is missing: `portreeve detach` takes them off, then start again"
    )]
    Orphaned(String),
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

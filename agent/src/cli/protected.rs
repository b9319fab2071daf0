//! The host's own addresses and interfaces where no instance has to be there.

use ipnet::IpNet;
use portreeve_common::clause::{ANY_INTERFACE, Interfaces};

use super::CliError;
use crate::{
    datapath::{DatapathError, interface},
    image::Slots,
    policy::{HostFile, host::is_covered},
};

/// Why there are none.
#[derive(Debug, thiserror::Error)]
pub enum ProtectedError {
    /// The host file doesn't say, and this machine has no such interface.
    #[error(
        "this host's own addresses are not known: set `addresses` in [host], as in addresses = [\"192.0.2.10\"]"
    )]
    Unknown,
    /// The kernel doesn't list them.
    #[error("cannot list this machine's addresses")]
    Listing(#[from] DatapathError),
}

/// The addresses that `run` would protect, see [`interface::protected`].
///
/// # Errors
/// There are no such addresses.
pub fn protected(host: &HostFile) -> Result<Vec<IpNet>, ProtectedError> {
    let nets = interface::protected(&host.addresses, &interface::chosen(&host.interfaces)?)?;
    if nets.is_empty() { Err(ProtectedError::Unknown) } else { Ok(nets) }
}

/// The interface that a packet is to be one of; any where none is named.
///
/// # Errors
/// The host has none of this name.
pub fn interfaces(host: &HostFile, slots: &Slots, name: Option<&str>) -> Result<Interfaces, CliError> {
    match name {
        None => Ok(ANY_INTERFACE),
        Some(name) if is_covered(name, &host.interfaces) => Ok(slots.interfaces.only(name)),
        Some(name) => Err(CliError::Interface { name: name.into(), known: host.interfaces.join(", ") }),
    }
}

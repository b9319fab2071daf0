//! What drift is told from: each thing read once, since proving and reading take time.

use std::collections::BTreeMap;

use portreeve_common::{
    Address, Direction,
    counter::{FlowCounter, Talker},
};

use super::host::{HostError, Listener, listeners};
use crate::{
    control::{ControlError, PortDrops, PortKey, View},
    datapath::{DatapathError, names::Names, verify::Standing},
    image::FlowMeta,
};

/// What the kernel said.
pub struct Seen<'v> {
    /// The word of each interface and direction.
    pub standings: Vec<(String, Direction, Standing)>,
    /// Whether the kernel's tables are those of the policy.
    pub holds: bool,
    /// Drops by port.
    pub ports: BTreeMap<PortKey, PortDrops>,
    /// Who was dropped.
    pub talkers: Vec<Talker>,
    /// The names that addresses were answered for, wanted or not.
    pub names: BTreeMap<Address, String>,
    /// What was counted for each flow.
    pub flows: Vec<(&'v FlowMeta, FlowCounter)>,
    /// Sockets that wait for packets.
    pub listeners: Vec<Listener>,
}

/// Why drift can't be told.
#[derive(Debug, thiserror::Error)]
pub enum SeenError {
    /// The kernel's side of the instance.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// This host's sockets.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl<'v> Seen<'v> {
    /// Reads and proves everything.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn gather(view: &'v View) -> Result<Self, SeenError> {
        let failed = ControlError::from;
        Ok(Self {
            standings: view.standings()?,
            holds: view.holds()?,
            ports: view.ports().map_err(failed)?,
            talkers: view.talkers().map_err(failed)?,
            names: answered(view).map_err(failed)?,
            flows: view.flows().map_err(failed)?,
            listeners: listeners()?,
        })
    }
}

/// The names that addresses were answered for.
///
/// # Errors
/// The map can't be read.
pub(crate) fn answered(view: &View) -> Result<BTreeMap<Address, String>, DatapathError> {
    let hints = Names::open(&view.instance.pins)?.hints()?;
    Ok(hints.into_iter().filter_map(|(address, hint)| Some((address, hint.name()?.to_owned()))).collect())
}

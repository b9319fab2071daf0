//! What drift is told from: each thing read once, since proving and reading take time.

use std::collections::BTreeMap;

use portreeve_common::{
    Address, Direction,
    counter::{FlowCounter, Talker},
    dns::Hint,
    names::NameId,
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
    /// The names that addresses were answered for, wanted or not, and who shares them.
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

/// The names that addresses were answered for, and other names of the policy that share them.
///
/// # Errors
/// The map can't be read.
pub(crate) fn answered(view: &View) -> Result<BTreeMap<Address, String>, DatapathError> {
    let names = Names::open(&view.instance.pins)?;
    let mut learned: BTreeMap<Address, Vec<u64>> = BTreeMap::new();
    for name in names.learned()? {
        learned.entry(name.address).or_default().push(name.id);
    }
    let shared_with = |address: &Address, id: u64| -> Vec<&str> {
        let others = learned.get(address).into_iter().flatten().filter(|other| **other != id);
        let pattern = |other: &u64| view.image.names.iter().find(|name| NameId::of(name).word() == *other);
        others.filter_map(pattern).map(String::as_str).collect()
    };
    let told = |(address, hint): (Address, Hint)| {
        let others = shared_with(&address, hint.id).join(", ");
        let shared = if others.is_empty() { others } else { format!(", shared with {others}") };
        Some((address, format!("{}{shared}", hint.name()?)))
    };
    Ok(names.hints()?.into_iter().filter_map(told).collect())
}

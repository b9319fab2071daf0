//! The verdict cases of `cases/cases.json`: a host, the flows that live, a packet, and what the documents ask for.

mod field;
mod host;
mod loaded;
mod message;
mod packet;
mod prior;
mod protocol;
mod resolved;

use std::{collections::BTreeMap, net::IpAddr};

use serde::Deserialize;

pub use field::{EtherType, ExtensionName, IpOption, Malformed, Place};
pub use host::{Allow, Baseline, Host, Machine, Role};
pub use loaded::Loaded;
pub use message::{Embedded, Icmp, Igmp};
pub use packet::{FirstFragment, Fragment, Packet};
pub use prior::{Prior, State};
pub use protocol::Protocol;

use crate::step::Step;

/// One case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Unique, e.g. `iem-35`.
    pub id: String,
    /// The host that judges.
    pub host: Host,
    /// Names and the addresses that the host's resolver answered, before the packet.
    #[serde(default)]
    pub resolved: BTreeMap<String, Vec<IpAddr>>,
    /// Flows that live before the packet.
    pub prior: Vec<Prior>,
    /// What is judged.
    pub packet: Packet,
    /// The verdict.
    pub expect: Expect,
    /// What the case is about.
    pub why: String,
}

/// The verdict that the documents ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expect {
    /// It goes on.
    Pass,
    /// It is dropped and counted.
    Drop,
}

/// Identifier of every ICMP echo, so that a reply belongs to the request of a prior flow.
pub const ECHO_ID: u16 = 0x1d;

impl Case {
    /// All cases of the project.
    ///
    /// # Errors
    /// When a case has a field or a value that this module doesn't know.
    pub fn all() -> serde_json::Result<Vec<Self>> {
        serde_json::from_str(include_str!("../../cases/cases.json"))
    }

    /// The frames that resolve the names and open the prior flows, then those of the packet; the last one is judged.
    #[must_use]
    pub fn frames(&self) -> Vec<Step> {
        let resolved = resolved::steps(&self.host, &self.resolved);
        let prior = self.prior.iter().flat_map(Prior::steps);
        resolved.into_iter().chain(prior).chain(self.packet.steps(&self.prior)).collect()
    }

    /// The host as a host file that enforces both ways; it has no `names` table, since the frames resolve them.
    ///
    /// # Errors
    /// When an option has a value that TOML doesn't know, such as null.
    pub fn host_toml(&self) -> Result<String, toml::ser::Error> {
        self.host.toml(&self.id)
    }
}

#[cfg(test)]
mod tests;

//! `[baseline] management`: who may reach this host to look after it, beside what its roles document.

use portreeve_common::Direction;

use super::{
    allow,
    keys::Keys,
    peers::{self, PeerList},
};
use crate::{
    diagnostic::{Report, Span},
    policy::rule::{Ports, Service},
};

/// What the ids of the rules begin with; an entry's position in the list follows.
pub const MANAGEMENT_ID: &str = "MANAGEMENT-";

/// One entry: these peers, over TCP to these ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Management {
    /// Who.
    pub peers: PeerList,
    /// Where.
    pub ports: Ports,
    /// From 1, in the order of the list.
    pub position: usize,
    /// Where it stands.
    pub at: Span,
}

impl Management {
    /// The id of its rule.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{MANAGEMENT_ID}{}", self.position)
    }

    /// What its rule is about.
    #[must_use]
    pub fn service(&self) -> (Direction, Service) {
        (Direction::Ingress, Service::Tcp(self.ports.clone()))
    }
}

pub(super) fn read_all(tables: Vec<Keys<'_>>, report: &mut Report) -> Vec<Management> {
    let read = |(index, mut keys): (usize, Keys<'_>)| {
        let at = keys.at();
        let peers = keys.require("peers", "add peers = [\"192.0.2.0/24\"]", report);
        let ports = keys.require("ports", "add ports = [22]", report);
        keys.finish(report);
        let peers = peers.and_then(|value| {
            let list = peers::read("peers", value, report)?;
            if list.is_empty() {
                report.error(value.span(), "`peers` lists nobody", "list who looks after this host");
            }
            if list == PeerList::Any {
                let message = "anybody may reach the management ports of this host";
                report.warning(value.span(), message, "list the prefixes of those who look after it");
            }
            Some(list)
        });
        let ports = ports.and_then(|value| allow::ports("ports", value, report));
        Some(Management { peers: peers?, ports: ports?, position: index + 1, at })
    };
    tables.into_iter().enumerate().filter_map(read).collect()
}

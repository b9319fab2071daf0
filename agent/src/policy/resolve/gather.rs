//! Whom a flow's peers stand for on this host.

use std::collections::BTreeMap;

use portreeve_common::Direction;

use super::Scope;
use crate::policy::{
    address::Remote,
    host::{PeerEntry, PeerList, RoleUse, split},
    pack::{Flow, PeerRef},
    rule::Peers,
};

/// The remote ends of a flow on this host.
#[derive(Default)]
pub(super) struct Gathered {
    any: bool,
    /// A required peer is unset and reads as any while observing.
    pub(super) assumed: bool,
    entries: Vec<PeerEntry>,
    /// Why peers of the flow stand for nobody.
    nobody: Vec<String>,
}

impl Scope<'_> {
    /// Everybody that the flow's peers stand for on this host, or why that is nobody.
    pub(super) fn gather(&self, flow: &Flow) -> Result<Gathered, String> {
        let replaced = flow.instead.iter().find(|instead| instead.when.judge(&self.options).holds);
        let mut gathered = Gathered::default();
        for peer in replaced.map_or(&flow.peers, |instead| &instead.peers) {
            match peer {
                PeerRef::Any => gathered.any = true,
                PeerRef::Net(net) => gathered.add(Remote::Net(*net)),
                PeerRef::Name(name) => gathered.add(Remote::Name(name.clone())),
                PeerRef::Controller(kind) => self.add_machines(kind, &mut gathered),
                PeerRef::Peer(name) => self.add_peer(flow, name, &mut gathered),
            }
        }
        if gathered.any || !gathered.entries.is_empty() {
            Ok(gathered)
        } else {
            Err(gathered.nobody.join(", "))
        }
    }

    fn add_machines(&self, kind: &str, gathered: &mut Gathered) {
        let before = gathered.entries.len();
        self.used.machines_with(kind).for_each(|machine| gathered.add(machine));
        if gathered.entries.len() == before {
            gathered.nobody.push(format!("no machine has the controller \"{kind}\""));
        }
    }

    fn add_peer(&self, flow: &Flow, name: &str, gathered: &mut Gathered) {
        let spec = self.role.peer(name);
        match self.used.peers.get(name) {
            Some(PeerList::Any) => gathered.any = true,
            Some(PeerList::Listed(entries)) if entries.is_empty() => {
                gathered.nobody.push(format!("peer `{name}` lists nobody"));
            }
            Some(PeerList::Listed(entries)) => {
                // A peer's own port is the one that it listens on, so it says nothing about ours.
                let option = spec.and_then(|spec| spec.port_option.as_ref());
                let theirs = flow.direction == Direction::Egress
                    && option.is_some()
                    && option == flow.port_option.as_ref();
                let entry =
                    |entry: &PeerEntry| PeerEntry { port: entry.port.filter(|_| theirs), ..entry.clone() };
                gathered.entries.extend(entries.iter().map(entry));
            }
            None if spec.is_some_and(|spec| spec.required) => {
                gathered.any = true;
                gathered.assumed = true;
            }
            None => gathered.nobody.push(format!("peer `{name}` is unset")),
        }
    }
}

impl Gathered {
    fn add(&mut self, remote: Remote) {
        self.entries.push(PeerEntry { remote, port: None });
    }

    /// Those on the flow's own port first, then each port that an entry states itself.
    pub(super) fn by_port(&self) -> Vec<(Option<u16>, Peers)> {
        let mut ports: BTreeMap<Option<u16>, Vec<Remote>> = BTreeMap::new();
        if self.any {
            ports.insert(None, Vec::new());
        }
        for entry in &self.entries {
            ports.entry(entry.port).or_default().push(entry.remote.clone());
        }
        let peers = |port: Option<u16>, remotes| match (port, self.any) {
            (None, true) => Peers::Any,
            (None | Some(_), _) => listed(remotes),
        };
        ports.into_iter().map(|(port, remotes)| (port, peers(port, remotes))).collect()
    }
}

impl RoleUse {
    /// The machines with a controller.
    pub(in crate::policy) fn machines_with(&self, kind: &str) -> impl Iterator<Item = Remote> {
        let machines = self.machines.iter().filter(move |machine| machine.controller == kind);
        machines.map(|machine| Remote::Net(machine.ip.into()))
    }
}

/// Prefixes and names, each once.
pub(super) fn listed(remotes: Vec<Remote>) -> Peers {
    let (prefixes, names) = split(remotes);
    Peers::Listed { prefixes, names }
}

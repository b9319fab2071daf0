//! A client and a server on one cable, with a wall on the server.

use anyhow::Result;
use portreeve_tests::lab::{Host, Lab};

use crate::{
    agent,
    nft::{self, Form},
    policy,
};

/// The server's address and interface.
pub(super) const SERVER: &str = "192.0.2.10";
const INTERFACE: &str = "enp2s0";
/// Rules of each wall.
const RULES: usize = 1_000;

/// What stands before the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wall {
    /// Nothing.
    None,
    /// Portreeve with `hook = "auto"`.
    Ours,
    /// nftables with sets and state.
    State,
}

impl Wall {
    pub(super) const ALL: [Self; 3] = [Self::None, Self::Ours, Self::State];

    /// In outputs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::None => "no firewall",
            Self::Ours => "portreeve, hook auto",
            Self::State => Form::SetWithState.name(),
        }
    }
}

/// Both hosts.
pub(super) struct Pair {
    pub(super) wall: Wall,
    pub(super) edge: Host,
    pub(super) client: Host,
    _lab: Lab,
}

impl Pair {
    /// Plugs the cable in and builds the wall.
    pub(super) fn build(wall: Wall) -> Result<Self> {
        let lab = Lab::new()?;
        let client = lab.host("client").up()?;
        let edge =
            lab.host("edge").interface(INTERFACE).wired_to(&client, "eth1").addr("192.0.2.10/24").up()?;
        client.run(["ip", "address", "add", "192.0.2.20/24", "dev", "eth1"])?.ok()?;
        match wall {
            Wall::None => {}
            Wall::Ours => enforce(&lab, &edge, &[INTERFACE])?,
            Wall::State => nftables(&lab, &edge)?,
        }
        Ok(Self { wall, edge, client, _lab: lab })
    }
}

/// Portreeve with the hook that it chooses; the agent ends, its programs stay.
pub(crate) fn enforce(lab: &Lab, edge: &Host, interfaces: &[&str]) -> Result<()> {
    let head = format!(
        "[host]\nname = \"bench\"\ninterfaces = {interfaces:?}\n\
         [enforcement]\ningress = \"enforce\"\negress = \"enforce\"\n[state]\nadoption = \"0s\"\n"
    );
    let file = lab.dir().join("host.toml");
    agent::write(&file, &policy::text(&head, RULES))?;
    agent::enforce(edge, &file)?;
    Ok(())
}

/// nftables with the same rules, in sets, behind the kernel's connection tracking.
pub(crate) fn nftables(lab: &Lab, edge: &Host) -> Result<()> {
    let file = lab.dir().join("rules.nft");
    agent::write(&file, &nft::ruleset(Form::SetWithState, RULES, INTERFACE))?;
    edge.run(["nft", "-f", &file.to_string_lossy()])?.ok()?;
    Ok(())
}

//! An edge device whose agent enforces from the start, for real programs to get through or not.
#![allow(dead_code, reason = "no suite uses all of it")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use portreeve_tests::lab::{Agent, Host, Lab, PATIENCE, Server, wait_for};
use serde_json::Value;

/// The edge device's addresses and its interface.
pub(crate) const EDGE: &str = "192.0.2.10";
pub(crate) const EDGE_V6: &str = "2001:db8:1::10";
pub(crate) const INTERFACE: &str = "enp2s0";

/// The ways by which ingress is judged.
pub(crate) const HOOKS: [&str; 2] = ["xdp", "tc"];

/// The pack of the rules' own suite, with every kind of rule.
const PACKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rules/packs");

/// The edge device, behind its agent.
pub(crate) struct Gate {
    pub(crate) edge: Host,
    pub(crate) agent: Agent,
    pub(crate) daemon: Server,
}

impl Gate {
    /// Starts the agent on an edge device that is up. `rules`: what the host file says behind `[enforcement]`.
    pub(crate) fn close(lab: &Lab, edge: &Host, hook: &str, rules: &str) -> Result<Self> {
        let file = host_file(lab, hook, rules)?;
        let agent = Agent::new(edge, &Agent::program()?)?.with_packs(Path::new(PACKS));
        let daemon = agent.start(&file)?;
        let gate = Self { edge: edge.clone(), agent, daemon };
        wait_for("both directions are enforced", PATIENCE, || {
            let status = gate.json("status")?;
            let rows = status["interfaces"].as_array().context("no interfaces")?;
            let states: Vec<_> = rows.iter().filter_map(|row| row["state"].as_str()).collect();
            Ok(states.len() == 2 && states.iter().all(|state| state.starts_with("enforcing")))
        })?;
        Ok(gate)
    }

    /// What a command says in JSON.
    pub(crate) fn json(&self, command: &str) -> Result<Value> {
        let output = self.agent.command([command, "--json"])?.ok()?;
        serde_json::from_str(&output.stdout).with_context(|| format!("{command}: not JSON"))
    }

    /// The domain names of the policy, and what is known of them.
    pub(crate) fn names(&self) -> Result<Value> {
        let output = self.agent.command(["status", "--names", "--json"])?;
        let status: Value = serde_json::from_str(&output.stdout).with_context(|| format!("{output:?}"))?;
        Ok(status["names"].clone())
    }

    /// Dropped packets of a direction, all reasons together.
    pub(crate) fn dropped(&self, direction: &str) -> Result<u64> {
        let drops = self.json("drops")?;
        let rows = drops["reasons"].as_array().context("no reasons")?;
        let here = rows.iter().filter(|row| row["direction"] == direction);
        here.map(|row| row["packets"].as_u64().context("no count")).sum()
    }

    /// What was dropped in a direction, by reason.
    pub(crate) fn reasons(&self, direction: &str) -> Result<Vec<(String, u64)>> {
        let drops = self.json("drops")?;
        let rows = drops["reasons"].as_array().context("no reasons")?;
        let here = rows.iter().filter(|row| row["direction"] == direction);
        here.map(|row| {
            let reason = row["reason"].as_str().context("no reason")?.to_owned();
            Ok((reason, row["packets"].as_u64().context("no count")?))
        })
        .collect()
    }
}

fn host_file(lab: &Lab, hook: &str, rules: &str) -> Result<PathBuf> {
    ensure!(HOOKS.contains(&hook), "no hook {hook}");
    let text = format!(
        "[host]\nname = \"line4-edge\"\ninterfaces = [\"{INTERFACE}\"]\n\n\
         [enforcement]\ningress = \"enforce\"\negress = \"enforce\"\nhook = \"{hook}\"\n\n{rules}"
    );
    let file = lab.dir().join("host.toml");
    fs::write(&file, text)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    Ok(file)
}

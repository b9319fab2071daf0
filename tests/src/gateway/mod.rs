//! A gateway with an agent, its operator and an intruder: what the suites of changes, faults and crashes share.

mod pulse;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

pub use self::pulse::{Beats, Pulse};
use crate::lab::{Agent, Host, Lab, Output, Server};

/// The gateway's interface and address.
pub const INTERFACE: &str = "enp2s0";
/// As above.
pub const EDGE: &str = "192.0.2.10";
/// Who is allowed.
pub const OPERATOR: &str = "192.0.2.20";
/// Nobody forbids these but the policy: something listens on all of them.
pub const PORTS: [u16; 3] = [4431, 4432, 4433];

/// How long a probe waits for an answer, in milliseconds: there is one at once, or none.
const PROBE: &str = "500";
/// Seconds that the echo servers serve, beyond what any suite takes on a slow machine.
const LIFETIME: &str = "3600";

/// Three hosts and an agent.
pub struct Gateway {
    /// It has the agent.
    pub edge: Host,
    /// The one whom the policies allow.
    pub operator: Host,
    /// Whom no policy allows.
    pub intruder: Host,
    /// The agent.
    pub agent: Agent,
    /// The lab.
    pub lab: Lab,
    hook: &'static str,
    traffic: String,
    _echoes: Vec<Server>,
}

impl Gateway {
    /// Builds it; nothing of the agent runs yet. `traffic`: the echo server's program.
    ///
    /// # Errors
    /// The lab can't be built.
    pub fn build(hook: &'static str, traffic: &str) -> Result<Self> {
        let lab = Lab::new()?;
        let edge =
            lab.host("edge").interface(INTERFACE).addr("192.0.2.10/24").addr("2001:db8:1::10/64").up()?;
        let operator = lab.host("operator").addr("192.0.2.20/24").addr("2001:db8:1::20/64").up()?;
        let intruder = lab.host("intruder").addr("192.0.2.66/24").up()?;
        let mut echoes = Vec::new();
        for port in PORTS {
            let at = format!("0.0.0.0:{port}");
            echoes.push(edge.spawn([traffic, "serve", &at, "--seconds", LIFETIME])?.listening("tcp", port)?);
            echoes.push(edge.spawn([traffic, "serve", &at, "--udp", "--seconds", LIFETIME])?);
        }
        let agent = Agent::new(&edge, &Agent::program()?)?;
        Ok(Self { edge, operator, intruder, agent, lab, hook, traffic: traffic.to_owned(), _echoes: echoes })
    }

    /// A host file that lets the operator use these ports over TCP and UDP, in this mode.
    #[must_use]
    pub fn policy(&self, mode: &str, ports: &[u16]) -> String {
        let mut text = format!(
            "[host]\nname = \"line4-edge\"\ninterfaces = [\"{INTERFACE}\"]\naddresses = [\"{EDGE}\"]\n\
             [enforcement]\ningress = \"{mode}\"\negress = \"{mode}\"\nhook = \"{}\"\n",
            self.hook
        );
        for (protocol, port) in ports.iter().flat_map(|port| [("tcp", port), ("udp", port)]) {
            text.push_str(&format!(
                "[[allow]]\nid = \"{protocol}-{port}\"\ndirection = \"ingress\"\nprotocol = \"{protocol}\"\n\
                 port = {port}\npeers = [\"{OPERATOR}\"]\nreason = \"operators\"\n"
            ));
        }
        if ports.is_empty() {
            text.push_str(
                "[[allow]]\nid = \"nothing\"\ndirection = \"ingress\"\nprotocol = \"tcp\"\nport = 9\n\
                 peers = [\"203.0.113.1\"]\nreason = \"a policy has at least one rule\"\n",
            );
        }
        text
    }

    /// Writes a host file that root alone may change.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn file(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.lab.dir().join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(path)
    }

    /// Writes the host file of a policy that enforces these ports.
    ///
    /// # Errors
    /// As [`Gateway::file`].
    pub fn enforcing(&self, ports: &[u16]) -> Result<PathBuf> {
        let name = ports.iter().map(u16::to_string).collect::<Vec<_>>().join("-");
        self.file(&format!("enforce-{name}.toml"), &self.policy("enforce", ports))
    }

    /// Applies a host file.
    ///
    /// # Errors
    /// It can't be started.
    pub fn apply(&self, host: &Path, flags: &[&str]) -> Result<Output> {
        let host = host.to_string_lossy();
        self.agent.command(["apply", &host].into_iter().chain(flags.iter().copied()))
    }

    /// What a command says in JSON, whatever its exit code.
    ///
    /// # Errors
    /// It says nothing, or no JSON.
    pub fn json(&self, words: &[&str]) -> Result<Value> {
        let output = self.agent.command(words.iter().copied().chain(["--json"]))?;
        ensure!(!output.stdout.is_empty(), "{output}");
        serde_json::from_str(&output.stdout).with_context(|| format!("not JSON: {output}"))
    }

    /// The states of ingress and egress.
    ///
    /// # Errors
    /// There is no status.
    pub fn states(&self) -> Result<Vec<String>> {
        let status = self.json(&["status"])?;
        let rows = status["interfaces"].as_array().context("no interfaces")?;
        Ok(rows.iter().map(|row| row["state"].as_str().unwrap_or_default().to_owned()).collect())
    }

    /// What ingress and egress say while enforcing.
    #[must_use]
    pub fn enforcing_states(&self) -> [&'static str; 2] {
        if self.hook == "xdp" { ["enforcing-native", "enforcing-tc"] } else { ["enforcing-tc"; 2] }
    }

    /// The generation in force.
    ///
    /// # Errors
    /// There is no status.
    pub fn generation(&self) -> Result<u64> {
        self.json(&["status"])?["generation"].as_u64().context("no generation")
    }

    /// Whether a host gets a connection to a port of the gateway.
    ///
    /// # Errors
    /// The probe can't be started.
    pub fn reaches(&self, from: &Host, port: u16) -> Result<bool> {
        let to = format!("{EDGE}:{port}");
        Ok(from.run([self.traffic.as_str(), "reach", &to, "--patience", PROBE])?.success())
    }

    /// Which of [`PORTS`] the operator reaches.
    ///
    /// # Errors
    /// As [`Gateway::reaches`].
    pub fn open(&self) -> Result<Vec<u16>> {
        let mut open = Vec::new();
        for port in PORTS {
            if self.reaches(&self.operator, port)? {
                open.push(port);
            }
        }
        Ok(open)
    }

    /// The host file that is the last good one.
    ///
    /// # Errors
    /// There is none.
    pub fn last_good(&self) -> Result<String> {
        let path = self.agent.state_dir().join("host.toml");
        fs::read_to_string(&path).with_context(|| format!("{}", path.display()))
    }
}

/// How long it takes until `ready` says yes, asked for at most `patience`.
///
/// # Errors
/// It fails, or says no for that long.
pub fn time_until(what: &str, patience: Duration, ready: impl FnMut() -> Result<bool>) -> Result<Duration> {
    let begin = Instant::now();
    crate::lab::wait_for(what, patience, ready)?;
    Ok(begin.elapsed())
}

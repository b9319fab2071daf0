//! An edge device with a running agent, its operator, and an intruder.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use portreeve_tests::lab::{self, Agent, Host, Lab, Output, Server, Web};
use serde_json::Value;

pub(crate) const EDGE: &str = "192.0.2.10";
pub(crate) const INTERFACE: &str = "enp2s0";
/// The documented page, and one that nobody documented.
pub(crate) const UI: u16 = 443;
pub(crate) const FORGOTTEN: u16 = 8080;

/// What is in force; `{hook}` is to be filled in.
pub(crate) const HOST: &str = r#"[host]
name = "line4-edge"
interfaces = ["enp2s0"]

[enforcement]
ingress = "observe"
egress = "observe"
hook = "{hook}"

[[role]]
pack = "siemens-industrial-edge"
role = "ied"
options = { offering = "IEM OS" }
[role.peers]
dns_servers = ["192.0.2.30"]
ntp_servers = ["192.0.2.0/24"]
ui_clients = ["192.0.2.20"]
iem = ["192.0.2.30"]

[[allow]]
id = "SITE-1"
direction = "egress"
protocol = "tcp"
port = 8883
peers = ["192.0.2.20"]
reason = "site MQTT broker"
"#;

/// Where ingress is decided.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Hook {
    Xdp,
    Tc,
}

impl Hook {
    pub(crate) const ALL: [Self; 2] = [Self::Xdp, Self::Tc];

    fn name(self) -> &'static str {
        match self {
            Self::Xdp => "xdp",
            Self::Tc => "tc",
        }
    }

    /// The states of ingress and egress while drops drop.
    pub(crate) fn enforcing(self) -> [&'static str; 2] {
        match self {
            Self::Xdp => ["enforcing-native", "enforcing-tc"],
            Self::Tc => ["enforcing-tc", "enforcing-tc"],
        }
    }
}

/// Drops and would-drops of a port.
#[derive(Debug)]
pub(crate) struct Drops {
    pub(crate) dropped: u64,
    pub(crate) would_drop: u64,
}

/// Something of the kernel's, by its number.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) kind: &'static str,
    id: String,
}

/// Everyone. The daemon observes at first.
pub(crate) struct Site {
    pub(crate) edge: Host,
    pub(crate) operator: Host,
    pub(crate) intruder: Host,
    pub(crate) agent: Agent,
    pub(crate) daemon: Server,
    pub(crate) lab: Lab,
    hook: Hook,
    _web: Server,
}

impl Site {
    pub(crate) fn build(hook: Hook) -> Result<Self> {
        let lab = Lab::new()?;
        let edge = lab.host("edge").interface(INTERFACE).addr("192.0.2.10/24").up()?;
        let operator = lab.host("operator").addr("192.0.2.20/24").up()?;
        let intruder = lab.host("intruder").addr("192.0.2.66/24").up()?;
        let web = Web::new(&edge, "edge ui").https(UI).http(FORGOTTEN).start()?;
        let agent = Agent::new(&edge, &Agent::program()?)?;
        let file = write(&lab, hook, HOST, 0o600)?;
        let daemon = agent.start(&file)?;
        Ok(Self { edge, operator, intruder, agent, daemon, lab, hook, _web: web })
    }

    /// A host file with this text and mode, in the place of the last one.
    pub(crate) fn file(&self, text: &str, mode: u32) -> Result<PathBuf> {
        write(&self.lab, self.hook, text, mode)
    }

    pub(crate) fn page(&self, from: &Host, port: u16) -> Result<Output> {
        let scheme = if port == UI { "https" } else { "http" };
        lab::fetch(from, &format!("{scheme}://{EDGE}:{port}/"))
    }

    /// What a command says in JSON.
    pub(crate) fn json(&self, command: &str) -> Result<Value> {
        let output = self.agent.command([command, "--json"])?.ok()?;
        serde_json::from_str(&output.stdout).with_context(|| format!("{command}: not JSON"))
    }

    /// What `drops` says of a TCP port.
    pub(crate) fn port(&self, direction: &str, port: u16) -> Result<Drops> {
        let drops = self.json("drops")?;
        let here =
            |row: &&Value| row["direction"] == direction && row["protocol"] == "tcp" && row["port"] == port;
        let row = list(&drops, "ports")?.iter().find(here);
        let count = |name: &str| row.and_then(|row| row[name].as_u64()).unwrap_or_default();
        Ok(Drops { dropped: count("dropped"), would_drop: count("would_drop") })
    }

    /// `run` refuses a host file with the exit code 2, and says all of this.
    pub(crate) fn refuses(&self, what: &str, file: &Path, says: &[&str]) -> Result<()> {
        let run = self.agent.command(["run", "--metrics", "off", "--host", &file.to_string_lossy()])?;
        println!("{what}:\n{}", run.stderr);
        ensure!(run.code == Some(2), "{what}: expected the exit code 2: {run}");
        for part in says {
            ensure!(run.stderr.contains(part), "{what}: {part:?} is not in\n{}", run.stderr);
        }
        Ok(())
    }

    /// The folder of the instance's pins.
    pub(crate) fn pins(&self) -> PathBuf {
        self.lab.bpffs().join(self.edge.name())
    }

    /// All that is pinned.
    pub(crate) fn objects(&self) -> Result<Vec<Object>> {
        let mut objects = Vec::new();
        for (folder, kind) in [("links", "link"), ("programs", "prog"), ("maps", "map")] {
            for entry in fs::read_dir(self.pins().join(folder))? {
                let path = entry?.path();
                let words = ["bpftool", "-j", kind, "show", "pinned", &path.to_string_lossy()];
                let shown: Value = serde_json::from_str(&self.edge.run(words)?.ok()?.stdout)?;
                objects.push(Object { kind, id: shown["id"].to_string() });
            }
        }
        Ok(objects)
    }
}

/// Whether the kernel has none of these any more.
pub(crate) fn all_gone(host: &Host, objects: &[Object]) -> Result<bool> {
    for Object { kind, id } in objects {
        if host.run(["bpftool", "-j", kind, "show", "id", id])?.success() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A list of a command's JSON.
pub(crate) fn list<'a>(json: &'a Value, name: &str) -> Result<&'a Vec<Value>> {
    json[name].as_array().with_context(|| format!("no list {name}"))
}

fn write(lab: &Lab, hook: Hook, text: &str, mode: u32) -> Result<PathBuf> {
    let file = lab.dir().join("host.toml");
    fs::write(&file, text.replace("{hook}", hook.name()))?;
    fs::set_permissions(&file, fs::Permissions::from_mode(mode))?;
    Ok(file)
}

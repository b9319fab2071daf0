//! The plant network: who is there, what they run, and the host file of the one that is protected.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Instant};

use anyhow::{Context as _, Result};
use portreeve_tests::lab::{Host, Lab, Resolver, Server, TimeServer, Web};

use super::act::Hook;
use crate::step;

pub(super) const EDGE: &str = "192.0.2.10";
pub(super) const IEM: &str = "192.0.2.20";
pub(super) const OPERATOR: &str = "192.0.2.30";
pub(super) const RESOLVER: &str = "192.0.2.53";
pub(super) const CLOCK: &str = "192.0.2.123";
pub(super) const INTRUDER: &str = "192.0.2.66";
/// Somewhere outside that no document names; the intruder answers for it.
pub(super) const OUTSIDE: &str = "203.0.113.80";
/// The IEM's name.
pub(super) const NAME: &str = "iem.plant.example";
/// The edge device's interface, the one that is protected.
pub(super) const INTERFACE: &str = "enp2s0";
/// Something on the edge device that its vendor's document doesn't know.
pub(super) const FORGOTTEN: u16 = 8080;

/// Everyone, and their servers.
pub(super) struct Plant {
    /// The edge device.
    pub(super) edge: Host,
    /// Who may use its pages.
    pub(super) operator: Host,
    /// Who may not.
    pub(super) intruder: Host,
    lab: Lab,
    /// They run as long as the plant stands.
    _servers: Vec<Server>,
    began: Instant,
}

impl Plant {
    /// Makes the namespaces, and starts the servers.
    pub(super) fn build() -> Result<Self> {
        let began = Instant::now();
        let lab = Lab::new()?;
        let edge = lab.host("edge").interface(INTERFACE).addr("192.0.2.10/24").resolver(RESOLVER);
        let edge = edge.route("203.0.113.0/24", INTRUDER).up()?;
        let iem = lab.host("iem").addr("192.0.2.20/24").up()?;
        let operator = lab.host("operator").addr("192.0.2.30/24").up()?;
        let resolver = lab.host("resolver").addr("192.0.2.53/24").up()?;
        let clock = lab.host("clock").addr("192.0.2.123/24").up()?;
        let intruder = lab.host("intruder").addr("192.0.2.66/24").addr("203.0.113.80/24").up()?;
        let servers = vec![
            Web::new(&edge, "the edge device's pages").https(443).http(FORGOTTEN).start()?,
            Web::new(&iem, "the IEM").https(443).https(9443).https(9444).start()?,
            Web::new(&intruder, "somewhere outside").https(443).start()?,
            Resolver::new(&resolver).name(NAME, IEM).start()?,
            TimeServer::start(&clock)?,
        ];
        Ok(Self { edge, operator, intruder, lab, _servers: servers, began })
    }

    /// Tells who is there.
    pub(super) fn introduce(&self) {
        println!(
            "
  operator {OPERATOR}    IEM {IEM}       resolver {RESOLVER}   time server {CLOCK}
         │                  443 9443 9444        53                    123
         │                       │               │                      │
  ───────┴───────────┬───────────┴───────────────┴──────────┬───────────┴───
                     │                                      │
              {INTERFACE} │ Portreeve                            │
          edge device {EDGE}             intruder {INTRUDER}
          443, and a forgotten {FORGOTTEN}           and {OUTSIDE}, somewhere outside
"
        );
        println!(
            "  built in {}, with nginx, dnsmasq and chrony at work",
            step::seconds(self.began.elapsed())
        );
    }

    /// Writes what an engineer would: the role, and who is who on this site.
    pub(super) fn host_file(&self, hook: Hook) -> Result<PathBuf> {
        let text = format!(
            r#"[host]
name = "line4-edge"
interfaces = ["{INTERFACE}"]

[enforcement]
ingress = "observe"
egress = "observe"
hook = "{}"

[[role]]
pack = "siemens-industrial-edge"
role = "ied"
options = {{ offering = "IEM OS" }}
peers = {{ iem = ["{IEM}"], dns_servers = ["{RESOLVER}"], ntp_servers = ["{CLOCK}"], ui_clients = ["{OPERATOR}"] }}
"#,
            hook.name()
        );
        let file = self.lab.dir().join("host.toml");
        fs::write(&file, &text).with_context(|| format!("can't write {}", file.display()))?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
        println!("\n  host.toml\n");
        text.lines().for_each(|line| println!("{}", format!("    {line}").trim_end()));
        Ok(file)
    }
}

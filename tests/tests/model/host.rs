//! Two policies that take turns.

use std::path::Path;

use anyhow::{Result, anyhow, ensure};
use ipnet::IpNet;
use jiff::civil::date;
use portreeve::{
    image::Image,
    policy::{self, Catalogue, Policy},
};
use portreeve_tests::policy::{EVERY_KIND, slots};

use crate::{ADOPTION, TICKS_PER_SECOND};

/// The host's own addresses.
pub(crate) const PROTECTED: [&str; 2] = ["192.0.2.10/24", "2001:db8:1::10/64"];

/// Every kind of flow, both ways, for some peers and not for others.
const HOST: &str = r#"
[host]
name = "model"
interfaces = ["eth*"]
addresses = ["192.0.2.10", "2001:db8:1::10"]

[state]
tcp_idle = "4h"

[baseline]
dhcp = true
ping_from = ["198.51.100.0/24", "2001:db8:2::/64"]

[[role]]
pack = "siemens-industrial-edge"
role = "ied"
options = { offering = "IEM OS" }
peers = { iem = ["198.51.100.0/24", "2001:db8:2::/64"], dns_servers = ["192.0.2.53", "2001:db8:1::50"], ntp_servers = "any", ui_clients = "any" }

[[role]]
pack = "plant"
role = "edge"
[role.peers]
panels = ["198.51.100.20", "2001:db8:1::50"]
members = ["192.0.2.200", "2001:db8:1::50", "fe80::1"]
files = ["192.0.2.53", "2001:db8:2::20"]
servers = ["192.0.2.20", "203.0.113.10", "2001:db8:1::50"]

[[allow]]
id = "NAME-1"
direction = "egress"
protocol = "tcp"
port = 843
peers = ["api.example.com", "*.example.net"]
reason = "by names"

[[allow]]
id = "NAME-2"
direction = "egress"
protocol = "tcp"
port = [843, 883]
peers = ["*.example.com", "203.0.113.10"]
reason = "by names and peers"

[[allow]]
id = "NAME-3"
direction = "ingress"
protocol = "udp"
port = 883
peers = ["*.b.example.net"]
reason = "who has a name calls"
"#;

/// The role of the rules' own suite: groups, broadcast, source ports, data beside a control flow.
const PACKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rules/packs");

/// What every second policy says otherwise: flows are revoked, others are let in, and EtherTypes are listed.
const CHANGES: [(&str, &str); 6] = [
    ("[baseline]\ndhcp = true\n", "[baseline]\ndhcp = false\nethertypes = [\"lldp\", \"0x8892\"]\n"),
    (
        "\"198.51.100.0/24\", \"203.0.113.0/24\", \"2001:db8::/32\"]",
        "\"203.0.113.0/24\", \"2001:db8:1::/64\"]",
    ),
    ("port = [443, 5481, 22, 80, 53, 21]", "port = [443, 22, 21, 123]"),
    ("peers = [\"198.51.100.20\"]", "peers = [\"203.0.113.10\"]"),
    ("api.example.com", "www.example.com"),
    ("*.b.example.net", "a.b.example.net"),
];

/// A policy for both sides.
pub(crate) struct Site {
    pub(crate) policy: Policy,
    pub(crate) image: Image,
}

/// The policies that take turns.
pub(crate) fn sites(protected: &[IpNet]) -> Result<[Site; 2]> {
    let text = format!("{HOST}{EVERY_KIND}");
    let mut changed = text.clone();
    for (from, to) in CHANGES {
        ensure!(changed.contains(from), "{from:?} is not in the host file");
        changed = changed.replacen(from, to, 1);
    }
    let mut slots = slots()?;
    let catalogue = Catalogue::load(Some(Path::new(PACKS)))?;
    let mut site = |text: &str| -> Result<Site> {
        let policy = policy::compile("host.toml", text, &catalogue, date(2026, 11, 21));
        let policy = policy.map_err(|report| anyhow!("{}", report.render(false)))?;
        let mut image = Image::compile(&policy, protected, &mut slots, TICKS_PER_SECOND)?;
        image.settings = image.settings.adopting_until(ADOPTION);
        Ok(Site { policy, image })
    };
    Ok([site(&text)?, site(&changed)?])
}

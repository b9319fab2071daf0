//! Tables from a host file's text, on the two addresses that the suites' packets are for.

use anyhow::{Result, anyhow};
use ipnet::IpNet;
use jiff::civil::date;
use portreeve::{
    image::{Image, Slots},
    policy::{self, Catalogue},
};
use portreeve_common::clause::{self, Interfaces};

/// The host's own addresses, with the prefix lengths of their interface.
pub const OWN: [&str; 2] = ["192.0.2.10/24", "2001:db8:1::10/64"];

/// Rules for a resolver of both families, by UDP, and by TCP for its IPv4 address: what it answers is learned.
pub const RESOLVER: &str = r#"
[[allow]]
id = "DNS"
direction = "egress"
protocol = "udp"
port = 53
peers = ["192.0.2.53", "2001:db8:1::53"]
reason = "resolver"

[[allow]]
id = "DNS-TCP"
direction = "egress"
protocol = "tcp"
port = 53
peers = ["192.0.2.53"]
reason = "resolver, long answers"
"#;

/// Rules of every kind, both ways, for some peers and not for others; the last three are bound to interfaces.
pub const EVERY_KIND: &str = r#"
[[allow]]
id = "SITE-1"
direction = "ingress"
protocol = "tcp"
port = [22, 80, 53, 161, 5481]
peers = ["198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"]
reason = "by peers"

[[allow]]
id = "SITE-2"
direction = "ingress"
protocol = "udp"
port = [53, 161, 123, 443, 20, 21]
peers = "any"
reason = "by anybody"

[[allow]]
id = "SITE-3"
direction = "egress"
protocol = "tcp"
port = [443, 5481, 22, 80, 53, 21]
peers = "any"
reason = "by anybody"

[[allow]]
id = "SITE-4"
direction = "egress"
protocol = "icmp"
peers = "any"
reason = "echo"

[[allow]]
id = "SITE-5"
direction = "ingress"
protocol = 47
peers = ["198.51.100.20"]
reason = "by number"

[[allow]]
id = "SITE-6"
direction = "egress"
protocol = "udp"
port = [53, 123, 161, 443, 80, 23]
peers = ["198.51.100.0/24", "192.0.2.0/24", "2001:db8::/32"]
reason = "by peers"

[[allow]]
id = "SITE-7"
direction = "ingress"
protocol = "tcp"
port = [22, 23]
peers = ["192.0.2.0/24", "2001:db8::/32"]
interfaces = ["eth1"]
reason = "by another interface"

[[allow]]
id = "SITE-8"
direction = "ingress"
protocol = "tcp"
port = 23
peers = ["198.51.100.0/24", "2001:db8:1::/64"]
interfaces = ["eth0", "eth1"]
reason = "by this interface"

[[allow]]
id = "SITE-9"
direction = "egress"
protocol = "udp"
port = [20, 123]
peers = "any"
interfaces = ["eth1"]
reason = "by another interface"
"#;

/// The interface of the suites' packets.
pub const HERE: &str = "eth0";
/// The same as the programs are told.
pub const ONLY_HERE: Interfaces = clause::interface(0);

/// Places of which [`HERE`] has the first.
///
/// # Errors
/// There is none.
pub fn slots() -> Result<Slots> {
    let mut slots = Slots::default();
    slots.interfaces.give(HERE)?;
    Ok(slots)
}

/// Compiles a host file with the packs that are built in.
///
/// # Errors
/// The text has errors, or its policy doesn't fit the tables.
pub fn image(host: &str, ticks_per_second: u64) -> Result<Image> {
    let policy = policy::compile("host.toml", host, &Catalogue::built_in()?, date(2026, 11, 21));
    let policy = policy.map_err(|report| anyhow!("{}", report.render(false)))?;
    let own = OWN.iter().map(|net| net.parse()).collect::<Result<Vec<IpNet>, _>>()?;
    Ok(Image::compile(&policy, &own, &mut slots()?, ticks_per_second)?)
}

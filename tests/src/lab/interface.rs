//! An interface of a host: one end of a veth pair whose other end is in the switch or in another host.

use anyhow::{Context as _, Result, ensure};
use ipnet::IpNet;

use super::{BRIDGE, Host, process};

/// The only networks that a lab uses (RFC 5737, RFC 3849): a packet that got out would get nowhere.
const DOCUMENTATION: [&str; 4] = ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"];

/// The kernel keeps 16 bytes for a name, the last of them zero (`IFNAMSIZ`).
const NAME_LENGTH: usize = 15;

/// What `ethtool -K` calls the offloads that change what a capture or a program sees.
const OFFLOADS: [&str; 5] = ["tx", "tso", "gso", "gro", "sg"];

#[derive(Debug)]
pub(super) struct Interface {
    pub(super) name: String,
    pub(super) mac: Option<String>,
    pub(super) addresses: Vec<String>,
    pub(super) plain: bool,
    pub(super) peer: Option<(Host, String)>,
}

impl Interface {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), mac: None, addresses: Vec::new(), plain: false, peer: None }
    }

    /// Makes the pair, and brings both ends up.
    pub(super) fn plug(&self, host: &Host) -> Result<()> {
        self.plug_in(host)?;
        let Self { name, mac: _, addresses, plain: _, peer: _ } = self;
        let here = host.namespace();
        process::run(["ip", "-n", &here, "link", "set", name, "up"])?.ok()?;
        for address in addresses {
            check(address)?;
            let mut add = vec!["ip", "-n", &here, "address", "add", address, "dev", name];
            if address.contains(':') {
                add.push("nodad");
            }
            process::run(add)?.ok()?;
        }
        Ok(())
    }

    /// Makes the pair, and brings the far end up.
    pub(super) fn plug_in(&self, host: &Host) -> Result<()> {
        let Self { name, mac, addresses: _, plain, peer } = self;
        let here = host.namespace();
        let (there, far) = match peer {
            Some((peer, interface)) => (peer.namespace(), interface.clone()),
            None => (host.lab().switch(), format!("{}-{name}", host.name())),
        };
        for end in [name, &far] {
            ensure!(end.len() <= NAME_LENGTH, "interface name {end} is longer than {NAME_LENGTH} characters");
        }
        let mut pair = vec!["ip", "link", "add", name, "netns", &here];
        if let Some(mac) = mac {
            pair.extend(["address", mac]);
        }
        pair.extend(["type", "veth", "peer", "name", &far, "netns", &there]);
        process::run(pair)?.ok()?;
        if *plain {
            host.run(
                ["ethtool", "-K", name].into_iter().chain(OFFLOADS.into_iter().flat_map(|o| [o, "off"])),
            )?
            .ok()?;
        }
        if peer.is_none() {
            process::run(["ip", "-n", &there, "link", "set", &far, "master", BRIDGE])?.ok()?;
        }
        process::run(["ip", "-n", &there, "link", "set", &far, "up"])?.ok()?;
        Ok(())
    }
}

/// Refuses an address that someone may own.
fn check(address: &str) -> Result<()> {
    let network: IpNet =
        address.parse().with_context(|| format!("{address} is not an address with its length"))?;
    let documented = DOCUMENTATION.iter().filter_map(|known| known.parse::<IpNet>().ok());
    ensure!(
        documented.into_iter().any(|known| known.contains(&network)),
        "{address} is not of a documentation network ({})",
        DOCUMENTATION.join(", ")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn only_documentation_networks() {
        for address in ["192.0.2.10/24", "198.51.100.1/32", "203.0.113.0/25", "2001:db8:1::10/64"] {
            check(address).unwrap();
        }
        for address in ["10.0.0.1/8", "192.0.2.10/16", "2001:db9::1/64", "192.0.2.10", "edge"] {
            assert!(check(address).is_err(), "{address}");
        }
    }
}

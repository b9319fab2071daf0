//! The host's own addresses, each with the prefix length of its interface.

use std::{net::IpAddr, path::Path};

use globset::Glob;
use ipnet::IpNet;
use nix::{ifaddrs::getifaddrs, sys::socket::SockaddrStorage};

use crate::policy::HostFile;

/// Why there are none.
#[derive(Debug, thiserror::Error)]
pub enum ProtectedError {
    /// The host file doesn't say, and this machine has no such interface.
    #[error(
        "this host's own addresses are not known: set `addresses` in [host], as in addresses = [\"192.0.2.10\"]"
    )]
    Unknown,
    /// The kernel doesn't list them.
    #[error("cannot list this machine's addresses")]
    Listing(#[from] nix::Error),
}

/// The addresses in the host file, else those of the interfaces that it names.
///
/// An address of the host file that this machine carries has its prefix length from there, any other has none.
///
/// # Errors
/// There are no such addresses.
pub fn protected(host: &HostFile) -> Result<Vec<IpNet>, ProtectedError> {
    let carried = interfaces()?;
    if host.addresses.is_empty() {
        let named = carried.into_iter().filter(|(name, _)| is_protected(name, &host.interfaces));
        let nets: Vec<IpNet> = named.map(|(_, net)| net).collect();
        return if nets.is_empty() { Err(ProtectedError::Unknown) } else { Ok(nets) };
    }
    let net = |address: &IpAddr| {
        let here = carried.iter().find(|(_, net)| net.addr() == *address);
        here.map_or_else(|| IpNet::from(*address), |(_, net)| *net)
    };
    Ok(host.addresses.iter().map(net).collect())
}

/// Every address of this machine, with the name of its interface.
fn interfaces() -> Result<Vec<(String, IpNet)>, nix::Error> {
    let listed = getifaddrs()?.filter_map(|entry| {
        let address = address(entry.address.as_ref()?)?;
        let length = entry.netmask.as_ref().and_then(address_length);
        Some((entry.interface_name, IpNet::new(address, length?).ok()?))
    });
    Ok(listed.collect())
}

fn address(storage: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = storage.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip()));
    v4.or_else(|| storage.as_sockaddr_in6().map(|v6| IpAddr::from(v6.ip())))
}

fn address_length(mask: &SockaddrStorage) -> Option<u8> {
    ipnet::ip_mask_to_prefix(address(mask)?).ok()
}

/// Named exactly; or physical, and matched by a glob or by an empty list.
fn is_protected(interface: &str, named: &[String]) -> bool {
    let matches =
        |glob: &String| Glob::new(glob).is_ok_and(|glob| glob.compile_matcher().is_match(interface));
    if named.iter().any(|name| name == interface) {
        return true;
    }
    let physical = Path::new("/sys/class/net").join(interface).join("device").exists();
    physical && (named.is_empty() || named.iter().any(matches))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_named_or_physical() {
        assert!(is_protected("lo", &["lo".into()]));
        assert!(!is_protected("lo", &["l*".into()]));
        assert!(!is_protected("lo", &[]));
    }

    #[test]
    fn this_machine_lists_its_loopback() {
        let loopback: IpNet = "127.0.0.1/8".parse().unwrap();
        assert!(interfaces().unwrap().contains(&("lo".into(), loopback)));
    }
}

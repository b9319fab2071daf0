//! This host's interfaces: which of them are covered, and the addresses that they carry.

use std::{fs, net::IpAddr, path::Path};

use ipnet::IpNet;
use nix::{ifaddrs::getifaddrs, net::if_::if_nametoindex};

use super::DatapathError;
use crate::policy::host::{is_pattern, means};

const CLASS: &str = "/sys/class/net";

/// Drivers of interfaces that have a device but no wire.
const VIRTUAL: [&str; 2] = ["veth", "tun"];

/// An interface's index.
///
/// # Errors
/// There is none of this name.
pub fn index(name: &str) -> Result<u32, DatapathError> {
    if_nametoindex(name).map_err(|_absent| DatapathError::NoInterface(name.into()))
}

/// Whether its frames begin with an Ethernet header (`ARPHRD_ETHER` in `include/uapi/linux/if_arp.h`): nothing else is
/// understood. Tunnels, modems in raw IP mode and CAN have others.
///
/// # Errors
/// They don't.
pub fn ensure_ethernet(name: &str) -> Result<(), DatapathError> {
    if is_ethernet(name) { Ok(()) } else { Err(DatapathError::NoEthernet(name.into())) }
}

fn is_ethernet(name: &str) -> bool {
    let kind = fs::read_to_string(Path::new(CLASS).join(name).join("type"));
    kind.is_ok_and(|kind| kind.trim() == "1")
}

/// Whether it is a NIC: native XDP is worth it there.
#[must_use]
pub fn is_physical(name: &str) -> bool {
    let device = Path::new(CLASS).join(name).join("device");
    let driver = fs::read_link(device.join("driver")).ok();
    let driver = driver.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    device.exists() && is_ethernet(name) && !driver.is_some_and(|driver| VIRTUAL.contains(&driver.as_str()))
}

/// The interfaces that a host file means: names as they stand, globs and nothing among the physical ones.
///
/// # Errors
/// The interfaces can't be listed.
pub fn chosen(wanted: &[String]) -> Result<Vec<String>, DatapathError> {
    let entries = fs::read_dir(CLASS).map_err(|error| DatapathError::file("read", CLASS, error))?;
    let mut present: Vec<_> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    present.sort();
    let physical: Vec<_> = present.into_iter().filter(|name| is_physical(name)).collect();
    Ok(among(wanted, &physical))
}

fn among(wanted: &[String], physical: &[String]) -> Vec<String> {
    if wanted.is_empty() {
        return physical.to_vec();
    }
    let mut chosen: Vec<String> = Vec::new();
    for pattern in wanted {
        if is_pattern(pattern) {
            chosen.extend(physical.iter().filter(|name| means(pattern, name)).cloned());
        } else {
            chosen.push(pattern.clone());
        }
    }
    let mut seen = Vec::new();
    chosen.retain(|name| {
        !seen.contains(name) && {
            seen.push(name.clone());
            true
        }
    });
    chosen
}

/// The addresses that a host has: those that its file lists, each with the prefix length of its interface where one of
/// these interfaces carries it, or all that they carry.
///
/// # Errors
/// The kernel does not say.
pub fn protected(listed: &[IpAddr], interfaces: &[String]) -> Result<Vec<IpNet>, DatapathError> {
    let carried = addresses(interfaces)?;
    if listed.is_empty() {
        return Ok(carried);
    }
    let with_length = |address: &IpAddr| {
        let known = carried.iter().find(|net| net.addr() == *address).copied();
        known.unwrap_or_else(|| IpNet::from(*address))
    };
    Ok(listed.iter().map(with_length).collect())
}

/// The addresses that interfaces carry, each with its prefix length.
///
/// # Errors
/// The kernel does not say.
pub fn addresses(interfaces: &[String]) -> Result<Vec<IpNet>, DatapathError> {
    let mut nets = Vec::new();
    for entry in getifaddrs().map_err(DatapathError::Addresses)? {
        if !interfaces.contains(&entry.interface_name) {
            continue;
        }
        let ip = |address: nix::sys::socket::SockaddrStorage| {
            let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
        };
        let (Some(address), Some(mask)) = (entry.address.and_then(ip), entry.netmask.and_then(ip)) else {
            continue;
        };
        let length = ipnet::ip_mask_to_prefix(mask).ok();
        if let Some(net) = length.and_then(|length| IpNet::new(address, length).ok()) {
            nets.push(net);
        }
    }
    nets.sort();
    nets.dedup();
    Ok(nets)
}

#[cfg(test)]
mod tests {
    use super::among;

    #[test]
    fn globs_choose_among_nics_and_names_stand() {
        let nics = ["enp2s0", "enp3s0", "eth0"].map(String::from);
        let chosen =
            |wanted: &[&str]| among(&wanted.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>(), &nics);
        assert_eq!(chosen(&[]), nics);
        assert_eq!(chosen(&["enp*"]), ["enp2s0", "enp3s0"]);
        assert_eq!(chosen(&["br0", "eth*", "eth0"]), ["br0", "eth0"]);
    }
}

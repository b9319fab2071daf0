//! What else judges packets on this machine, and who starts services.

use std::{fs, path::Path};

use super::{Finding, MACHINE, netlink};

/// There while the kernel tracks connections.
const CONNTRACK: &str = "/proc/sys/net/netfilter/nf_conntrack_count";
/// Tables of the old packet filter, one a line.
const IPTABLES: &str = "/proc/net/ip_tables_names";
/// Links that take IP out of frames whose EtherType is another: redundant rings, PPP over Ethernet, B.A.T.M.A.N.
const UNWRAPS: [&str; 3] = ["hsr", "ppp", "batadv"];
/// A folder for each interface, with `input`, while the kernel has MPLS.
const MPLS: &str = "/proc/sys/net/mpls/conf";

pub(super) fn findings() -> Vec<Finding> {
    let mut findings = vec![conntrack(), systemd()];
    findings.extend(firewall());
    findings.push(match netlink::links() {
        Ok(links) => wrapped(
            links.iter().map(|(name, link)| (name.as_str(), link.kind.as_deref().unwrap_or_default())),
            &mpls(),
        ),
        Err(error) => Finding::unknown(MACHINE, WRAPPED, error),
    });
    findings
}

fn conntrack() -> Finding {
    match fs::read_to_string(CONNTRACK) {
        Ok(count) => Finding::ok(MACHINE, "conntrack", format!("on, {} connections", count.trim())),
        Err(_absent) => {
            Finding::ok(MACHINE, "conntrack", "off: live connections are told from sockets alone")
        }
    }
}

fn firewall() -> Vec<Finding> {
    let old = fs::read_to_string(IPTABLES).map_or(0, |tables| tables.lines().count());
    let (tables, flowtables) = match netlink::nftables() {
        Ok(counts) => counts,
        // A kernel without nftables says that it knows no such message.
        Err(error) => return vec![Finding::unknown(MACHINE, "firewall", error)],
    };
    let mut findings = vec![match tables + old {
        0 => Finding::ok(MACHINE, "firewall", "none"),
        _ => Finding::warning(
            MACHINE,
            "firewall",
            format!("{tables} tables of nftables, {old} of iptables"),
            "both judge: what one of them drops is dropped",
        ),
    }];
    if flowtables > 0 {
        findings.push(Finding::warning(
            MACHINE,
            "flow offload",
            format!("{flowtables} flow tables of nftables"),
            "forwarded flows in a flow table of the hardware never reach our programs: take `flags offload` away",
        ));
    }
    findings
}

const WRAPPED: &str = "IP in other frames";

/// Frames that are no IP pass by their EtherType; what the kernel finds in them is judged by nobody.
fn wrapped<'l>(links: impl Iterator<Item = (&'l str, &'l str)>, mpls: &[String]) -> Finding {
    let unwraps =
        links.filter(|(_, kind)| UNWRAPS.contains(kind)).map(|(name, kind)| format!("{name} ({kind})"));
    let all: Vec<_> = unwraps.chain(mpls.iter().map(|name| format!("{name} (MPLS)"))).collect();
    if all.is_empty() {
        return Finding::ok(MACHINE, WRAPPED, "nothing takes it out");
    }
    let advice = "what comes in such frames is not judged: cover that link too where it carries Ethernet, or list the \
                  EtherTypes that may pass under [baseline] ethertypes";
    Finding::warning(MACHINE, WRAPPED, format!("taken out by {}", all.join(", ")), advice)
}

/// Interfaces whose labelled frames the kernel takes.
fn mpls() -> Vec<String> {
    let takes = |entry: &fs::DirEntry| {
        fs::read_to_string(entry.path().join("input")).is_ok_and(|input| input.trim() == "1")
    };
    let entries = fs::read_dir(MPLS).into_iter().flatten().flatten();
    entries.filter(takes).map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn systemd() -> Finding {
    if Path::new("/run/systemd/system").is_dir() {
        return Finding::ok(MACHINE, "systemd", "runs");
    }
    let advice = "let this machine's own init start `portreeve run` before the network";
    Finding::warning(MACHINE, "systemd", "does not run: portreeve.service is of no use here", advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::Level;

    #[test]
    fn links_that_take_ip_out_of_other_frames_are_named() {
        let plain = [("enp2s0", ""), ("br0", "bridge"), ("wg0", "wireguard")];
        assert_eq!(wrapped(plain.into_iter(), &[]).level, Level::Ok);
        let ring = wrapped(plain.into_iter().chain([("hsr0", "hsr")]), &["enp3s0".into()]);
        assert_eq!(
            (ring.level, ring.seen.as_str()),
            (Level::Warning, "taken out by hsr0 (hsr), enp3s0 (MPLS)")
        );
    }
}

//! What else judges packets on this machine, and who starts services.

use std::{fs, path::Path};

use super::{Finding, MACHINE, netlink};

/// There while the kernel tracks connections.
const CONNTRACK: &str = "/proc/sys/net/netfilter/nf_conntrack_count";
/// Tables of the old packet filter, one a line.
const IPTABLES: &str = "/proc/net/ip_tables_names";

pub(super) fn findings() -> Vec<Finding> {
    let mut findings = vec![conntrack(), systemd()];
    findings.extend(firewall());
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

fn systemd() -> Finding {
    if Path::new("/run/systemd/system").is_dir() {
        return Finding::ok(MACHINE, "systemd", "runs");
    }
    let advice = "let this machine's own init start `portreeve run` before the network";
    Finding::warning(MACHINE, "systemd", "does not run: portreeve.service is of no use here", advice)
}

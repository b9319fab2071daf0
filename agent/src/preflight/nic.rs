//! A NIC: its driver, the XDP that it has, its MTU, and the offloads that hide packets.

use std::{fs, path::Path};

use super::{Finding, Level, Subject, driver, foreign, generic, netlink, trial};
use crate::{datapath::interface, policy::host::Hook};

const CLASS: &str = "/sys/class/net";

/// Makers of links that stand on others: a program belongs on what is below them.
const STACKED: [&str; 7] = ["vlan", "bond", "bridge", "team", "macvlan", "ipvlan", "vxlan"];

/// A page, less what the driver and the end of the buffer keep (256 and 320 bytes), and the longest frame head.
const ONE_BUFFER: u32 = 3498;

/// Offloads of which someone ought to know, in the kernel's spelling.
const OFFLOADS: [(&str, &str, Level, &str); 4] = [
    (
        "rx-vlan-hw-parse",
        "the NIC takes VLAN tags off: XDP does not see them",
        Level::Warning,
        "ethtool -K INTERFACE rxvlan off, where ingress is judged by XDP and VLANs matter",
    ),
    (
        "rx-lro",
        "the NIC joins packets (LRO): drivers refuse native XDP, and what is forwarded is no longer what came",
        Level::Warning,
        "ethtool -K INTERFACE lro off",
    ),
    (
        "rx-gro-hw",
        "the NIC joins packets (GRO_HW): drivers refuse native XDP, or turn it off",
        Level::Warning,
        "ethtool -K INTERFACE rx-gro-hw off",
    ),
    (
        "hw-tc-offload",
        "the NIC may forward flows by itself: those never reach our programs",
        Level::Warning,
        "ethtool -K INTERFACE hw-tc-offload off, unless nobody offloads flows",
    ),
];

pub(super) fn findings(name: &str, subject: &Subject<'_>, kernel: Option<(u32, u32)>) -> Vec<Finding> {
    let Ok(index) = interface::index(name) else {
        let advice = "check [host] interfaces; it is covered when it comes";
        return vec![Finding::warning(name, "interface", "is not there", advice)];
    };
    let link = match netlink::links() {
        Ok(links) => links.get(name).cloned().unwrap_or_default(),
        Err(error) => return vec![Finding::unknown(name, "interface", error)],
    };
    if let Some(kind) = link.kind.as_deref().filter(|kind| STACKED.contains(kind)) {
        let wish = "name the NIC below it: a program there sees all of its packets, with their tags";
        let finding = match subject.hook {
            Hook::Xdp => Finding::refused(name, "kind", format!("{kind}: it has no native XDP"), wish),
            Hook::Auto | Hook::Tc => Finding::warning(name, "kind", format!("{kind}, and not a NIC"), wish),
        };
        return [vec![finding], foreign::findings(name, index, &link, subject.pins)].concat();
    }
    let driver = driver(name).or(link.kind.clone());
    let (native, fragments) = native(name, index, driver.as_deref(), kernel, subject.hook);
    let mut findings = vec![native];
    findings.extend(mtu(name, fragments));
    findings.extend(offloads(name));
    findings.extend(foreign::findings(name, index, &link, subject.pins));
    if subject.tries {
        findings.push(trial::finding(name, index));
    }
    findings
}

fn driver(name: &str) -> Option<String> {
    let driver = fs::read_link(Path::new(CLASS).join(name).join("device/driver")).ok()?;
    Some(driver.file_name()?.to_string_lossy().into_owned())
}

/// What the driver says of itself, else what is known of it. And whether frames may be in several buffers, if it is known.
fn native(
    name: &str,
    index: u32,
    driver: Option<&str>,
    kernel: Option<(u32, u32)>,
    hook: Hook,
) -> (Finding, Option<bool>) {
    let check = "native XDP";
    let shown = driver.unwrap_or("no driver");
    let (has, fragments, how) = match generic::native_xdp(index) {
        Ok(xdp) => (xdp.basic, Some(xdp.fragments), "as it says"),
        Err(_older) => {
            let since = driver.and_then(driver::since);
            (
                since.zip(kernel).is_some_and(|(since, kernel)| since <= kernel),
                None,
                "as the table of drivers says",
            )
        }
    };
    let finding = match (has, hook) {
        (true, _) => Finding::ok(name, check, format!("{shown} has it, {how}")),
        (false, Hook::Xdp) => {
            let advice = "`hook = \"auto\"` or `\"tc\"` judges in TC instead";
            Finding::refused(name, check, format!("{shown} has none, {how}"), advice)
        }
        (false, Hook::Auto) => {
            let seen = format!("{shown} has none, {how}: ingress is judged by TC");
            Finding::warning(name, check, seen, "nothing: a packet costs more, and all else is the same")
        }
        (false, Hook::Tc) => Finding::ok(name, check, format!("{shown} has none, and none is asked for")),
    };
    (finding, fragments)
}

fn mtu(name: &str, fragments: Option<bool>) -> Vec<Finding> {
    let check = "MTU";
    let path = Path::new(CLASS).join(name).join("mtu");
    let text = fs::read_to_string(path).unwrap_or_default();
    let Ok(mtu) = text.trim().parse::<u32>() else {
        return vec![Finding::unknown(name, check, "it can't be read")];
    };
    if mtu <= ONE_BUFFER || fragments == Some(true) {
        return vec![Finding::ok(name, check, mtu.to_string())];
    }
    let seen = format!("{mtu}: the driver may refuse native XDP above {ONE_BUFFER}");
    vec![Finding::warning(name, check, seen, "lower the MTU; `hook = \"auto\"` falls back to TC by itself")]
}

fn offloads(name: &str) -> Vec<Finding> {
    let check = "offloads";
    let active = match generic::offloads(name) {
        Ok(active) => active,
        Err(error) => return vec![Finding::unknown(name, check, error)],
    };
    let on = OFFLOADS.iter().filter(|(offload, ..)| active.contains(*offload));
    let findings: Vec<_> = on
        .map(|(offload, seen, level, advice)| Finding {
            subject: name.into(),
            check: offload,
            level: *level,
            seen: (*seen).into(),
            advice: Some(advice.replace("INTERFACE", name)),
        })
        .collect();
    if findings.is_empty() { vec![Finding::ok(name, check, "none that hides packets")] } else { findings }
}

//! Programs of others on an interface, by name and number.

use portreeve_common::Direction;

use super::{
    Finding,
    netlink::{self, Link},
};
use crate::datapath::{Pins, link, others};

/// What others have there. An XDP program of another's can't stand beside ours; TC programs can.
pub(super) fn findings(name: &str, index: u32, found: &Link, pins: &Pins) -> Vec<Finding> {
    let own = own(pins);
    let mut findings = Vec::new();
    for (place, id) in found.xdp.iter().filter(|(_, id)| !own.contains(id)) {
        let seen = format!("{place}: {}", others::program(*id));
        let advice = "take it off where it comes from: an interface has room for one XDP program";
        findings.push(Finding::refused(name, "foreign XDP", seen, advice));
    }
    for direction in Direction::ALL {
        match others::tcx(name, direction) {
            Ok(programs) => {
                findings.extend(programs.iter().filter(|it| !own.contains(&it.id)).map(|program| {
                    let advice = "ours goes first; what it lets pass, the other still judges";
                    Finding::warning(name, "foreign TC", format!("TCX {direction}: {program}"), advice)
                }));
            }
            Err(error) => {
                findings.push(Finding::unknown(
                    name,
                    "foreign TC",
                    format!("{:#}", anyhow::Error::new(error)),
                ));
            }
        }
    }
    findings.push(clsact(name, index));
    findings
}

fn clsact(name: &str, index: u32) -> Finding {
    let check = "clsact";
    let filters = match netlink::clsact(index) {
        Ok(None) => return Finding::ok(name, check, "none"),
        Ok(Some(filters)) => filters,
        Err(error) => return Finding::unknown(name, check, error),
    };
    if filters.is_empty() {
        let advice = format!("if nobody needs it: `tc qdisc del dev {name} clsact`");
        return Finding::warning(name, check, "there, and empty: a leftover", &advice);
    }
    let filters: Vec<_> = filters.iter().map(|(way, kind)| format!("{way} {kind}")).collect();
    let advice = "TCX goes before it; what passes ours, its filters still judge";
    Finding::warning(name, check, format!("holds filters: {}", filters.join(", ")), advice)
}

/// Numbers of our programs that are attached; none where there is no instance.
fn own(pins: &Pins) -> Vec<u32> {
    let attached = pins.attached().unwrap_or_default();
    let program = |(interface, hook): (String, _)| {
        let path = pins.link(&interface, hook);
        let open = link::open(&path).ok()??;
        Some(link::facts(&path, &open).ok()?.program)
    };
    attached.into_iter().filter_map(program).collect()
}

//! What the kernel doesn't hold though it should.

use super::{Finding, Kind, Seen};
use crate::control::View;

pub(super) fn findings(view: &View, seen: &Seen<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (interface, direction, standing) in &seen.standings {
        if !standing.is_good() {
            let mode = view.posture.mode(*direction).name();
            findings.push(Finding {
                kind: Kind::Kernel,
                subject: format!("{interface} {direction}"),
                seen: standing.to_string(),
                expected: format!("{mode} on {interface}"),
            });
        }
    }
    if !seen.holds {
        findings.push(Finding {
            kind: Kind::Kernel,
            subject: format!("generation {}", view.posture.generation()),
            seen: "the kernel's tables are not those that the last good policy compiles to".into(),
            expected: format!("policy {}", view.digest()),
        });
    }
    findings
}

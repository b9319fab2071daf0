//! What two roles of one host can't agree on.

use super::role::RoleUse;
use crate::{
    diagnostic::{Report, Span},
    policy::{catalogue::Catalogue, pack::Pack},
};

/// Reports what two roles of one host can't agree on, at the later one.
pub(super) fn check(earlier: &RoleUse, role: &RoleUse, catalogue: &Catalogue, report: &mut Report) {
    if earlier.pack != role.pack {
        return;
    }
    if earlier.role == role.role {
        let message = format!("role {} of {} stands twice", role.role, role.pack);
        report.error(role.at.clone(), message, "keep one of them, with the peers of both");
        return;
    }
    let Some(pack) = catalogue.pack(&role.pack) else { return };
    exclusion(pack, &earlier.role, &role.role, role.at.clone(), report);
    for name in &pack.shared {
        let values = earlier.options.get(name).zip(role.options.get(name));
        if let Some((a, b)) = values.filter(|(a, b)| a != b) {
            let message = format!(
                "roles {} and {} contradict each other: `{name}` is {a} and {b}",
                earlier.role, role.role
            );
            report.error(role.at.clone(), message, "one host has one value for both");
        }
    }
}

fn exclusion(pack: &Pack, earlier: &str, later: &str, at: Span, report: &mut Report) {
    let excludes =
        |one: &str, other: &str| pack.role(one).filter(|role| role.excludes.iter().any(|name| name == other));
    if let Some(role) = excludes(earlier, later).or_else(|| excludes(later, earlier)) {
        let message =
            format!("roles {earlier} and {later} can't stand on one host: {}", role.excludes_because);
        report.error(at, message, format!("keep {earlier} or {later}"));
    }
}

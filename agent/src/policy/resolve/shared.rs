//! Services that a role which is only observed shares with those that are enforced: they stay enforced.

use crate::{
    diagnostic::Report,
    policy::{
        HostFile,
        rule::{Ports, Rule, Service},
        stage::Stages,
    },
};

/// Flows that a warning names.
const NAMED: usize = 5;

/// Says which flows of observed roles are held strictly all the same.
pub(super) fn warn(host: &HostFile, rules: &[Rule], stages: &Stages, report: &mut Report) {
    let is_observed = |rule: &Rule| stages.observes(&rule.role, rule.direction);
    for used in &host.roles {
        let own = rules.iter().filter(|rule| rule.role == used.role && is_observed(rule));
        let strict = |rule: &&Rule| {
            rules.iter().any(|other| {
                other.direction == rule.direction
                    && overlap(&rule.service, &other.service)
                    && !is_observed(other)
            })
        };
        let mut flows: Vec<&str> = own.filter(strict).map(|rule| rule.flow.as_str()).collect();
        flows.dedup();
        if flows.is_empty() {
            continue;
        }
        let more = flows.len().saturating_sub(NAMED);
        flows.truncate(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let message = format!(
            "role {} is observed, but {}{more} stay enforced: enforced roles document the same ports",
            used.role,
            flows.join(", ")
        );
        let help =
            "observing one role opens nothing that another one closes; observe those too, if that is meant";
        report.warning(used.at.clone(), message, help);
    }
}

/// Whether a packet can ask for both.
fn overlap(one: &Service, other: &Service) -> bool {
    let meet = |one: &Ports, other: &Ports| {
        one.destination
            .iter()
            .any(|a| other.destination.iter().any(|b| a.start() <= b.end() && b.start() <= a.end()))
    };
    match (one, other) {
        (Service::Tcp(one), Service::Tcp(other)) | (Service::Udp(one), Service::Udp(other)) => {
            meet(one, other)
        }
        (Service::Tcp(_) | Service::Udp(_) | Service::Echo | Service::Igmp | Service::Protocol(_), _) => {
            one == other
        }
    }
}

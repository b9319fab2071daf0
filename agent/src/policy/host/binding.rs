//! `interfaces` of a role and of an `[[allow]]`: by which interfaces of the host a flow may begin.

use std::collections::BTreeMap;

use super::{
    identity::{self, is_pattern, means},
    keys::{Keys, Value, suggest},
};
use crate::{diagnostic::Report, policy::pack::Role};

/// Interfaces to which a role's flows are bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    /// Those of flows that the table doesn't bind; empty: any.
    all: Vec<String>,
    /// By the names that the pack gives to its networks.
    networks: BTreeMap<String, Vec<String>>,
}

impl Binding {
    /// Where flows of a network, or of none, may begin; empty: anywhere.
    #[must_use]
    pub fn of(&self, network: Option<&str>) -> &[String] {
        network.and_then(|network| self.networks.get(network)).unwrap_or(&self.all)
    }
}

/// Reads `interfaces` of a role: a list for all of its flows, or a table by the pack's networks. `covered`: see [`list`].
pub(super) fn of_role(keys: &mut Keys<'_>, role: &Role, covered: &[String], report: &mut Report) -> Binding {
    let Some(value) = keys.take(KEY) else { return Binding::default() };
    let Some(table) = value.get_ref().as_table() else {
        return Binding { all: list(value, covered, report), networks: BTreeMap::new() };
    };
    let known: Vec<_> = role.networks.iter().map(|network| network.name.as_str()).collect();
    let mut networks = BTreeMap::new();
    for (name, at, value) in Keys::new("`interfaces`", value.span(), table).rest() {
        if role.network(name).is_some() {
            networks.insert(name.to_owned(), list(value, covered, report));
        } else {
            let message = format!("unknown network `{name}` of role {}", role.name);
            let help = match known.as_slice() {
                [] => "write a list of interfaces for all flows of the role".to_owned(),
                known => suggest(name, known, "networks"),
            };
            report.error(at, message, help);
        }
    }
    Binding { all: Vec::new(), networks }
}

/// Reads `interfaces` of an `[[allow]]`; empty: any.
pub(super) fn of_allow(keys: &mut Keys<'_>, covered: &[String], report: &mut Report) -> Vec<String> {
    keys.take(KEY).map(|value| list(value, covered, report)).unwrap_or_default()
}

const KEY: &str = "interfaces";

/// Names that stand as they are, each `covered` by the host's own list, which is empty where any may be.
fn list(value: Value<'_>, covered: &[String], report: &mut Report) -> Vec<String> {
    let help = "write whole names in a list, like [\"enp3s0\"], or leave it out for any";
    let names = identity::interfaces(value, help, report);
    if value.get_ref().as_array().is_some_and(|names| names.is_empty()) {
        report.error(value.span(), "`interfaces` lists none: the flow could never begin", help);
    }
    for name in &names {
        if is_pattern(name) {
            report.error(value.span(), format!("`{name}` may mean several interfaces"), help);
        } else if !is_covered(name, covered) {
            let message = format!("`{name}` is not among the interfaces of [host]");
            report.error(value.span(), message, format!("[host] has: {}", covered.join(", ")));
        }
    }
    names
}

/// Whether an interface may be one of the host's; its list is empty where any may be.
#[must_use]
pub fn is_covered(name: &str, covered: &[String]) -> bool {
    covered.is_empty() || covered.iter().any(|pattern| means(pattern, name))
}

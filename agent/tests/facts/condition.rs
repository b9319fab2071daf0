//! When a flow is on, tried with every combination of the options that decide it.

use std::collections::{BTreeMap, BTreeSet};

use portreeve::policy::pack::{Condition, Flow, OptionKind, OptionSpec, Options, Pack, PeerRef, Role, Value};
use serde_json::Value as Json;

use super::{Fact, differs};

/// One below, at and above each threshold of the documents, and main releases beside them.
const VERSIONS: [&str; 11] = [
    "10.0.7",
    "10.0.8",
    "10.1.0 CU10",
    "10.1.1",
    "10.1.2",
    "10.1.3",
    "10.2.0",
    "10.3.0 CU5",
    "10.3.5",
    "10.3.6",
    "10.4.0",
];
const MODULES: [&str; 3] = ["2.9.9", "2.10.0", "2.10.1"];

/// What a site is, as against what it opts into: a flow that only these turn on is on by default.
const SITE: [&str; 8] =
    ["offering", "version", "tenancy", "cluster", "cassandra", "search", "cassandra_tls", "cassandra_multi"];

type Set = BTreeMap<String, Value>;

/// Adds a sentence for the first combination that differs, and one if the default does.
pub(crate) fn compare(pack: &Pack, flow: &Flow, fact: &Fact, found: &mut Vec<String>) {
    let Some(role) = pack.role(&flow.role) else { return };
    let mut names = BTreeSet::new();
    tested(&flow.when, &mut names);
    let ours: BTreeSet<String> = names.clone();
    names.extend(stated(role, &flow.id, &fact["condition"]));
    let judged = |set: &Set| flow.when.judge(&Options::new(role, set)).holds;
    let differing = combinations(role, &names)
        .into_iter()
        .find(|set| judged(set) != wanted(role, flow, &fact["condition"], set));
    if let Some(set) = differing {
        found.push(format!("{}: differs from its condition with {set:?}", flow.id));
    }
    // The version decides some defaults, so it counts even where the flow doesn't ask for it.
    let decides = |name: &str| SITE.contains(&name) && (name == "version" || ours.contains(name));
    let site = role.options.iter().map(|spec| spec.name.clone()).filter(|name| decides(name)).collect();
    let by_machine = flow.peers.iter().any(|peer| matches!(peer, PeerRef::Controller(_)));
    let on = !by_machine && combinations(role, &site).iter().any(judged);
    differs(&format!("{}: on by default", flow.id), &on, &(fact["default"] == "on"), found);
}

fn tested(condition: &Condition, names: &mut BTreeSet<String>) {
    names.extend(condition.tests.iter().map(|(name, _)| name.clone()));
    condition.any.iter().for_each(|alternative| tested(alternative, names));
}

/// The options that a fact names.
fn stated(role: &Role, id: &str, fact: &Json) -> Vec<String> {
    let keys = |field: &str| fact[field].as_object().into_iter().flatten().map(|(key, _)| key.clone());
    let mut names: Vec<String> = keys("opt").chain(keys("opt_not")).chain(keys("opt_any")).collect();
    let fields =
        [("offering", "offering"), ("ver_ge", "version"), ("ver_lt", "version"), ("any_ver", "version")];
    names.extend(
        fields.iter().filter(|(field, _)| fact.get(field).is_some()).map(|(_, name)| (*name).to_owned()),
    );
    if fact.get("machine").is_some() && role.option("controller").is_some() {
        names.push("controller".into());
    }
    if id == "MM-NTP-01" {
        names.push("ntp_mode".into());
    }
    names
}

fn combinations(role: &Role, names: &BTreeSet<String>) -> Vec<Set> {
    let mut sets = vec![Set::new()];
    for spec in names.iter().filter_map(|name| role.option(name)) {
        let with = |set: &Set| -> Vec<Set> {
            values(spec)
                .into_iter()
                .map(|value| {
                    let mut set = set.clone();
                    set.extend(value.map(|value| (spec.name.clone(), value)));
                    set
                })
                .collect()
        };
        sets = sets.iter().flat_map(with).collect();
    }
    sets
}

/// What an option can be; `None`: a host file that doesn't set it.
fn values(spec: &OptionSpec) -> Vec<Option<Value>> {
    let versions = |list: &[&str]| -> Vec<_> {
        let version = |text: &&str| Some(Value::Version(text.parse().unwrap()));
        list.iter().map(version).chain([None]).collect()
    };
    match spec.kind {
        OptionKind::Flag => vec![Some(Value::Flag(false)), Some(Value::Flag(true))],
        OptionKind::Choice => {
            spec.choices.iter().cloned().map(|choice| Some(Value::Choice(choice))).collect()
        }
        OptionKind::Version => versions(&VERSIONS),
        OptionKind::Module => versions(&MODULES),
        OptionKind::Port | OptionKind::Address => vec![None],
    }
}

fn wanted(role: &Role, flow: &Flow, fact: &Json, set: &Set) -> bool {
    let entries = |field: &str| fact[field].as_object().into_iter().flatten().collect::<Vec<_>>();
    let offered =
        fact["offering"].as_array().is_none_or(|list| list.iter().any(|one| is(set, "offering", one)));
    let machine = fact.get("machine").filter(|_| role.option("controller").is_some());
    // The catalogue's third mode: only the site's own servers.
    let pool = flow.id != "MM-NTP-01" || !is(set, "ntp_mode", &Json::from("servers"));
    offered
        && pool
        && machine.is_none_or(|kind| is(set, "controller", kind))
        && entries("opt").iter().all(|(name, value)| is(set, name, value))
        && entries("opt_not").iter().all(|(name, value)| !is(set, name, value))
        && fact["ver_ge"].as_str().is_none_or(|since| from(set, "version", since))
        && fact["ver_lt"]
            .as_str()
            .is_none_or(|limit| set.contains_key("version") && !from(set, "version", limit))
        && any_of(fact, set)
}

/// `any_ver` or `opt_any`.
fn any_of(fact: &Json, set: &Set) -> bool {
    let Some(versions) = fact["any_ver"].as_array() else { return true };
    let module =
        |(name, value): (&String, &Json)| from(set, name, value.as_str().unwrap().trim_start_matches(">= "));
    versions.iter().any(|since| from(set, "version", since.as_str().unwrap()))
        || fact["opt_any"].as_object().into_iter().flatten().any(module)
}

/// Whether an option is this; one that is both of two is each of them.
fn is(set: &Set, name: &str, value: &Json) -> bool {
    match set.get(name) {
        Some(Value::Flag(flag)) => value.as_bool() == Some(*flag),
        Some(Value::Choice(word)) => word == "both" || value.as_str() == Some(word),
        Some(Value::Port(_) | Value::Version(_) | Value::Address(_)) | None => false,
    }
}

/// Whether an option's version is this one or a later one, number by number.
fn from(set: &Set, name: &str, since: &str) -> bool {
    let Some(Value::Version(version)) = set.get(name) else { return false };
    numbers(&version.to_string()) >= numbers(since)
}

fn numbers(version: &str) -> Vec<u32> {
    let number = |part: &str| part.parse().unwrap();
    let (release, update) = version.split_once(" CU").unwrap_or((version, "0"));
    release.split('.').chain([update]).map(number).collect()
}

//! Every flow of the fact list stands in its pack, as the documents state it, and nothing else does.
#![expect(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use portreeve::policy::{
    Catalogue,
    pack::{Condition, Flow, OptionKind, Options, Pack, PeerRef, Protocol, Value},
    rule::Kind,
};
use serde_json::Value as Json;

fn facts() -> Vec<Json> {
    serde_json::from_str(include_str!("facts/flows.json")).unwrap()
}

fn catalogue() -> Catalogue {
    Catalogue::built_in().unwrap()
}

fn text<'f>(fact: &'f Json, field: &str) -> &'f str {
    fact[field].as_str().unwrap()
}

#[test]
fn every_documented_flow_is_there_as_stated() {
    let catalogue = catalogue();
    let mut seen = 0;
    for fact in facts() {
        let Some(pack) = catalogue.pack(text(&fact, "pack")) else { continue };
        let id = text(&fact, "id");
        let flow = pack.flows.iter().find(|flow| flow.id == id).unwrap_or_else(|| panic!("{id} is missing"));
        compare(pack, flow, &fact);
        seen += 1;
    }
    assert_eq!(seen, 26 + 18);
}

#[test]
fn a_pack_has_no_other_flow_but_implied_ones() {
    let known: BTreeSet<String> = facts().iter().map(|fact| text(fact, "id").to_owned()).collect();
    for pack in catalogue().packs() {
        for flow in &pack.flows {
            assert_eq!(known.contains(&flow.id), flow.kind != Kind::Implied, "{}", flow.id);
        }
    }
}

#[test]
fn every_assertion_of_a_pack_says_why() {
    for pack in catalogue().packs() {
        assert!(pack.roles.iter().all(|role| !role.help.is_empty()));
        assert!(pack.flows.iter().all(|flow| !flow.purpose.is_empty()), "{}", pack.name);
        assert!(pack.nevers.iter().all(|never| !never.because.is_empty() && !never.row.is_empty()));
        for role in &pack.roles {
            assert!(role.excludes.is_empty() || !role.excludes_because.is_empty(), "{}", role.name);
        }
    }
}

fn compare(pack: &Pack, flow: &Flow, fact: &Json) {
    let id = &flow.id;
    assert_eq!(pack.document, text(fact, "document"), "{id}");
    assert_eq!(flow.role, text(fact, "role"), "{id}");
    assert_eq!(flow.row, text(fact, "row"), "{id}");
    assert_eq!(flow.direction.name(), text(fact, "direction"), "{id}");
    assert_eq!(protocol(flow), text(fact, "protocol"), "{id}");
    assert_eq!(kind(flow.kind), text(fact, "kind"), "{id}");
    assert_eq!(ports(flow), fact["ports"], "{id}");
    assert_eq!(flow.source_port.map(i64::from), fact["source_port"].as_i64(), "{id}");
    assert_eq!(peers(flow), expected_peers(text(fact, "peer")), "{id}");
    compare_condition(pack, flow, &fact["condition"]);
    compare_configurable(pack, flow, text(fact, "configurable"));
    assert_eq!(on_by_default(pack, flow), text(fact, "default") == "on", "{id}");
}

fn protocol(flow: &Flow) -> &'static str {
    match flow.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Icmp => "icmp",
        Protocol::Igmp => "igmp",
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Documented => "documented",
        Kind::Mirror => "mirror",
        Kind::Implied => "implied",
        Kind::Site => "site",
    }
}

/// Single ports one by one, echo as the fact list writes it.
fn ports(flow: &Flow) -> Json {
    if flow.protocol == Protocol::Icmp {
        return serde_json::json!(["echo-request"]);
    }
    flow.ports.ranges().iter().flat_map(Clone::clone).map(Json::from).collect()
}

fn peers(flow: &Flow) -> BTreeSet<String> {
    let name = |peer: &PeerRef| match peer {
        PeerRef::Peer(name) => name.clone(),
        other => panic!("{}: {other:?}", flow.id),
    };
    flow.peers.iter().map(name).collect()
}

fn expected_peers(peer: &str) -> BTreeSet<String> {
    peer.strip_prefix("param:").unwrap().split('+').map(str::to_owned).collect()
}

/// Holds the condition against every combination of the options that the fact names.
fn compare_condition(pack: &Pack, flow: &Flow, fact: &Json) {
    let role = pack.role(&flow.role).unwrap();
    let names: BTreeSet<&str> =
        flow.when.tests.iter().map(|(name, _)| name.as_str()).chain(named(fact)).collect();
    let mut combinations = vec![BTreeMap::new()];
    for name in names {
        let spec = role.option(name).unwrap_or_else(|| panic!("{}: no option {name}", flow.id));
        let values: Vec<Value> = match spec.kind {
            OptionKind::Flag => vec![Value::Flag(false), Value::Flag(true)],
            OptionKind::Choice => spec.choices.iter().cloned().map(Value::Choice).collect(),
            other => panic!("{}: {other:?}", flow.id),
        };
        combinations = combinations
            .iter()
            .flat_map(|set: &BTreeMap<String, Value>| {
                values.iter().map(move |value| {
                    let mut set = set.clone();
                    set.insert(name.to_owned(), value.clone());
                    set
                })
            })
            .collect();
    }
    for set in combinations {
        let ours = flow.when.judge(&Options::new(role, &set)).holds;
        assert_eq!(ours, wanted(fact, &set), "{} with {set:?}", flow.id);
    }
}

fn named(fact: &Json) -> impl Iterator<Item = &str> {
    let keys = |field: &str| fact[field].as_object().into_iter().flatten().map(|(key, _)| key.as_str());
    let offering = fact.get("offering").map(|_| "offering");
    offering.into_iter().chain(keys("opt")).chain(keys("opt_not")).collect::<Vec<_>>().into_iter()
}

fn wanted(fact: &Json, set: &BTreeMap<String, Value>) -> bool {
    let same = |name: &str, value: &Json| match &set[name] {
        Value::Flag(flag) => value.as_bool() == Some(*flag),
        Value::Choice(word) => value.as_str() == Some(word),
        other => panic!("{other:?}"),
    };
    let entries = |field: &str| fact[field].as_object().into_iter().flatten().collect::<Vec<_>>();
    let offered = fact["offering"].as_array().is_none_or(|list| list.iter().any(|one| same("offering", one)));
    offered
        && entries("opt").iter().all(|(name, value)| same(name, value))
        && entries("opt_not").iter().all(|(name, value)| !same(name, value))
}

fn compare_configurable(pack: &Pack, flow: &Flow, fact: &str) {
    let Some((name, default)) = fact.split_once('=') else {
        assert_eq!(flow.port_option, None, "{}", flow.id);
        return;
    };
    let spec = pack.role(&flow.role).unwrap().option(name).unwrap();
    assert_eq!(flow.port_option.as_deref(), Some(name), "{}", flow.id);
    assert_eq!(spec.default.as_ref().map(ToString::to_string).as_deref(), Some(default), "{}", flow.id);
}

/// Whether some offering turns the flow on without any other option being set.
fn on_by_default(pack: &Pack, flow: &Flow) -> bool {
    let role = pack.role(&flow.role).unwrap();
    let offerings = role.option("offering").map(|spec| spec.choices.as_slice()).unwrap_or_default();
    let set = |word: &String| BTreeMap::from([("offering".to_owned(), Value::Choice(word.clone()))]);
    let holds = |condition: &Condition, set| condition.judge(&Options::new(role, &set)).holds;
    offerings.is_empty() || offerings.iter().any(|word| holds(&flow.when, set(word)))
}

//! A pack's roles, options, peers and assertions against the catalogue's.

use portreeve::policy::pack::{Never, OptionSpec, Options, Pack, PeerRef, Protocol, Role, Scope, Value};
use serde_json::{Value as Json, json};

use super::{differs, strings};

/// Adds a sentence for each difference.
pub(crate) fn compare(pack: &Pack, words: &Json, found: &mut Vec<String>) {
    differs("vendor", &pack.vendor, words["vendor"].as_str().unwrap(), found);
    differs("title", &pack.title, words["title"].as_str().unwrap(), found);
    differs("document", &pack.document, words["document"].as_str().unwrap(), found);
    differs("rows", &pack.rows, &strings(&words["rows"]), found);
    differs("shared", &pack.shared, &strings(&words["shared"]), found);
    let roles = words["roles"].as_object().unwrap();
    if pack.roles.len() != roles.len() {
        found.push(format!("{} roles, and the facts have {}", pack.roles.len(), roles.len()));
    }
    for (name, role) in roles {
        match pack.role(name) {
            Some(ours) => compare_role(ours, role, found),
            None => found.push(format!("role {name} is missing")),
        }
    }
    let nevers: Vec<Json> = pack.nevers.iter().map(never).collect();
    differs("nevers", &nevers, words["nevers"].as_array().unwrap(), found);
}

fn compare_role(role: &Role, words: &Json, found: &mut Vec<String>) {
    let at = |what: &str| format!("role {}: {what}", role.name);
    let named = |pick: fn(&portreeve::policy::pack::PeerSpec) -> bool| -> Vec<String> {
        role.peers.iter().filter(|peer| pick(peer)).map(|peer| peer.name.clone()).collect()
    };
    differs(&at("required peers"), &named(|peer| peer.required), &strings(&words["required"]), found);
    differs(&at("optional peers"), &named(|peer| !peer.required), &strings(&words["optional"]), found);
    differs(&at("private peers"), &named(|peer| peer.private), &strings(&words["private"]), found);
    differs(&at("excludes"), &role.excludes, &strings(&words["excludes"]), found);
    differs(&at("controllers"), &role.controllers, &strings(&words["controllers"]), found);
    let networks: Vec<&str> = role.networks.iter().map(|network| network.name.as_str()).collect();
    let stated = words["networks"].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    differs(&at("networks"), &networks, &stated.collect::<Vec<_>>(), found);
    for peer in &role.peers {
        let own_port = words["own_port"][&peer.name].as_str();
        differs(&at("peer with its own port"), &peer.port_option.as_deref(), &own_port, found);
    }
    let options = words["options"].as_object().unwrap();
    if role.options.len() != options.len() {
        found.push(at(&format!("{} options, and the facts have {}", role.options.len(), options.len())));
    }
    for (name, option) in options {
        match role.option(name) {
            Some(ours) => compare_option(role, ours, option, found),
            None => found.push(at(&format!("option {name} is missing"))),
        }
    }
}

fn compare_option(role: &Role, spec: &OptionSpec, words: &Json, found: &mut Vec<String>) {
    let at = |what: &str| format!("role {}: option {}: {what}", role.name, spec.name);
    differs(&at("type"), &json!(spec.kind), &words["type"], found);
    differs(&at("choices"), &spec.choices, &strings(&words["choices"]), found);
    differs(&at("required"), &spec.required, &(words["required"] == true), found);
    differs(&at("beside"), &spec.beside, &(words["beside"] == true), found);
    let default = spec.default.as_ref().map_or(Json::Null, |value| json!(value));
    differs(&at("default"), &default, &words["default"], found);
    let follows = &words["follows"];
    if spec.default_when.is_empty() != follows.is_null() {
        found.push(at("the default follows a version, or it doesn't"));
    }
    for (list, has) in [("has", true), ("has_not", false)] {
        for version in strings(&follows[list]) {
            let set = [("version".to_owned(), Value::Version(version.parse().unwrap()))].into();
            let value = Options::new(role, &set).get(&spec.name).map(ToString::to_string);
            let new = value == Some(follows["value"].to_string());
            differs(&at(&format!("follows {version}")), &new, &has, found);
        }
    }
}

fn never(never: &Never) -> Json {
    let Never { role, direction, protocol, port, port_option, peers, site, scope, row, because: _ } = never;
    let protocol = protocol.map(self::protocol);
    let scope = match scope {
        Scope::Host => "host",
        Scope::Pack => "pack",
    };
    json!({
        "role": role, "direction": direction.name(), "protocol": protocol, "port": port, "port_option": port_option,
        "peers": peers.iter().map(shown).collect::<Vec<_>>(), "site": site, "scope": scope, "row": row,
    })
}

/// A remote end as packs write it.
pub(crate) fn shown(peer: &PeerRef) -> String {
    match peer {
        PeerRef::Any => "any".into(),
        PeerRef::Peer(name) | PeerRef::Name(name) => name.clone(),
        PeerRef::Controller(kind) => format!("controller:{kind}"),
        PeerRef::Net(net) => portreeve::policy::address::show(net),
    }
}

/// The protocol's word.
pub(crate) fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Icmp => "icmp",
        Protocol::Igmp => "igmp",
    }
}

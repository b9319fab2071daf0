//! Whether a pack keeps its own promises: every reference leads somewhere, every default is of its type.

use std::collections::BTreeSet;

use super::{
    Condition, Flow, Never, OptionKind, OptionSpec, Pack, PeerRef, Protocol, Role, To, condition::Test,
};
use crate::policy::rule::Kind;

/// One sentence for each thing that contradicts the rest of the pack.
pub(super) fn problems(pack: &Pack) -> Vec<String> {
    let mut found = Vec::new();
    repeated("role", pack.roles.iter().map(|role| role.name.as_str()), &mut found);
    repeated("flow", pack.flows.iter().map(|flow| flow.id.as_str()), &mut found);
    for role in &pack.roles {
        check_role(pack, role, &mut found);
    }
    for flow in &pack.flows {
        match pack.role(&flow.role) {
            Some(role) => check_flow(pack, role, flow, &mut found),
            None => found.push(format!("flow {} names the unknown role `{}`", flow.id, flow.role)),
        }
    }
    for never in &pack.nevers {
        match pack.role(&never.role) {
            Some(role) => check_never(role, never, &mut found),
            None => found.push(format!("a never names the unknown role `{}`", never.role)),
        }
    }
    found
}

fn repeated<'n>(what: &str, names: impl Iterator<Item = &'n str>, found: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    found
        .extend(names.filter(|name| !seen.insert(*name)).map(|name| format!("{what} `{name}` stands twice")));
}

fn check_role(pack: &Pack, role: &Role, found: &mut Vec<String>) {
    let at = format!("role {}", role.name);
    repeated(&format!("{at}: option"), role.options.iter().map(|o| o.name.as_str()), found);
    repeated(&format!("{at}: peer"), role.peers.iter().map(|p| p.name.as_str()), found);
    for other in &role.excludes {
        if pack.role(other).is_none() {
            found.push(format!("{at} excludes the unknown role `{other}`"));
        }
    }
    for spec in &role.options {
        check_option(role, spec, &format!("{at}: option {}", spec.name), found);
    }
    for peer in &role.peers {
        check_port_option(role, peer.port_option.as_deref(), &format!("{at}: peer {}", peer.name), found);
    }
}

fn check_option(role: &Role, spec: &OptionSpec, at: &str, found: &mut Vec<String>) {
    if (spec.kind == OptionKind::Choice) == spec.choices.is_empty() {
        found.push(format!("{at}: choices belong to a choice"));
    }
    if spec.required && spec.default.is_some() {
        found.push(format!("{at}: is required, so its default is never used"));
    }
    let defaults = spec.default.iter().chain(spec.default_when.iter().map(|special| &special.value));
    found.extend(
        defaults.filter_map(|value| spec.read(value).err()).map(|error| format!("{at}: default {error}")),
    );
    for special in &spec.default_when {
        check_condition(role, &special.when, at, found);
    }
}

fn check_flow(pack: &Pack, role: &Role, flow: &Flow, found: &mut Vec<String>) {
    let at = format!("flow {}", flow.id);
    let carries_ports = matches!(flow.protocol, Protocol::Tcp | Protocol::Udp);
    if carries_ports == flow.ports.is_empty() {
        found.push(format!("{at}: tcp and udp have ports, nothing else has"));
    }
    if flow.kind == Kind::Site {
        found.push(format!("{at}: only host files have flows of the site"));
    }
    if flow.peers.is_empty() || flow.to.is_empty() {
        found.push(format!("{at}: names no remote end"));
    }
    let replaced = flow.instead.iter().flat_map(|instead| &instead.peers);
    check_peers(role, flow.peers.iter().chain(replaced), &at, found);
    check_port_option(role, flow.port_option.as_deref(), &at, found);
    check_condition(role, &flow.when, &at, found);
    for instead in &flow.instead {
        check_condition(role, &instead.when, &at, found);
    }
    for to in &flow.to {
        check_destination(role, to, &at, found);
    }
    if let Some(other) = &flow.alias_of
        && !pack.flows.iter().any(|flow| flow.id == *other && flow.alias_of.is_none())
    {
        found.push(format!("{at}: repeats `{other}`, which is no flow or repeats another itself"));
    }
}

fn check_never(role: &Role, never: &Never, found: &mut Vec<String>) {
    let at = format!("the never of role {} ({})", role.name, never.row);
    check_peers(role, never.peers.iter(), &at, found);
    check_port_option(role, never.port_option.as_deref(), &at, found);
}

fn check_peers<'f>(role: &Role, peers: impl Iterator<Item = &'f PeerRef>, at: &str, found: &mut Vec<String>) {
    for peer in peers {
        match peer {
            PeerRef::Peer(name) if role.peer(name).is_none() => {
                found.push(format!("{at}: role {} has no peer `{name}`", role.name));
            }
            PeerRef::Controller(name) if !role.controllers.contains(name) => {
                found.push(format!("{at}: role {} has no controller `{name}`", role.name));
            }
            PeerRef::Any | PeerRef::Peer(_) | PeerRef::Controller(_) | PeerRef::Net(_) | PeerRef::Name(_) => {
            }
        }
    }
}

fn check_destination(role: &Role, to: &To, at: &str, found: &mut Vec<String>) {
    match to {
        To::GroupOption(name) if role.option(name).is_none_or(|spec| spec.kind != OptionKind::Address) => {
            found.push(format!("{at}: role {} has no address option `{name}`", role.name));
        }
        To::Own | To::Broadcast | To::Group(_) | To::GroupOption(_) => {}
    }
}

fn check_port_option(role: &Role, name: Option<&str>, at: &str, found: &mut Vec<String>) {
    let Some(name) = name else { return };
    if role.option(name).is_none_or(|spec| spec.kind != OptionKind::Port || spec.default.is_none()) {
        found.push(format!("{at}: role {} has no port option `{name}` with a default", role.name));
    }
}

fn check_condition(role: &Role, condition: &Condition, at: &str, found: &mut Vec<String>) {
    for (name, test) in &condition.tests {
        let Some(spec) = role.option(name) else {
            found.push(format!("{at}: tests the unknown option `{name}` of role {}", role.name));
            continue;
        };
        match test {
            Test::OneOf(values) | Test::Not(values) => {
                let errors = values.iter().filter_map(|value| spec.read(value).err());
                found.extend(errors.map(|error| format!("{at}: option {name} {error}")));
            }
            Test::AtLeast(_) | Test::Below(_) if spec.kind != OptionKind::Version => {
                found.push(format!("{at}: option {name} is not a version"));
            }
            Test::AtLeast(_) | Test::Below(_) => {}
        }
    }
    for alternative in &condition.any {
        check_condition(role, alternative, at, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#"
name = "p"
vendor = "v"
title = "t"
document = "d"
[[role]]
name = "r"
help = ""
option = [{ name = "on", type = "flag", default = false, help = "" }]
peer = [{ name = "server", help = "" }]
"#;

    fn check(flow: &str) -> String {
        let base = "id = \"F\"\nrole = \"r\"\nrow = \"1\"\npurpose = \"\"\ndirection = \"egress\"\n";
        let error = Pack::parse("p.toml", &format!("{HEAD}[[flow]]\n{base}{flow}")).err();
        error.map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let good = "protocol = \"tcp\"\nports = [1]\npeers = [\"server\"]\n";
        assert_eq!(check(good), "");
        for (flow, part) in [
            ("protocol = \"tcp\"\nports = [1]\npeers = [\"sever\"]", "has no peer `sever`"),
            ("protocol = \"tcp\"\npeers = [\"server\"]", "tcp and udp have ports"),
            ("protocol = \"icmp\"\nports = [1]\npeers = [\"any\"]", "tcp and udp have ports"),
            ("protocol = \"tcp\"\nports = [1]\npeers = []", "names no remote end"),
            ("protocol = \"tcp\"\nports = [0]\npeers = [\"any\"]", "port 0 is out of range"),
            (
                "protocol = \"tcp\"\nports = [1]\npeers = [\"any\"]\nwhen = { of = true }",
                "unknown option `of`",
            ),
            (
                "protocol = \"tcp\"\nports = [1]\npeers = [\"any\"]\nwhen = { on = \"x\" }",
                "must be true or false",
            ),
            (
                "protocol = \"tcp\"\nports = [1]\npeers = [\"any\"]\nport_option = \"on\"",
                "no port option `on`",
            ),
            ("protocol = \"tcp\"\nports = [1]\npeers = [\"any\"]\nalias_of = \"G\"", "repeats `G`"),
            ("protocol = \"tcp\"\nports = [1]\npeers = [\"controller:X\"]", "no controller `X`"),
            (
                "protocol = \"udp\"\nports = [1]\npeers = [\"any\"]\nto = [\"group\"]",
                "no address option `group`",
            ),
            ("protocol = \"tcp\"\nports = [1]\npeers = [\"any\"]\nkind = \"site\"", "only host files"),
            ("protocol = \"tcp\"\nports = [1]\npeers = [\"any\"]\nsource = 1", "unknown field `source`"),
        ] {
            let error = check(flow);
            assert!(error.contains(part), "{flow}\n{error}");
        }
    }
}

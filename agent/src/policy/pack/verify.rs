//! Whether a pack keeps its own promises: every reference leads somewhere, every default is of its type.

mod flow;
mod option;

use std::collections::BTreeSet;

use super::{Flow, Pack, Role};
use crate::policy::host::suggest;

/// The table of a pack that a problem stands in, from the outermost one: `("role", 0)`, then `("option", 2)`.
pub(super) type Path = Vec<(&'static str, usize)>;

/// Something in a pack that contradicts the rest of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// Where it stands.
    pub(super) path: Path,
    /// The key in that table.
    pub(super) key: &'static str,
    /// What is wrong.
    pub(super) message: String,
    /// What would be right; may be empty.
    pub(super) help: String,
}

/// Everything that contradicts the rest of the pack.
pub(super) fn problems(pack: &Pack) -> Vec<Problem> {
    let mut checks = Checks { pack, path: Vec::new(), found: Vec::new() };
    for name in &pack.shared {
        if !pack.roles.iter().any(|role| role.option(name).is_some()) {
            checks.say("shared", format!("no role has the option `{name}`"), "leave it out");
        }
    }
    checks.repeated("rows", "row", &pack.rows);
    let mut names = BTreeSet::new();
    for (index, role) in pack.roles.iter().enumerate() {
        checks.path = vec![("role", index)];
        checks.once(&mut names, "name", "role", &role.name);
        checks.role(role);
    }
    let mut ids = BTreeSet::new();
    for (index, flow) in pack.flows.iter().enumerate() {
        checks.path = vec![("flow", index)];
        checks.once(&mut ids, "id", "flow", &flow.id);
        if let Some(role) = checks.find_role(&format!("flow {}", flow.id), &flow.role) {
            checks.flow(role, flow);
            checks.row(&format!("flow {}", flow.id), &flow.row);
        }
    }
    for (index, never) in pack.nevers.iter().enumerate() {
        checks.path = vec![("never", index)];
        if let Some(role) = checks.find_role("a never", &never.role) {
            checks.never(role, never);
            checks.row(&format!("a never of role {}", role.name), &never.row);
        }
    }
    checks.found
}

/// What has been found so far, and where the search is.
struct Checks<'p> {
    pack: &'p Pack,
    path: Path,
    found: Vec<Problem>,
}

impl<'p> Checks<'p> {
    fn say(&mut self, key: &'static str, message: String, help: impl Into<String>) {
        self.found.push(Problem { path: self.path.clone(), key, message, help: help.into() });
    }

    /// As [`Self::say`], about a table within this one.
    fn say_in(&mut self, step: (&'static str, usize), key: &'static str, message: String, help: &str) {
        self.path.push(step);
        self.say(key, message, help);
        self.path.pop();
    }

    fn once<'n>(&mut self, seen: &mut BTreeSet<&'n str>, key: &'static str, what: &str, name: &'n str) {
        if !seen.insert(name) {
            self.say(key, format!("{what} `{name}` stands twice"), "each name stands once");
        }
    }

    fn find_role(&mut self, at: &str, name: &str) -> Option<&'p Role> {
        let role = self.pack.role(name);
        if role.is_none() {
            let roles: Vec<_> = self.pack.roles.iter().map(|role| &role.name).collect();
            self.say("role", format!("{at} names the unknown role `{name}`"), suggest(name, &roles, "roles"));
        }
        role
    }

    fn row(&mut self, at: &str, row: &str) {
        for part in super::row_parts(row).filter(|_| !self.pack.rows.is_empty()) {
            if !self.pack.rows.iter().any(|row| row == part) {
                let help = "list it in `rows` of the pack, or correct it";
                self.say("row", format!("{at}: the document has no row `{part}`"), help);
            }
        }
    }

    fn role(&mut self, role: &'p Role) {
        let at = format!("role {}", role.name);
        for other in &role.excludes {
            if self.pack.role(other).is_none() || *other == role.name {
                let roles: Vec<_> = self.pack.roles.iter().map(|role| &role.name).collect();
                let help = suggest(other, &roles, "roles");
                self.say("excludes", format!("{at} excludes the unknown role `{other}`"), help);
            }
        }
        if role.excludes.is_empty() != role.excludes_because.is_empty() {
            let help = "write both `excludes` and `excludes_because`, or neither";
            self.say("excludes", format!("{at}: an exclusion has a reason"), help);
        }
        self.repeated("controllers", &format!("{at}: controller"), &role.controllers);
        let (mut options, mut peers) = (BTreeSet::new(), BTreeSet::new());
        for (index, spec) in role.options.iter().enumerate() {
            self.path.push(("option", index));
            self.once(&mut options, "name", &format!("{at}: option"), &spec.name);
            self.option(role, index, spec, &format!("{at}: option {}", spec.name));
            self.path.pop();
        }
        for (index, peer) in role.peers.iter().enumerate() {
            self.path.push(("peer", index));
            self.once(&mut peers, "name", &format!("{at}: peer"), &peer.name);
            let at = format!("{at}: peer {}", peer.name);
            self.port_option(role, peer.port_option.as_deref(), &at);
            self.path.pop();
        }
        let mut networks = BTreeSet::new();
        for (index, network) in role.networks.iter().enumerate() {
            self.path.push(("network", index));
            self.once(&mut networks, "name", &format!("{at}: network"), &network.name);
            let begins = |flow: &Flow| flow.network.as_ref() == Some(&network.name);
            if !self.pack.flows_of(&role.name).any(begins) {
                let message = format!("{at}: no flow begins in network `{}`", network.name);
                self.say("name", message, "name it in a flow, or leave it out");
            }
            self.path.pop();
        }
    }

    fn repeated(&mut self, key: &'static str, what: &str, names: &'p [String]) {
        let mut seen = BTreeSet::new();
        for name in names {
            self.once(&mut seen, key, what, name);
        }
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
option = [
  { name = "on", type = "flag", default = false, help = "" },
  { name = "module", type = "module", help = "" },
]
peer = [{ name = "server", help = "" }]
"#;

    fn check(flow: &str) -> String {
        let base = "id = \"F\"\nrole = \"r\"\nrow = \"1\"\npurpose = \"\"\ndirection = \"egress\"\n";
        let error = Pack::parse("p.toml", &format!("{HEAD}[[flow]]\n{base}{flow}")).err();
        error.map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn every_reference_leads_somewhere() {
        assert_eq!(check("protocol = \"tcp\"\nports = [1]\npeers = [\"server\"]\n"), "");
        let tcp = "protocol = \"tcp\"\nports = [1]\n";
        for (flow, part) in [
            ("peers = [\"sever\"]", "has no peer `sever`"),
            ("peers = []", "names no remote end"),
            ("peers = [\"any\"]\nwhen = { of = true }", "unknown option `of`"),
            ("peers = [\"any\"]\nwhen = { on = \"x\" }", "must be true or false"),
            ("peers = [\"any\"]\nwhen = { on = { at_least = \"1.2.3\" } }", "is not a version"),
            ("peers = [\"any\"]\nwhen = { module = { at_least = [\"1.2.3\", \"1.3.0\"] } }", "one threshold"),
            ("peers = [\"any\"]\nport_option = \"on\"", "no port option `on`"),
            ("peers = [\"any\"]\nalias_of = \"G\"", "repeats `G`"),
            ("peers = [\"controller:X\"]", "no controller `X`"),
            ("peers = [\"any\"]\nto = [\"broadcast\"]", "tcp goes to one host"),
            ("peers = [\"any\"]\nsource_port = 0", "port 0 is out of range"),
            ("peers = [\"any\"]\nkind = \"site\"", "only host files"),
            ("peers = [\"any\"]\nsource = 1", "unknown field `source`"),
        ] {
            let error = check(&format!("{tcp}{flow}"));
            assert!(error.contains(part), "{flow}\n{error}");
        }
    }

    #[test]
    fn a_protocol_has_its_own_keys() {
        for (flow, part) in [
            ("protocol = \"tcp\"\npeers = [\"server\"]", "tcp and udp have ports"),
            ("protocol = \"icmp\"\nports = [1]\npeers = [\"any\"]", "tcp and udp have ports"),
            ("protocol = \"icmp\"\nsource_port = 1\npeers = [\"any\"]", "only tcp and udp have"),
            ("protocol = \"tcp\"\nports = [0]\npeers = [\"any\"]", "port 0 is out of range"),
            ("protocol = \"igmp\"\npeers = [\"any\"]", "igmp goes to groups"),
            (
                "protocol = \"udp\"\nports = [1]\npeers = [\"any\"]\nto = [\"group\"]",
                "no address option `group`",
            ),
            ("protocol = \"udp\"\nports = [1]\npeers = [\"any\"]\nto = []", "names no remote end"),
        ] {
            let error = check(flow);
            assert!(error.contains(part), "{flow}\n{error}");
        }
    }

    #[test]
    fn a_default_depends_on_options_above() {
        let option = "{ name = \"early\", type = \"flag\", help = \"\", default = true, default_when = [{ when = { on = true }, value = false }] },\n";
        let text = HEAD.replace("option = [\n", &format!("option = [\n{option}"));
        let flow = "[[flow]]\nid = \"F\"\nrole = \"r\"\nrow = \"1\"\npurpose = \"\"\ndirection = \"egress\"\nprotocol = \"tcp\"\nports = [1]\npeers = [\"any\"]\n";
        let error = Pack::parse("p.toml", &format!("{text}{flow}")).unwrap_err().to_string();
        assert!(error.contains("depends on `on`, which stands below it"), "{error}");
    }
}

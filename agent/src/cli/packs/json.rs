//! The JSON forms of `packs`.

use serde::Serialize;

use super::{from, peer_words, service};
use crate::policy::{
    catalogue::Entry,
    pack::{
        Flow, NetworkSpec, Never, OptionKind, OptionSpec, Pack, Protocol, Role, Scope, flow::Instead,
        option::DefaultWhen,
    },
    rule::{Kind, Need},
};

/// An element of what `packs --json` prints.
#[derive(Debug, Serialize)]
pub struct PackJson<'c> {
    /// What host files call it.
    pub name: &'c str,
    /// Who wrote the document.
    pub vendor: &'c str,
    /// The document's title.
    pub title: &'c str,
    /// The document's file name.
    pub document: &'c str,
    /// `built-in`, or the file.
    pub from: String,
    /// Names of its roles.
    pub roles: Vec<&'c str>,
    /// Ids of its flows.
    pub flows: Vec<&'c str>,
    /// How many flows of each kind.
    pub coverage: Coverage<'c>,
}

/// How much of a document a pack has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Coverage<'c> {
    /// Rows of the document; 0 where the pack doesn't list them.
    pub rows: usize,
    /// Those that a documented flow stands for.
    pub rows_with_flow: usize,
    /// The others: statements, and what other rows carry out.
    pub rows_without_flow: Vec<&'c str>,
    /// Flows that the document states.
    pub documented: usize,
    /// Other ends of such flows.
    pub mirror: usize,
    /// Not in the document, though it needs them.
    pub implied: usize,
    /// Assertions of what never passes.
    pub never: usize,
}

/// What `packs PACK --json` prints.
#[derive(Debug, Serialize)]
pub struct PackDetail<'c> {
    /// As in the list.
    #[serde(flatten)]
    pub pack: PackJson<'c>,
    /// How the document is read.
    pub notes: &'c [String],
    /// What the document leaves open.
    pub open: &'c [String],
    /// Each role.
    pub role: Vec<RoleJson<'c>>,
    /// Options that have one value in all roles of a host.
    pub shared: &'c [String],
    /// Each flow.
    pub flow: Vec<FlowJson<'c>>,
    /// What never passes.
    pub never: Vec<NeverJson<'c>>,
}

/// A role of a pack.
#[derive(Debug, Serialize)]
pub struct RoleJson<'c> {
    /// What host files call it.
    pub name: &'c str,
    /// Which product it is.
    pub help: &'c str,
    /// Roles that can't stand on the same host.
    pub excludes: &'c [String],
    /// Why they can't.
    pub excludes_because: &'c str,
    /// Its options.
    pub options: Vec<OptionJson<'c>>,
    /// Its peers.
    pub peers: Vec<PeerJson<'c>>,
    /// Networks that a host file may bind to interfaces.
    pub networks: Vec<NetworkJson<'c>>,
    /// Controllers that its machines may have.
    pub controllers: &'c [String],
}

/// A network of a role.
#[derive(Debug, Serialize)]
pub struct NetworkJson<'c> {
    /// What host files call it.
    pub name: &'c str,
    /// Which one that is.
    pub help: &'c str,
}

/// An option of a role.
#[derive(Debug, Serialize)]
pub struct OptionJson<'c> {
    /// What host files call it.
    pub name: &'c str,
    /// What values it takes.
    pub r#type: OptionKind,
    /// The values of a choice.
    pub choices: &'c [String],
    /// Has to be set.
    pub required: bool,
    /// May stand beside `pack` and `role` in a host file.
    pub beside: bool,
    /// Unset without one.
    pub default: Option<&'c toml::Value>,
    /// Other defaults, each with its condition in words.
    pub default_when: Vec<DefaultJson<'c>>,
    /// What it changes.
    pub help: &'c str,
}

/// A default under a condition.
#[derive(Debug, Serialize)]
pub struct DefaultJson<'c> {
    /// The condition in words.
    pub when: String,
    /// The default then.
    pub value: &'c toml::Value,
}

/// A peer of a role.
#[derive(Debug, Serialize)]
pub struct PeerJson<'c> {
    /// What host files call it.
    pub name: &'c str,
    /// Has to be set.
    pub required: bool,
    /// Takes private addresses only.
    pub private: bool,
    /// An entry may state its own port in place of this option's.
    pub port_option: Option<&'c str>,
    /// Who that is.
    pub help: &'c str,
}

/// A flow of a pack.
#[derive(Debug, Serialize)]
pub struct FlowJson<'c> {
    /// Its stable id.
    pub id: &'c str,
    /// The role that has it.
    pub role: &'c str,
    /// Row of the document.
    pub row: &'c str,
    /// Table or section of the document.
    pub table: &'c str,
    /// `ingress` or `egress`, as seen from the role.
    pub direction: &'static str,
    /// Protocol and default ports.
    pub service: String,
    /// The option that replaces the port.
    pub port_option: Option<&'c str>,
    /// Server port of the flow that has to live beside it.
    pub control_port: Option<u16>,
    /// What the first packet is addressed to.
    pub to: Vec<String>,
    /// Peers, addresses and names.
    pub peers: Vec<String>,
    /// Other peers, each with its condition in words.
    pub instead: Vec<InsteadJson>,
    /// The network by whose interfaces it begins, where the host file binds it.
    pub network: Option<&'c str>,
    /// The condition in words; empty: always.
    pub when: String,
    /// Documented, mirror or implied.
    pub kind: Kind,
    /// Whether an idle flow is drift.
    pub need: Need,
    /// The flow that this row repeats.
    pub alias_of: Option<&'c str>,
    /// What it is for.
    pub purpose: &'c str,
}

/// Peers under a condition.
#[derive(Debug, Serialize)]
pub struct InsteadJson {
    /// The condition in words.
    pub when: String,
    /// Peers, addresses and names.
    pub peers: Vec<String>,
}

/// What never passes on a host with a role.
#[derive(Debug, Serialize)]
pub struct NeverJson<'c> {
    /// The role.
    pub role: &'c str,
    /// `ingress` or `egress`, as the host sees the first packet.
    pub direction: &'static str,
    /// `None`: whatever it is.
    pub protocol: Option<Protocol>,
    /// The destination port; without it and the option every port.
    pub port: Option<u16>,
    /// The option that holds the port.
    pub port_option: Option<&'c str>,
    /// Peers, addresses and names.
    pub peers: Vec<String>,
    /// Whose rules it binds.
    pub scope: Scope,
    /// Binds the site's own rules too.
    pub site: bool,
    /// Row of the document.
    pub row: &'c str,
    /// What the document says.
    pub because: &'c str,
}

/// Counts a pack's rows, and its flows by kind.
#[must_use]
pub fn coverage(pack: &Pack) -> Coverage<'_> {
    let rows_without_flow = pack.rows_without_flow();
    let mut coverage = Coverage {
        rows: pack.rows.len(),
        rows_with_flow: pack.rows.len() - rows_without_flow.len(),
        rows_without_flow,
        never: pack.nevers.len(),
        ..Coverage::default()
    };
    for flow in &pack.flows {
        match flow.kind {
            Kind::Documented | Kind::Site => coverage.documented += 1,
            Kind::Mirror => coverage.mirror += 1,
            Kind::Implied => coverage.implied += 1,
        }
    }
    coverage
}

pub(super) fn summary(entry: &Entry) -> PackJson<'_> {
    let pack = &entry.pack;
    PackJson {
        name: &pack.name,
        vendor: &pack.vendor,
        title: &pack.title,
        document: &pack.document,
        from: from(entry),
        roles: pack.roles.iter().map(|role| role.name.as_str()).collect(),
        flows: pack.flows.iter().map(|flow| flow.id.as_str()).collect(),
        coverage: coverage(pack),
    }
}

pub(super) fn detail(entry: &Entry) -> PackDetail<'_> {
    let Entry { pack, file: _ } = entry;
    PackDetail {
        pack: summary(entry),
        notes: &pack.notes,
        open: &pack.open,
        role: pack.roles.iter().map(role_json).collect(),
        shared: &pack.shared,
        flow: pack.flows.iter().map(|flow| flow_json(pack, flow)).collect(),
        never: pack.nevers.iter().map(never_json).collect(),
    }
}

fn role_json(role: &Role) -> RoleJson<'_> {
    RoleJson {
        name: &role.name,
        help: &role.help,
        excludes: &role.excludes,
        excludes_because: &role.excludes_because,
        options: role.options.iter().map(|option| option_json(role, option)).collect(),
        peers: role
            .peers
            .iter()
            .map(|peer| PeerJson {
                name: &peer.name,
                required: peer.required,
                private: peer.private,
                port_option: peer.port_option.as_deref(),
                help: &peer.help,
            })
            .collect(),
        networks: role.networks.iter().map(|NetworkSpec { name, help }| NetworkJson { name, help }).collect(),
        controllers: &role.controllers,
    }
}

fn flow_json<'c>(pack: &'c Pack, flow: &'c Flow) -> FlowJson<'c> {
    FlowJson {
        id: &flow.id,
        role: &flow.role,
        row: &flow.row,
        table: &flow.table,
        direction: flow.direction.name(),
        service: service(flow),
        port_option: flow.port_option.as_deref(),
        control_port: flow.control_port,
        to: flow.to.iter().map(ToString::to_string).collect(),
        peers: flow.peers.iter().map(peer_words).collect(),
        instead: instead(pack, flow),
        network: flow.network.as_deref(),
        when: pack.role(&flow.role).map(|role| flow.when.words(role)).unwrap_or_default(),
        kind: flow.kind,
        need: flow.need,
        alias_of: flow.alias_of.as_deref(),
        purpose: &flow.purpose,
    }
}

fn instead(pack: &Pack, flow: &Flow) -> Vec<InsteadJson> {
    let Some(role) = pack.role(&flow.role) else { return Vec::new() };
    let json = |instead: &Instead| InsteadJson {
        when: instead.when.words(role),
        peers: instead.peers.iter().map(peer_words).collect(),
    };
    flow.instead.iter().map(json).collect()
}

fn option_json<'c>(role: &Role, option: &'c OptionSpec) -> OptionJson<'c> {
    let OptionSpec { name, kind, choices, required, beside, default, default_when, help } = option;
    let special =
        |special: &'c DefaultWhen| DefaultJson { when: special.when.words(role), value: &special.value };
    OptionJson {
        name,
        r#type: *kind,
        choices,
        required: *required,
        beside: *beside,
        default: default.as_ref(),
        default_when: default_when.iter().map(special).collect(),
        help,
    }
}

fn never_json(never: &Never) -> NeverJson<'_> {
    let Never { role, direction, protocol, port, port_option, peers, scope, site, row, because } = never;
    NeverJson {
        role,
        direction: direction.name(),
        protocol: *protocol,
        port: *port,
        port_option: port_option.as_deref(),
        peers: peers.iter().map(peer_words).collect(),
        scope: *scope,
        site: *site,
        row,
        because,
    }
}

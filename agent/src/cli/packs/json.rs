//! The JSON forms of `packs`.

use serde::Serialize;

use super::{from, peers, service};
use crate::policy::{
    catalogue::Entry,
    pack::{Flow, OptionKind, OptionSpec, Pack, Role},
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
    /// How many flows of each kind.
    pub coverage: Coverage,
}

/// How many flows a pack has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Rows of the document.
    pub documented: usize,
    /// Other ends of such rows.
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
    /// Each flow.
    pub flow: Vec<FlowJson<'c>>,
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
    /// Its options.
    pub options: Vec<OptionJson<'c>>,
    /// Its peers.
    pub peers: Vec<PeerJson<'c>>,
    /// Controllers that its machines may have.
    pub controllers: &'c [String],
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
    /// Unset without one.
    pub default: Option<&'c toml::Value>,
    /// What it changes.
    pub help: &'c str,
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
    /// Peers, addresses and names.
    pub peers: Vec<String>,
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

/// Counts a pack's flows by kind.
#[must_use]
pub fn coverage(pack: &Pack) -> Coverage {
    let mut coverage = Coverage { never: pack.nevers.len(), ..Coverage::default() };
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
        flow: pack.flows.iter().map(|flow| flow_json(pack, flow)).collect(),
    }
}

fn role_json(role: &Role) -> RoleJson<'_> {
    RoleJson {
        name: &role.name,
        help: &role.help,
        excludes: &role.excludes,
        options: role.options.iter().map(option_json).collect(),
        peers: role
            .peers
            .iter()
            .map(|peer| PeerJson {
                name: &peer.name,
                required: peer.required,
                private: peer.private,
                help: &peer.help,
            })
            .collect(),
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
        peers: peers(flow),
        when: pack.role(&flow.role).map(|role| flow.when.words(role)).unwrap_or_default(),
        kind: flow.kind,
        need: flow.need,
        alias_of: flow.alias_of.as_deref(),
        purpose: &flow.purpose,
    }
}

fn option_json(option: &OptionSpec) -> OptionJson<'_> {
    let OptionSpec { name, kind, choices, required, default, default_when: _, help } = option;
    OptionJson { name, r#type: *kind, choices, required: *required, default: default.as_ref(), help }
}

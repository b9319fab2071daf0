//! `[[role]]`: which documented roles this host has, with their options and peers.

use std::collections::BTreeMap;

use portreeve_common::Direction;
use toml::de::DeValue;

use super::{
    Enforcement, Mode,
    binding::{self, Binding},
    contradiction,
    keys::{Keys, Value, nearest, suggest},
    machine::{self, Machine},
    peers::{self, PeerList},
    value,
};
use crate::{
    diagnostic::{Report, Span},
    policy::{
        catalogue::Catalogue,
        pack::{self, OptionSpec, Pack, PeerSpec, Role},
        stage::Stage,
    },
};

/// A role of this host.
#[derive(Clone, Debug)]
pub struct RoleUse {
    /// The pack.
    pub pack: String,
    /// The role.
    pub role: String,
    /// Only what the file sets, without defaults.
    pub options: BTreeMap<String, pack::Value>,
    /// Only what the file sets.
    pub peers: BTreeMap<String, PeerList>,
    /// Machines that this role reads from.
    pub machines: Vec<Machine>,
    /// By which interfaces its flows may begin.
    pub interfaces: Binding,
    /// How strictly it is held, where the host enforces.
    pub stage: Stage,
    /// Where it stands.
    pub at: Span,
}

/// Reads all roles, then holds them against each other. `covered`: the interfaces of `[host]`.
pub(super) fn read_all(
    tables: Vec<Keys<'_>>,
    catalogue: &Catalogue,
    enforcement: Enforcement,
    covered: &[String],
    report: &mut Report,
) -> Vec<RoleUse> {
    let read = |keys| read(keys, catalogue, enforcement, covered, report);
    let roles: Vec<_> = tables.into_iter().filter_map(read).collect();
    for (index, role) in roles.iter().enumerate() {
        for earlier in roles.iter().take(index) {
            contradiction::check(earlier, role, catalogue, report);
        }
    }
    roles
}

fn read(
    mut keys: Keys<'_>,
    catalogue: &Catalogue,
    mode: Enforcement,
    covered: &[String],
    report: &mut Report,
) -> Option<RoleUse> {
    let packs: Vec<_> = catalogue.packs().map(|pack| pack.name.as_str()).collect();
    let pack_value = keys.require("pack", &suggest("", &packs, "packs"), report);
    let role_value = keys.require("role", "write which role of the pack this host has", report);
    let pack = pack_value.and_then(|value| find_pack(value, catalogue, &packs, report))?;
    let role = role_value.and_then(|value| find_role(value, pack, report))?;
    let named = role_value.map_or_else(|| keys.at(), toml::Spanned::span);
    let options = options(&mut keys, role, named.clone(), report);
    let peers = peers(&mut keys, role, named.clone(), mode, report);
    let machines =
        if role.controllers.is_empty() { Vec::new() } else { machine::read_all(&mut keys, role, report) };
    let interfaces = binding::of_role(&mut keys, role, covered, report);
    let stage = stage(&mut keys, report);
    keys.finish(report);
    let (pack, role) = (pack.name.clone(), role.name.clone());
    Some(RoleUse { pack, role, options, peers, machines, interfaces, stage, at: named })
}

/// `stage = "observe"`, or a table of its directions.
fn stage(keys: &mut Keys<'_>, report: &mut Report) -> Stage {
    let mut stage = Stage::default();
    let Some(value) = keys.take("stage") else { return stage };
    let Some(table) = value.get_ref().as_table() else {
        let both = value::word("stage", value, report).unwrap_or(Mode::Enforce);
        return Stage { ingress: both, egress: both };
    };
    let mut ways = Keys::new("`stage`", value.span(), table);
    for direction in Direction::ALL {
        let mode = ways.take(direction.name()).and_then(|value| value::word(direction.name(), value, report));
        stage = stage.with(direction, mode.unwrap_or(Mode::Enforce));
    }
    ways.finish(report);
    stage
}

fn find_pack<'c>(
    value: Value<'_>,
    catalogue: &'c Catalogue,
    packs: &[&str],
    report: &mut Report,
) -> Option<&'c Pack> {
    let name = value::text("pack", value, "write a pack's name in quotes", report)?;
    let pack = catalogue.pack(name);
    if pack.is_none() {
        report.error(value.span(), format!("unknown pack `{name}`"), suggest(name, packs, "packs"));
    }
    pack
}

fn find_role<'p>(value: Value<'_>, pack: &'p Pack, report: &mut Report) -> Option<&'p Role> {
    let name = value::text("role", value, "write a role's name in quotes", report)?;
    let role = pack.role(name);
    if role.is_none() {
        let roles: Vec<_> = pack.roles.iter().map(|role| &role.name).collect();
        let message = format!("unknown role `{name}` of pack {}", pack.name);
        report.error(value.span(), message, suggest(name, &roles, "roles"));
    }
    role
}

fn options(
    keys: &mut Keys<'_>,
    role: &Role,
    named: Span,
    report: &mut Report,
) -> BTreeMap<String, pack::Value> {
    let mut set = BTreeMap::new();
    let names: Vec<_> = role.options.iter().map(|option| option.name.as_str()).collect();
    let mut missing: Vec<_> = role.options.iter().filter(|option| option.required).collect();
    for spec in role.options.iter().filter(|option| option.beside) {
        if let Some(value) = keys.take(spec.name.clone()) {
            missing.retain(|other| other.name != spec.name);
            set.extend(option(spec, value, report).map(|value| (spec.name.clone(), value)));
        }
    }
    for (name, at, value) in keys.table("options", report).iter_mut().flat_map(Keys::rest) {
        let Some(spec) = role.option(name) else {
            let message = format!("unknown option `{name}` of role {}", role.name);
            report.error(at, message, suggest(name, &names, "options"));
            // A typo is one mistake, not a missing option on top.
            missing.retain(|spec| nearest(name, &names) != Some(spec.name.as_str()));
            continue;
        };
        missing.retain(|other| other.name != spec.name);
        if set.contains_key(name) {
            report.error(at, format!("`{name}` is set twice"), "keep it beside `role` or in `options`");
        } else if let Some(value) = option(spec, value, report) {
            set.insert(name.to_owned(), value);
        }
    }
    for spec in missing {
        let help = format!("add options = {{ {} = {} }}", spec.name, spec.example());
        let message = format!("role {} needs the option `{}`: {}", role.name, spec.name, spec.help);
        report.error(named.clone(), message, help);
    }
    set
}

fn option(spec: &OptionSpec, value: Value<'_>, report: &mut Report) -> Option<pack::Value> {
    let read = match (value.get_ref(), value::integer(value)) {
        (DeValue::Boolean(flag), _) if spec.kind == pack::OptionKind::Flag => Ok(pack::Value::Flag(*flag)),
        (DeValue::String(text), _) => spec.text(text),
        (_, Some(number)) => spec.number(number),
        (other, None) => Err(format!("must be {}, not {}", spec.kind.expected(), value::type_name(other))),
    };
    match read {
        Ok(value) => Some(value),
        Err(why) => {
            let words = value.get_ref().as_str().unwrap_or_default();
            let help = if spec.kind == pack::OptionKind::Choice {
                suggest(words, &spec.choices, "choices")
            } else {
                format!("write {} = {}", spec.name, spec.example())
            };
            report.error(value.span(), format!("option `{}`: {why}", spec.name), help);
            None
        }
    }
}

fn peers(
    keys: &mut Keys<'_>,
    role: &Role,
    named: Span,
    mode: Enforcement,
    report: &mut Report,
) -> BTreeMap<String, PeerList> {
    let mut set = BTreeMap::new();
    let names: Vec<_> = role.peers.iter().map(|peer| peer.name.as_str()).collect();
    let mut missing: Vec<_> = role.peers.iter().filter(|peer| peer.required).collect();
    for (name, at, value) in keys.table("peers", report).iter_mut().flat_map(Keys::rest) {
        let Some(spec) = role.peer(name) else {
            let message = format!("unknown peer `{name}` of role {}", role.name);
            report.error(at, message, suggest(name, &names, "peers"));
            missing.retain(|spec| nearest(name, &names) != Some(spec.name.as_str()));
            continue;
        };
        missing.retain(|other| other.name != spec.name);
        if let Some(list) = peer(spec, value, report) {
            set.insert(name.to_owned(), list);
        }
    }
    for spec in missing {
        unset(role, spec, named.clone(), mode, report);
    }
    set
}

fn peer(spec: &PeerSpec, value: Value<'_>, report: &mut Report) -> Option<PeerList> {
    let list = peers::read_entries(&spec.name, value, spec.port_option.is_some(), report)?;
    if spec.required && list.is_empty() && value.get_ref().as_array().is_some_and(|array| array.is_empty()) {
        let message = format!("peer `{}` is required, and the list is empty", spec.name);
        report.error(value.span(), message, format!("list {}, or write \"any\"", spec.help));
    }
    if let Some(public) = list.public().filter(|_| spec.private) {
        let message = format!("peer `{}` takes private addresses only, and {public} is not one", spec.name);
        report.error(value.span(), message, "the document wants this port on internal networks only");
    }
    Some(list)
}

fn unset(role: &Role, spec: &PeerSpec, named: Span, mode: Enforcement, report: &mut Report) {
    let help = format!("add peers = {{ {} = [\"…\"] }}, or \"any\" in place of the list", spec.name);
    if mode.drops() {
        let message = format!("role {} needs the peer `{}`: {}", role.name, spec.name, spec.help);
        report.error(named, message, help);
    } else {
        let message =
            format!("peer `{}` of role {} is unset and reads as any while observing", spec.name, role.name);
        report.warning(named, message, help);
    }
}

//! `portreeve packs [PACK]`: what documents there are, and what each asks for.

pub mod json;
mod lint;

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use portreeve_common::Direction;

use self::json::{Coverage, coverage, detail, summary};
use super::{CliError, CliResult, Global, output};
use crate::policy::{
    Catalogue,
    catalogue::Entry,
    pack::{Flow, Never, OptionKind, OptionSpec, Pack, PeerRef, Protocol, Role, To},
    rule::{Kind, Ports, Service},
};

/// Arguments of `packs`.
#[derive(Debug, Args)]
pub struct PacksArgs {
    /// Show this pack
    #[arg(value_name = "PACK")]
    pub pack: Option<String>,
    /// Report everything that is wrong in a pack's file; exit 0, or 2
    #[arg(long, value_name = "FILE", conflicts_with = "pack")]
    pub lint: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Lists packs, or shows one.
///
/// # Errors
/// An unknown pack, packs that can't be read, or nobody takes the output.
pub fn run(global: &Global, args: &PacksArgs) -> CliResult {
    if let Some(file) = &args.lint {
        return lint::run(file, args.json);
    }
    let catalogue = global.catalogue()?;
    match (&args.pack, args.json) {
        (None, false) => output::print(&list(&catalogue))?,
        (None, true) => output::print_json(&catalogue.entries().iter().map(summary).collect::<Vec<_>>())?,
        (Some(name), false) => output::print(&show(find(&catalogue, name)?))?,
        (Some(name), true) => output::print_json(&detail(find(&catalogue, name)?))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn find<'c>(catalogue: &'c Catalogue, name: &str) -> Result<&'c Entry, CliError> {
    let known = || catalogue.packs().map(|pack| pack.name.as_str()).collect::<Vec<_>>().join(", ");
    let found = catalogue.entries().iter().find(|entry| entry.pack.name == name);
    found.ok_or_else(|| CliError::UnknownPack { name: name.into(), known: known() })
}

fn list(catalogue: &Catalogue) -> String {
    let mut table = output::table(&["pack", "vendor", "document", "roles", "rows", "flows"]);
    for Entry { pack, file: _ } in catalogue.entries() {
        let roles = pack.roles.iter().map(|role| role.name.as_str()).collect::<Vec<_>>().join(", ");
        let Coverage { rows, rows_with_flow, .. } = coverage(pack);
        let (rows, flows) = (format!("{rows_with_flow}/{rows}"), pack.flows.len().to_string());
        table.add_row([&pack.name, &pack.vendor, &pack.title, &roles, &rows, &flows]);
    }
    output::text(&mut table)
}

fn show(entry: &Entry) -> String {
    let Entry { pack, file: _ } = entry;
    let mut text = format!("{}: {}, {} ({})\n", pack.name, pack.vendor, pack.title, from(entry));
    let Coverage { rows, rows_with_flow, rows_without_flow, documented, mirror, implied, never } =
        coverage(pack);
    text.push_str(&format!("{rows_with_flow} of the document's {rows} rows have a flow"));
    if !rows_without_flow.is_empty() {
        text.push_str(&format!(", and none: {}", rows_without_flow.join(", ")));
    }
    text.push('\n');
    text.push_str(&format!(
        "{documented} documented flows, {mirror} mirrored, {implied} implied, {never} things that never pass\n"
    ));
    text.push_str(&paragraph("How the document is read", &pack.notes));
    text.push_str(&paragraph("What it leaves open", &pack.open));
    text.push_str(&paragraph("What never passes", &pack.nevers.iter().map(never_words).collect::<Vec<_>>()));
    for role in &pack.roles {
        text.push_str(&show_role(pack, role));
    }
    text
}

fn never_words(never: &Never) -> String {
    let protocol = never.protocol.map_or_else(|| "anything".into(), |protocol| protocol.to_string());
    let port = match (&never.port_option, never.port) {
        (Some(option), _) => format!(" to {option}"),
        (None, Some(port)) => format!(" to {port}"),
        (None, None) => String::new(),
    };
    let way = match never.direction {
        Direction::Ingress => "from",
        Direction::Egress => "to",
    };
    let peers = never.peers.iter().map(peer_words).collect::<Vec<_>>().join(", ");
    let (role, direction, because, row) = (&never.role, never.direction.name(), &never.because, &never.row);
    format!("{role}: {protocol}{port}, {direction} {way} {peers}: {because} ({row})")
}

fn paragraph(title: &str, lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut table = output::table(&[]);
    for line in lines {
        table.add_row(["-", line]);
    }
    format!("\n{title}:\n{}", output::text(&mut table))
}

fn show_role(pack: &Pack, role: &Role) -> String {
    let mut text = format!("\n{}: {}\n", role.name, role.help);
    if !role.excludes.is_empty() {
        text.push_str(&format!(
            "Not on a host with {}: {}\n",
            role.excludes.join(", "),
            role.excludes_because
        ));
    }
    if !role.controllers.is_empty() {
        text.push_str(&format!("Controllers of its machines: {}\n", role.controllers.join(", ")));
    }
    let mut settings = output::table(&["setting", "value", "default", "meaning"]);
    for option in &role.options {
        settings.add_row([&option.name, &values(option), &default(role, option), &option.help]);
    }
    for peer in &role.peers {
        let kind = if peer.private { "private peers" } else { "peers" };
        let default = if peer.required { "required" } else { "off" };
        settings.add_row([&*peer.name, kind, default, &*peer.help]);
    }
    for network in &role.networks {
        settings.add_row([&*network.name, "network", "any interface", &*network.help]);
    }
    let mut flows = output::table(&["flow", "row", "direction", "service", "peers", "on when", "purpose"]);
    for flow in pack.flows_of(&role.name) {
        let (peers, when) = (peers(flow), when(role, flow));
        flows.add_row([
            &*flow.id,
            &*flow.row,
            flow.direction.name(),
            &service(flow),
            &peers,
            &when,
            &purpose(flow),
        ]);
    }
    output::keep_words(&mut settings, 0);
    output::keep_words(&mut flows, 0);
    output::keep_words(&mut flows, 4);
    text.push_str(&output::text(&mut settings));
    text.push('\n');
    text.push_str(&output::text(&mut flows));
    text
}

fn values(option: &OptionSpec) -> String {
    match option.kind {
        OptionKind::Flag => "true, false".into(),
        OptionKind::Choice => option.choices.join(", "),
        OptionKind::Port => "port".into(),
        OptionKind::Version | OptionKind::Module => "version".into(),
        OptionKind::Address => "address".into(),
    }
}

fn default(role: &Role, option: &OptionSpec) -> String {
    let unset = if option.required { "required" } else { "unset" };
    let plain = |value: &toml::Value| value.to_string().trim_matches('"').to_owned();
    let mut text = option.default.as_ref().map_or_else(|| unset.into(), plain);
    for special in &option.default_when {
        text.push_str(&format!("; {} where {}", plain(&special.value), special.when.words(role)));
    }
    text
}

fn service(flow: &Flow) -> String {
    let ports = Ports { destination: flow.ports.ranges().to_vec(), source: flow.source_port };
    let service = match flow.protocol {
        Protocol::Tcp => Service::Tcp(ports),
        Protocol::Udp => Service::Udp(ports),
        Protocol::Icmp => Service::Echo,
        Protocol::Igmp => Service::Igmp,
    };
    service.to_string()
}

fn peers(flow: &Flow) -> String {
    let mut text = flow.peers.iter().map(peer_words).collect::<Vec<_>>().join(", ");
    if flow.to != [To::Own] {
        let to = flow.to.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        text.push_str(&format!(" (to {to})"));
    }
    if let Some(network) = &flow.network {
        text.push_str(&format!(" (network {network})"));
    }
    text
}

fn peer_words(peer: &PeerRef) -> String {
    match peer {
        PeerRef::Any => "any".into(),
        PeerRef::Peer(name) | PeerRef::Name(name) => name.clone(),
        PeerRef::Controller(kind) => format!("machines: {kind}"),
        PeerRef::Net(net) => crate::policy::address::show(net),
    }
}

fn when(role: &Role, flow: &Flow) -> String {
    let words = flow.when.words(role);
    if words.is_empty() { "always".into() } else { words }
}

fn purpose(flow: &Flow) -> String {
    match flow.kind {
        Kind::Documented | Kind::Site => flow.purpose.clone(),
        Kind::Mirror => format!("{} (mirror)", flow.purpose),
        Kind::Implied => format!("{} (implied)", flow.purpose),
    }
}

fn from(entry: &Entry) -> String {
    entry.file.as_ref().map_or_else(|| "built-in".into(), |file| file.display().to_string())
}

//! `portreeve rules HOST.toml`: the compiled rules, each with its source and why it is on.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use ipnet::IpNet;
use serde::Serialize;

use super::{
    CliResult, FAILED, Global,
    output::{self, Words},
};
use crate::{
    image::closed,
    policy::{
        self, Dormant, Off, Policy, Rule,
        rule::{Origin, Peers},
    },
};

/// Arguments of `rules`.
#[derive(Debug, Args)]
pub struct RulesArgs {
    /// The host file
    #[arg(value_name = "HOST.toml")]
    pub host: PathBuf,
    /// Print the rules as JSON
    #[arg(long)]
    pub json: bool,
    /// Show flows that are off too, with the condition that keeps them so
    #[arg(long)]
    pub all: bool,
}

/// One element of the list that `rules --json` prints.
#[derive(Debug, Serialize)]
pub struct RuleJson<'p> {
    /// The flow's stable id.
    pub flow: &'p str,
    /// Ids of further rows that state the same packets.
    pub aliases: &'p [String],
    /// The role that brought it, or `site`.
    pub role: &'p str,
    /// Whether packets pass by it; `false` only with `--all`.
    pub on: bool,
    /// `ingress` or `egress`.
    pub direction: &'static str,
    /// `tcp`, `udp`, `icmp` (echo), `igmp`, or a number.
    pub protocol: String,
    /// First and last destination port of each range; empty where the protocol has none.
    pub ports: Vec<[u16; 2]>,
    /// The source port where the document states one.
    pub source_port: Option<u16>,
    /// `own`, `broadcast` or a multicast group; absent when off.
    pub to: Option<String>,
    /// When off: whom it would be for, absent while nobody is named.
    pub peers: Option<PeersJson<'p>>,
    /// By which interfaces it may begin; empty: by any.
    pub interfaces: &'p [String],
    /// Server port of the flow that has to live beside this one.
    pub control_port: Option<u16>,
    /// Where it is written.
    pub source: &'p Origin,
    /// What keeps it off: `option`, `version`, `peer` or `expired`; absent when on.
    pub off: Option<Off>,
    /// Why it is on, or the condition that keeps it off.
    pub why: &'p str,
    /// Why it stays closed, or a part of it, though it is on; absent where nothing is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deferred: Option<String>,
}

/// The remote ends of a rule.
#[derive(Debug, Serialize)]
pub struct PeersJson<'p> {
    /// Anyone; the lists are empty then.
    pub any: bool,
    /// Addresses as prefixes of full length.
    pub prefixes: &'p [IpNet],
    /// Exact or `*.name`.
    pub names: &'p [String],
}

/// Prints the rules; exit code [`FAILED`] when the host file has errors.
///
/// # Errors
/// The packs can't be read, or nobody takes the output.
pub fn run(global: &Global, args: &RulesArgs) -> CliResult {
    let policy = match policy::load(&args.host, &global.catalogue()?) {
        Ok(policy) => policy,
        Err(report) => {
            output::show_refusal(&report, args.json);
            return Ok(ExitCode::from(FAILED));
        }
    };
    output::show_report(&policy.report);
    if args.json {
        output::print_json(&json(&policy, args.all))?;
    } else {
        output::print(&text(&policy, args.all))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The rules as a table.
#[must_use]
pub fn text(policy: &Policy, all: bool) -> String {
    let mut table = output::table(&["flow", "direction", "service", "peers", "source", "why"]);
    for rule in &policy.rules {
        let ids = std::iter::once(&rule.flow).chain(&rule.aliases).map(String::as_str).collect::<Vec<_>>();
        let (service, peers) = (rule.what(), rule.peers.to_string());
        table.add_row([
            &ids.join("\n"),
            rule.direction.name(),
            &service,
            &peers,
            &source(&rule.origin),
            &why(policy, rule),
        ]);
    }
    let off = if all { policy.dormant.as_slice() } else { &[] };
    for Dormant { flow, role: _, direction, service, peers: _, origin, off: _, why } in off {
        table.add_row([flow, direction.name(), &service.to_string(), "off", &source(origin), why]);
    }
    let (flow, direction, service, peers, source, why) = (0, 1, 2, 3, 4, 5);
    output::keep_words(&mut table, flow);
    output::keep_words(&mut table, direction);
    output::keep(&mut table, peers, Words::ButNames);
    // Names take what is left: where they are long, they alone break.
    let rest = [service, why, source].map(|column| (column, Words::ButNames));
    output::keep_what_fits(&mut table, &rest);
    output::keep_what_fits(&mut table, &[(peers, Words::All)]);
    output::text(&mut table)
}

/// Why it is on, and what it still lacks.
fn why(policy: &Policy, rule: &Rule) -> String {
    let lacks = closed(rule, policy).map_or_else(String::new, |why| format!("; deferred: {why}"));
    format!("{}{lacks}", rule.why)
}

fn source(origin: &Origin) -> String {
    format!("{} {}", origin.pack, origin.row)
}

/// The rules as `--json` prints them.
#[must_use]
pub fn json(policy: &Policy, all: bool) -> Vec<RuleJson<'_>> {
    let on = policy.rules.iter().map(|rule| on(policy, rule));
    let off = policy.dormant.iter().filter(|_| all).map(off);
    on.chain(off).collect()
}

impl<'p> PeersJson<'p> {
    const fn of(peers: &'p Peers) -> Self {
        match peers {
            Peers::Any => Self { any: true, prefixes: &[], names: &[] },
            Peers::Listed { prefixes, names } => {
                Self { any: false, prefixes: prefixes.as_slice(), names: names.as_slice() }
            }
        }
    }
}

fn on<'p>(policy: &Policy, rule: &'p Rule) -> RuleJson<'p> {
    RuleJson {
        flow: &rule.flow,
        aliases: &rule.aliases,
        role: &rule.role,
        on: true,
        direction: rule.direction.name(),
        protocol: rule.service.protocol(),
        ports: output::port_ranges(&rule.service),
        source_port: rule.service.ports().and_then(|ports| ports.source),
        to: Some(rule.local.to_string()),
        peers: Some(PeersJson::of(&rule.peers)),
        interfaces: &rule.interfaces,
        control_port: rule.control_port,
        source: &rule.origin,
        off: None,
        why: &rule.why,
        deferred: closed(rule, policy),
    }
}

fn off(dormant: &Dormant) -> RuleJson<'_> {
    RuleJson {
        flow: &dormant.flow,
        aliases: &[],
        role: &dormant.role,
        on: false,
        direction: dormant.direction.name(),
        protocol: dormant.service.protocol(),
        ports: output::port_ranges(&dormant.service),
        source_port: dormant.service.ports().and_then(|ports| ports.source),
        to: None,
        peers: dormant.peers.as_ref().map(PeersJson::of),
        interfaces: &[],
        control_port: None,
        source: &dormant.origin,
        off: Some(dormant.off),
        why: &dormant.why,
        deferred: None,
    }
}

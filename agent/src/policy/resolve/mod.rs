//! From packs and a host file to rules, each with its source and the reason why it is on.

mod dormant;
mod gather;
mod shared;
mod site;

use std::net::IpAddr;

pub use self::dormant::{Dormant, Off};
use super::{
    Catalogue, HostFile,
    host::RoleUse,
    never,
    pack::{Flow, Options, Pack, Protocol, Role, To},
    ports::PortSet,
    rule::{Local, Origin, Peers, Ports, Rule, Service},
    stage::Stages,
};
use crate::diagnostic::{Report, Span};

/// The role of rules that the site itself wrote.
pub const SITE: &str = "site";

/// What a host allows, and what its documents would allow under other options.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The host file.
    pub host: HostFile,
    /// In the order of the host file and its documents.
    pub rules: Vec<Rule>,
    /// Flows of the host's roles that are off.
    pub dormant: Vec<Dormant>,
    /// How strictly each role is held: as the host file says, unless a command has set it.
    pub stages: Stages,
    /// The host file's text, with warnings only.
    pub report: Report,
}

/// A rule with what the checks on the whole host need.
pub(super) struct Draft {
    pub(super) rule: Rule,
    /// Where the host file brought it in.
    pub(super) at: Span,
    /// Its peer is unset and only reads as any while observing.
    pub(super) assumed: bool,
    alias_of: Option<String>,
}

/// A role of the host with all that its flows are resolved against.
struct Scope<'a> {
    pack: &'a Pack,
    role: &'a Role,
    used: &'a RoleUse,
    options: Options<'a>,
}

impl Policy {
    /// The last day on which all rules hold: then an `[[allow]]` expires.
    #[must_use]
    pub fn valid_until(&self) -> Option<jiff::civil::Date> {
        self.host.allows.iter().filter(|allow| !allow.expired).filter_map(|allow| allow.expires).min()
    }
}

/// Resolves a valid host file.
pub(super) fn resolve(
    host: HostFile,
    mut report: Report,
    catalogue: &Catalogue,
) -> Result<Policy, Box<Report>> {
    let (mut drafts, mut dormant) = (Vec::new(), Vec::new());
    for used in &host.roles {
        let Some(pack) = catalogue.pack(&used.pack) else { continue };
        let Some(role) = pack.role(&used.role) else { continue };
        let scope = Scope { pack, role, used, options: options(&host, used, pack, role) };
        for flow in pack.flows_of(&role.name) {
            match scope.resolve(flow, &mut report) {
                Ok(rules) => drafts.extend(rules),
                Err(off) => dormant.push(*off),
            }
        }
    }
    drafts.extend(site::ping(&host));
    drafts.extend(site::management(&host));
    for allow in &host.allows {
        if allow.expired {
            dormant.push(site::expired(allow));
        } else {
            drafts.extend(site::drafts(allow));
        }
    }
    never::check(&host, &drafts, catalogue, &mut report);
    report.sort();
    if report.has_errors() {
        return Err(Box::new(report));
    }
    let (rules, stages) = (join_aliases(drafts), Stages::declared(&host.roles));
    shared::warn(&host, &rules, &stages, &mut report);
    report.sort();
    Ok(Policy { host, rules, dormant, stages, report })
}

/// The values of a role's options, with what another role of the host says of those that they share.
pub(super) fn options<'p>(host: &HostFile, used: &RoleUse, pack: &'p Pack, role: &'p Role) -> Options<'p> {
    let mut set = used.options.clone();
    for name in pack.shared.iter().filter(|name| role.option(name).is_some()) {
        let others = host.roles.iter().filter(|other| other.pack == used.pack);
        if let Some(value) = others.filter_map(|other| other.options.get(name)).next() {
            set.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    Options::new(role, &set)
}

impl Scope<'_> {
    /// The rules of a flow, or what keeps it off.
    fn resolve(&self, flow: &Flow, report: &mut Report) -> Result<Vec<Draft>, Box<Dormant>> {
        let judgement = flow.when.judge(&self.options);
        if !judgement.holds {
            return Err(Box::new(self.conditioned(flow, judgement.why)));
        }
        let gathered = self.gather(flow).map_err(|why| Box::new(self.peerless(flow, why)))?;
        let mut why = judgement.why;
        if gathered.assumed {
            why.push_str("; unset peer reads as any");
        }
        let mut drafts = Vec::new();
        for to in &flow.to {
            let Some(local) = self.local(to, report) else { continue };
            for (port, peers) in gathered.by_port() {
                let rule = self.rule(flow, self.service(flow, port), local, peers, why.clone());
                let (at, alias_of) = (self.used.at.clone(), flow.alias_of.clone());
                drafts.push(Draft { rule, at, assumed: gathered.assumed, alias_of });
            }
        }
        Ok(drafts)
    }

    fn rule(&self, flow: &Flow, service: Service, local: Local, peers: Peers, why: String) -> Rule {
        Rule {
            flow: flow.id.clone(),
            aliases: Vec::new(),
            role: self.role.name.clone(),
            direction: flow.direction,
            service,
            local,
            peers,
            interfaces: self.used.interfaces.of(flow.network.as_deref()).to_vec(),
            control_port: flow.control_port,
            origin: self.origin(flow),
            why,
        }
    }

    fn origin(&self, flow: &Flow) -> Origin {
        let row =
            if flow.table.is_empty() { flow.row.clone() } else { format!("{}, {}", flow.row, flow.table) };
        Origin {
            pack: self.pack.name.clone(),
            document: format!("{}: {}", self.pack.vendor, self.pack.title),
            row,
            purpose: flow.purpose.clone(),
            kind: flow.kind,
            need: flow.need,
        }
    }

    fn service(&self, flow: &Flow, own_port: Option<u16>) -> Service {
        let option = || flow.port_option.as_ref().and_then(|name| self.options.port(name));
        let ports = own_port.or_else(option).map_or_else(|| flow.ports.clone(), PortSet::one);
        let ports = Ports { destination: ports.ranges().to_vec(), source: flow.source_port };
        match flow.protocol {
            Protocol::Tcp => Service::Tcp(ports),
            Protocol::Udp => Service::Udp(ports),
            Protocol::Icmp => Service::Echo,
            Protocol::Igmp => Service::Igmp,
        }
    }

    /// `None` once a wrong group has been reported.
    fn local(&self, to: &To, report: &mut Report) -> Option<Local> {
        match to {
            To::Own => Some(Local::Own),
            To::Broadcast => Some(Local::Broadcast),
            To::Group(group) => Some(Local::Group(*group)),
            To::GroupOption(name) => {
                let group = self.options.address(name).filter(IpAddr::is_multicast);
                if group.is_none() {
                    let message =
                        format!("option `{name}` of role {} must be a multicast group", self.role.name);
                    report.error(self.used.at.clone(), message, "write an address like \"224.10.10.25\"");
                }
                group.map(Local::Group)
            }
        }
    }
}

/// Lets one rule carry the ids of rows that repeat it.
fn join_aliases(drafts: Vec<Draft>) -> Vec<Rule> {
    let mut rules = Vec::with_capacity(drafts.len());
    let mut aliases = Vec::new();
    for draft in drafts {
        if draft.alias_of.is_some() {
            aliases.push(draft);
        } else {
            rules.push(draft.rule);
        }
    }
    for Draft { rule, alias_of, .. } in aliases {
        let twin = rules
            .iter_mut()
            .find(|main: &&mut Rule| Some(&main.flow) == alias_of.as_ref() && main.same_packets(&rule));
        match twin {
            Some(twin) if !twin.aliases.contains(&rule.flow) => twin.aliases.push(rule.flow),
            Some(_) => {}
            None => rules.push(rule),
        }
    }
    rules
}

//! From packs and a host file to rules, each with its source and the reason why it is on.

use std::{collections::BTreeMap, net::IpAddr};

use portreeve_common::Direction;

use super::{
    Catalogue, HostFile,
    address::Remote,
    host::{
        PeerEntry, PeerList, RoleUse,
        allow::{Allow, PING_ID},
        split,
    },
    never,
    pack::{Flow, Options, Pack, PeerRef, Protocol, Role, To},
    ports::PortSet,
    rule::{Kind, Local, Need, Origin, Peers, Ports, Rule, Service},
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
    /// The host file's text, with warnings only.
    pub report: Report,
}

/// A flow that is off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dormant {
    /// Its id.
    pub flow: String,
    /// The role that has it, or `site`.
    pub role: String,
    /// As seen from this host.
    pub direction: Direction,
    /// With this host's ports.
    pub service: Service,
    /// Where it is written.
    pub origin: Origin,
    /// The condition that keeps it off, or the peer that is unset.
    pub why: String,
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
        let scope = Scope { pack, role, used, options: Options::new(role, &used.options) };
        for flow in pack.flows_of(&role.name) {
            match scope.resolve(flow, &mut report) {
                Ok(rules) => drafts.extend(rules),
                Err(why) => dormant.push(scope.dormant(flow, why)),
            }
        }
    }
    drafts.extend(ping(&host));
    for allow in &host.allows {
        if allow.expired {
            dormant.push(expired(allow));
        } else {
            drafts.push(Draft {
                rule: site_rule(allow),
                at: allow.at.clone(),
                assumed: false,
                alias_of: None,
            });
        }
    }
    never::check(&host, &drafts, catalogue, &mut report);
    report.sort();
    if report.has_errors() {
        return Err(Box::new(report));
    }
    Ok(Policy { host, rules: join_aliases(drafts), dormant, report })
}

impl Scope<'_> {
    /// The rules of a flow, or why it has none.
    fn resolve(&self, flow: &Flow, report: &mut Report) -> Result<Vec<Draft>, String> {
        let judgement = flow.when.judge(&self.options);
        if !judgement.holds {
            return Err(judgement.why);
        }
        let gathered = self.gather(flow)?;
        let mut why = judgement.why;
        if gathered.assumed {
            why.push_str("; its peer is unset and reads as any while observing");
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
            control_port: flow.control_port,
            origin: self.origin(flow),
            why,
        }
    }

    fn dormant(&self, flow: &Flow, why: String) -> Dormant {
        Dormant {
            flow: flow.id.clone(),
            role: self.role.name.clone(),
            direction: flow.direction,
            service: self.service(flow, None),
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

    /// Everybody that the flow's peers stand for on this host, or why that is nobody.
    fn gather(&self, flow: &Flow) -> Result<Gathered, String> {
        let replaced = flow.instead.iter().find(|instead| instead.when.judge(&self.options).holds);
        let peers = replaced.map_or(&flow.peers, |instead| &instead.peers);
        let mut gathered = Gathered::default();
        let mut unset = Vec::new();
        for peer in peers {
            match peer {
                PeerRef::Any => gathered.any = true,
                PeerRef::Net(net) => gathered.add(Remote::Net(*net)),
                PeerRef::Name(name) => gathered.add(Remote::Name(name.clone())),
                PeerRef::Controller(kind) => {
                    let before = gathered.entries.len();
                    self.used.machines_with(kind).for_each(|machine| gathered.add(machine));
                    if gathered.entries.len() == before {
                        unset.push(format!("no machine has the controller \"{kind}\""));
                    }
                }
                PeerRef::Peer(name) => match self.used.peers.get(name) {
                    Some(PeerList::Any) => gathered.any = true,
                    Some(PeerList::Listed(entries)) if !entries.is_empty() => {
                        gathered.entries.extend_from_slice(entries);
                    }
                    Some(PeerList::Listed(_)) => unset.push(format!("peer `{name}` lists nobody")),
                    None if self.role.peer(name).is_some_and(|spec| spec.required) => {
                        gathered.any = true;
                        gathered.assumed = true;
                    }
                    None => unset.push(format!("peer `{name}` is unset")),
                },
            }
        }
        if gathered.any || !gathered.entries.is_empty() { Ok(gathered) } else { Err(unset.join(", ")) }
    }
}

/// The remote ends of a flow on this host.
#[derive(Default)]
struct Gathered {
    any: bool,
    assumed: bool,
    entries: Vec<PeerEntry>,
}

impl Gathered {
    fn add(&mut self, remote: Remote) {
        self.entries.push(PeerEntry { remote, port: None });
    }

    /// Those on the flow's own port first, then each port that an entry states itself.
    fn by_port(&self) -> Vec<(Option<u16>, Peers)> {
        let mut ports: BTreeMap<Option<u16>, Vec<Remote>> = BTreeMap::new();
        if self.any {
            ports.insert(None, Vec::new());
        }
        for entry in &self.entries {
            ports.entry(entry.port).or_default().push(entry.remote.clone());
        }
        let peers = |port: Option<u16>, remotes| match (port, self.any) {
            (None, true) => Peers::Any,
            (None | Some(_), _) => listed(remotes),
        };
        ports.into_iter().map(|(port, remotes)| (port, peers(port, remotes))).collect()
    }
}

impl RoleUse {
    /// The machines with a controller.
    pub(super) fn machines_with(&self, kind: &str) -> impl Iterator<Item = Remote> {
        let machines = self.machines.iter().filter(move |machine| machine.controller == kind);
        machines.map(|machine| Remote::Net(machine.ip.into()))
    }
}

fn listed(remotes: Vec<Remote>) -> Peers {
    let (prefixes, names) = split(remotes);
    Peers::Listed { prefixes, names }
}

fn site_peers(list: &PeerList) -> Peers {
    match list {
        PeerList::Any => Peers::Any,
        PeerList::Listed(entries) => listed(entries.iter().map(|entry| entry.remote.clone()).collect()),
    }
}

/// `[baseline] ping_from` as a rule.
fn ping(host: &HostFile) -> Option<Draft> {
    let list = host.baseline.ping_from.as_ref().filter(|list| !list.is_empty())?;
    let row = "[baseline] ping_from".to_owned();
    let origin = site_origin("who may ping this host".into(), row, "reachability".into());
    let rule = Rule {
        flow: PING_ID.into(),
        aliases: Vec::new(),
        role: SITE.into(),
        direction: Direction::Ingress,
        service: Service::Echo,
        local: Local::Own,
        peers: site_peers(list),
        control_port: None,
        origin,
        why: "ping_from is set".into(),
    };
    Some(Draft { rule, at: host.baseline.ping_from_at.clone(), assumed: false, alias_of: None })
}

fn site_rule(allow: &Allow) -> Rule {
    let until = |date| format!("allowed by the site until {date}");
    Rule {
        flow: allow.id.clone(),
        aliases: Vec::new(),
        role: SITE.into(),
        direction: allow.direction,
        service: allow.service.clone(),
        local: Local::Own,
        peers: site_peers(&allow.peers),
        control_port: None,
        origin: allow_origin(allow),
        why: allow.expires.map_or_else(|| "allowed by the site".into(), until),
    }
}

fn expired(allow: &Allow) -> Dormant {
    let why = allow.expires.map_or_else(String::new, |date| format!("expired on {date}"));
    let (flow, role) = (allow.id.clone(), SITE.into());
    let (direction, service) = (allow.direction, allow.service.clone());
    Dormant { flow, role, direction, service, origin: allow_origin(allow), why }
}

fn allow_origin(allow: &Allow) -> Origin {
    site_origin(allow.reason.clone(), format!("[[allow]] {}", allow.position), allow.reason.clone())
}

fn site_origin(document: String, row: String, purpose: String) -> Origin {
    Origin { pack: SITE.into(), document, row, purpose, kind: Kind::Site, need: Need::Optional }
}

/// Lets one rule carry the ids of rows that repeat it.
fn join_aliases(drafts: Vec<Draft>) -> Vec<Rule> {
    let (aliases, mains): (Vec<_>, Vec<_>) = drafts.into_iter().partition(|draft| draft.alias_of.is_some());
    let mut rules: Vec<Rule> = mains.into_iter().map(|draft| draft.rule).collect();
    for Draft { rule, alias_of, .. } in aliases {
        let twin =
            rules.iter_mut().find(|main| Some(&main.flow) == alias_of.as_ref() && main.same_packets(&rule));
        match twin {
            Some(twin) if !twin.aliases.contains(&rule.flow) => twin.aliases.push(rule.flow),
            Some(_) => {}
            None => rules.push(rule),
        }
    }
    rules
}

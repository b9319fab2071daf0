//! Holds what documents forbid against everything that a host would allow.

use portreeve_common::Direction;

use super::{
    Catalogue, HostFile,
    address::{Remote, show},
    host::{PeerList, RoleUse},
    pack::{Never, Pack, PeerRef, Protocol, Scope},
    resolve::{Draft, SITE, options},
    rule::{Peers, Rule, Service},
};
use crate::diagnostic::Report;

/// A never with this host's ports and peers in it.
struct Forbidden<'p> {
    never: &'p Never,
    pack: &'p Pack,
    port: Option<u16>,
    /// `None`: whoever it is.
    remotes: Option<Vec<Remote>>,
}

/// Reports every rule that a role of the same host rules out.
pub(super) fn check(host: &HostFile, drafts: &[Draft], catalogue: &Catalogue, report: &mut Report) {
    for role in &host.roles {
        for forbidden in forbidden(host, role, catalogue) {
            for draft in drafts {
                if let Some(whom) = forbidden.hits(draft) {
                    forbidden.report(draft, &whom, report);
                }
            }
        }
    }
}

fn forbidden<'p>(host: &HostFile, used: &RoleUse, catalogue: &'p Catalogue) -> Vec<Forbidden<'p>> {
    let Some(pack) = catalogue.pack(&used.pack) else { return Vec::new() };
    let Some(role) = pack.role(&used.role) else { return Vec::new() };
    let options = options(host, used, pack, role);
    let nevers = pack.nevers.iter().filter(|never| never.role == used.role);
    nevers
        .map(|never| {
            let port = never.port_option.as_ref().and_then(|name| options.port(name)).or(never.port);
            Forbidden { never, pack, port, remotes: remotes(never, used) }
        })
        .collect()
}

/// `None` where somebody of them is anyone; an unset peer adds nobody.
fn remotes(never: &Never, used: &RoleUse) -> Option<Vec<Remote>> {
    let mut remotes = Vec::new();
    for peer in &never.peers {
        match peer {
            PeerRef::Any => return None,
            PeerRef::Net(net) => remotes.push(Remote::Net(*net)),
            PeerRef::Name(name) => remotes.push(Remote::Name(name.clone())),
            PeerRef::Controller(kind) => remotes.extend(used.machines_with(kind)),
            PeerRef::Peer(name) => match used.peers.get(name) {
                Some(PeerList::Any) => return None,
                Some(PeerList::Listed(entries)) => remotes.extend(entries.iter().map(|e| e.remote.clone())),
                None => {}
            },
        }
    }
    Some(remotes)
}

impl Forbidden<'_> {
    /// Whom the rule would let in or out against the document.
    fn hits(&self, draft: &Draft) -> Option<String> {
        let rule = &draft.rule;
        // A rule for a peer that is still unset is warned about on its own.
        if draft.assumed || rule.direction != self.never.direction || !self.covers(&rule.service) {
            return None;
        }
        match (&self.remotes, &rule.peers) {
            (None, peers) => Some(few(peers)),
            (Some(remotes), Peers::Any) => remotes.first().map(ToString::to_string),
            (Some(remotes), Peers::Listed { prefixes, names }) => {
                remotes.iter().find_map(|remote| match remote {
                    Remote::Net(net) => {
                        let shared =
                            prefixes.iter().find(|other| other.contains(net) || net.contains(*other))?;
                        Some(show(if shared.contains(net) { net } else { shared }))
                    }
                    Remote::Name(name) => names.contains(name).then(|| name.clone()),
                })
            }
        }
    }

    fn covers(&self, service: &Service) -> bool {
        let ports = match (self.never.protocol, service) {
            (None | Some(Protocol::Tcp), Service::Tcp(ports)) => ports,
            (None | Some(Protocol::Udp), Service::Udp(ports)) => ports,
            (None | Some(Protocol::Icmp), Service::Echo) | (None | Some(Protocol::Igmp), Service::Igmp) => {
                return true;
            }
            (None, Service::Protocol(_)) => return true,
            (Some(Protocol::Tcp | Protocol::Udp | Protocol::Icmp | Protocol::Igmp), _) => return false,
        };
        self.port.is_none_or(|port| ports.destination.iter().any(|range| range.contains(&port)))
    }

    fn report(&self, draft: &Draft, whom: &str, report: &mut Report) {
        let Never { role, row, because, direction, .. } = self.never;
        let rule = &draft.rule;
        let way = match direction {
            Direction::Ingress => "from",
            Direction::Egress => "to",
        };
        let message = format!(
            "flow {} of role {} lets {} {direction} {way} {whom} begin, which role {role} rules out: {because}",
            rule.flow, rule.role, rule.service,
        );
        let (binds, flow) = (self.binds(rule), &rule.flow);
        let advice = match (&self.remotes, binds) {
            (Some(_), true) => format!("narrow the peers of {flow}"),
            (Some(_), false) => format!("narrow the peers of {flow}, or keep it if it is meant"),
            // Whoever the peers are, there are too many of them.
            (None, true) => format!("it rules this out for every peer, so {flow} can't stand beside it"),
            (None, false) => format!("it rules this out for every peer; keep {flow} if it is meant"),
        };
        let help = format!("see {row} of {}: {advice}", self.pack.name);
        if binds {
            report.error(draft.at.clone(), message, help);
        } else {
            report.warning(draft.at.clone(), message, help);
        }
    }

    /// Whether breaking it is an error for this rule, or only a warning.
    fn binds(&self, rule: &Rule) -> bool {
        if rule.role == SITE {
            return self.never.site;
        }
        match self.never.scope {
            Scope::Host => true,
            Scope::Pack => rule.origin.pack == self.pack.name,
        }
    }
}

/// The first of them, and how many there are beside: a list may have thousands.
fn few(peers: &Peers) -> String {
    match peers {
        Peers::Any => "anyone".into(),
        Peers::Listed { prefixes, names } => {
            let mut all = prefixes.iter().map(show).chain(names.iter().cloned());
            let first = all.next().unwrap_or_default();
            match all.count() {
                0 => first,
                more => format!("{first} and {more} more"),
            }
        }
    }
}

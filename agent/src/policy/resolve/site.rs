//! Rules that the site itself wrote: `[[allow]]` and `ping_from`.

use portreeve_common::Direction;

use super::{Dormant, Draft, Off, SITE, gather::listed};
use crate::policy::{
    HostFile,
    host::{
        PeerList,
        allow::{Allow, PING_ID},
    },
    rule::{Kind, Local, Need, Origin, Peers, Rule, Service},
};

/// `[baseline] ping_from` as a rule.
pub(super) fn ping(host: &HostFile) -> Option<Draft> {
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
        interfaces: Vec::new(),
        control_port: None,
        origin,
        why: "ping_from is set".into(),
    };
    Some(Draft { rule, at: host.baseline.ping_from_at.clone(), assumed: false, alias_of: None })
}

/// `[baseline] management` as rules.
pub(super) fn management(host: &HostFile) -> impl Iterator<Item = Draft> {
    host.baseline.management.iter().map(|entry| {
        let row = format!("[baseline] management {}", entry.position);
        let (direction, service) = entry.service();
        let rule = Rule {
            flow: entry.id(),
            aliases: Vec::new(),
            role: SITE.into(),
            direction,
            service,
            local: Local::Own,
            peers: site_peers(&entry.peers),
            interfaces: Vec::new(),
            control_port: None,
            origin: site_origin("who looks after this host".into(), row, "management".into()),
            why: "management is always allowed".into(),
        };
        Draft { rule, at: entry.at.clone(), assumed: false, alias_of: None }
    })
}

/// The rules of an `[[allow]]`: one for the hosts, one for each group that it sends to.
pub(super) fn drafts(allow: &Allow) -> impl Iterator<Item = Draft> {
    let hosts = (!allow.peers.is_empty()).then(|| (Local::Own, site_peers(&allow.peers)));
    let groups = allow.groups.iter().map(|group| (*group, Peers::Any));
    hosts.into_iter().chain(groups).map(|(local, peers)| {
        let rule = site_rule(allow, local, peers);
        Draft { rule, at: allow.at.clone(), assumed: false, alias_of: None }
    })
}

fn site_rule(allow: &Allow, local: Local, peers: Peers) -> Rule {
    let until = |date| format!("allowed by the site until {date}");
    Rule {
        flow: allow.id.clone(),
        aliases: Vec::new(),
        role: SITE.into(),
        direction: allow.direction,
        service: allow.service.clone(),
        local,
        peers,
        interfaces: allow.interfaces.clone(),
        control_port: None,
        origin: allow_origin(allow),
        why: allow.expires.map_or_else(|| "allowed by the site".into(), until),
    }
}

/// An `[[allow]]` whose last day has passed.
pub(super) fn expired(allow: &Allow) -> Dormant {
    let why = allow.expires.map_or_else(String::new, |date| format!("expired on {date}"));
    let (flow, role) = (allow.id.clone(), SITE.into());
    let (direction, service) = (allow.direction, allow.service.clone());
    let peers = (!allow.peers.is_empty()).then(|| site_peers(&allow.peers));
    Dormant { flow, role, direction, service, peers, origin: allow_origin(allow), off: Off::Expired, why }
}

fn allow_origin(allow: &Allow) -> Origin {
    site_origin(allow.reason.clone(), format!("[[allow]] {}", allow.position), allow.reason.clone())
}

fn site_origin(document: String, row: String, purpose: String) -> Origin {
    Origin { pack: SITE.into(), document, row, purpose, kind: Kind::Site, need: Need::Optional }
}

fn site_peers(list: &PeerList) -> Peers {
    match list {
        PeerList::Any => Peers::Any,
        PeerList::Listed(entries) => listed(entries.iter().map(|entry| entry.remote.clone()).collect()),
    }
}

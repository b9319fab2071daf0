//! Rules by hand, and a plain reading of them.

use std::net::IpAddr;

use ipnet::IpNet;
use portreeve::{
    image::{Image, ImageError, Slots},
    policy::{
        self, Catalogue, Policy, Rule,
        rule::{Kind, Local, Need, Origin, Peers, Ports, Service},
    },
};
use portreeve_common::{Direction, Reason};

use crate::packets::{Carried, First};

const OWN: [&str; 2] = ["192.0.2.10/24", "2001:db8:1::10/64"];

/// The rules one after the other: any peer first, else the longest prefix, else the first rule.
pub(crate) fn plainly(rules: &[Rule], packet: &First) -> (Reason, Option<String>) {
    let mut about = Vec::new();
    for rule in rules {
        let same_way = rule.direction == packet.direction;
        let same_service = match (&rule.service, packet.kind) {
            (Service::Tcp(ports), Carried::Tcp(port)) | (Service::Udp(ports), Carried::Udp(port)) => {
                ports.destination.iter().any(|range| range.contains(&port))
            }
            (Service::Echo, Carried::Echo) => match &rule.peers {
                Peers::Any => true,
                Peers::Listed { prefixes, .. } => {
                    prefixes.iter().any(|net| net.addr().is_ipv4() == packet.remote.is_ipv4())
                }
            },
            (Service::Protocol(number), Carried::Protocol(carried)) => *number == carried,
            _ => false,
        };
        if same_way && same_service {
            about.push(rule);
        }
    }
    for rule in &about {
        if rule.peers == Peers::Any {
            return (Reason::Rule, Some(rule.flow.clone()));
        }
    }
    let mut longest: Option<(u8, &str)> = None;
    for rule in &about {
        let Peers::Listed { prefixes, .. } = &rule.peers else { continue };
        for net in prefixes {
            if net.contains(&packet.remote) && longest.is_none_or(|(length, _)| net.prefix_len() > length) {
                longest = Some((net.prefix_len(), &rule.flow));
            }
        }
    }
    match (longest, about.first(), packet.kind) {
        (Some((_, flow)), _, _) => (Reason::Rule, Some(flow.to_owned())),
        (None, Some(first), _) => (Reason::WrongPeer, Some(first.flow.clone())),
        (None, None, Carried::Protocol(_)) => (Reason::Protocol, None),
        (None, None, _) => (Reason::NoRule, None),
    }
}

pub(crate) fn syn(port: u16, remote: IpAddr) -> First {
    First { direction: Direction::Ingress, kind: Carried::Tcp(port), remote, source_port: 40_000 }
}

pub(crate) fn tcp(port: u16, nets: &[IpNet]) -> Rule {
    let service = Service::Tcp(Ports { destination: vec![port..=port], source: None });
    bare(Direction::Ingress, service, Peers::Listed { prefixes: nets.to_vec(), names: Vec::new() })
}

pub(crate) fn bare(direction: Direction, service: Service, peers: Peers) -> Rule {
    Rule {
        flow: String::new(),
        aliases: Vec::new(),
        role: "site".into(),
        direction,
        service,
        local: Local::Own,
        peers,
        interfaces: Vec::new(),
        control_port: None,
        origin: Origin {
            pack: "site".into(),
            document: String::new(),
            row: String::new(),
            purpose: String::new(),
            kind: Kind::Site,
            need: Need::Optional,
        },
        why: String::new(),
    }
}

/// Each rule is a flow of its own.
pub(crate) fn numbered(mut rules: Vec<Rule>) -> Vec<Rule> {
    rules.iter_mut().enumerate().for_each(|(n, rule)| rule.flow = format!("F{n}"));
    rules
}

pub(crate) fn own() -> Vec<IpNet> {
    OWN.map(|net| net.parse().unwrap()).to_vec()
}

pub(crate) fn compile(rules: &[Rule]) -> Result<Image, ImageError> {
    Image::compile(&policy_of(rules), &own(), &mut Slots::default(), 250)
}

/// A policy of exactly these rules.
pub(crate) fn policy_of(rules: &[Rule]) -> Policy {
    const HOST: &str = "[[allow]]\nid = \"S\"\ndirection = \"egress\"\nprotocol = \"tcp\"\nport = 1\n\
                        peers = \"any\"\nreason = \"none\"\n";
    let catalogue = Catalogue::built_in().unwrap();
    let mut policy = policy::compile("host.toml", HOST, &catalogue, "2026-11-21".parse().unwrap()).unwrap();
    policy.rules = rules.to_vec();
    policy
}

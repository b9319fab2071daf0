//! A pack's flows against the rows of the fact list.

use std::collections::{BTreeMap, BTreeSet};

use portreeve::policy::{
    pack::{Flow, Pack, PeerRef, Protocol, To},
    rule::{Kind, Need},
};
use serde_json::{Value as Json, json};

use super::{
    Fact, condition, differs, strings,
    vocabulary::{protocol, shown},
};

/// Adds a sentence for each difference.
pub(crate) fn compare_all(pack: &Pack, facts: &[&Fact], words: &Json, found: &mut Vec<String>) {
    let flows: BTreeMap<&str, &Flow> = pack.flows.iter().map(|flow| (flow.id.as_str(), flow)).collect();
    let implied = strings(&words["implied"]);
    for fact in facts {
        let id = fact["id"].as_str().unwrap();
        match flows.get(id) {
            Some(flow) => compare(pack, flow, fact, found),
            None => found.push(format!("{id} is missing")),
        }
    }
    for id in &implied {
        let base = id.strip_suffix("-TCP").unwrap();
        match (flows.get(id.as_str()), flows.get(base)) {
            (Some(flow), Some(base)) => compare_implied(flow, base, found),
            (None, _) | (_, None) => found.push(format!("{id} or {base} is missing")),
        }
    }
    let known: BTreeSet<&str> = facts.iter().map(|fact| fact["id"].as_str().unwrap()).collect();
    for flow in &pack.flows {
        if !known.contains(flow.id.as_str()) && !implied.contains(&flow.id) {
            found.push(format!("{} is no flow of the document", flow.id));
        }
        let networks = &words["roles"][&flow.role]["networks"];
        differs(&format!("{}: network", flow.id), &flow.network.as_deref(), &network(flow, networks), found);
        differs(&format!("{}: need", flow.id), need(flow.need), wanted_need(&flow.id, words), found);
        differs(&format!("{}: table", flow.id), &*flow.table, table(&flow.row, &words["tables"]), found);
    }
    compare_aliases(&flows, facts, &words["aliases"], found);
}

/// The network of those whom the flow is for; the site's own servers may be in any.
fn network<'w>(flow: &Flow, networks: &'w Json) -> Option<&'w str> {
    let ends = if flow.peers.iter().any(|peer| matches!(peer, PeerRef::Controller(_))) {
        "machines"
    } else if flow.peers.iter().any(|peer| matches!(peer, PeerRef::Peer(_))) {
        "the site's servers"
    } else {
        "the document's own ends"
    };
    let mut networks = networks.as_object().into_iter().flatten();
    networks.find(|(_, of)| *of == ends).map(|(name, _)| name.as_str())
}

fn compare(pack: &Pack, flow: &Flow, fact: &Fact, found: &mut Vec<String>) {
    let at = |what: &str| format!("{}: {what}", flow.id);
    let text = |field: &str| fact[field].as_str().unwrap();
    differs(&at("document"), &*pack.document, text("document"), found);
    differs(&at("role"), &*flow.role, text("role"), found);
    differs(&at("row"), &*flow.row, text("row"), found);
    differs(&at("direction"), flow.direction.name(), text("direction"), found);
    differs(&at("protocol"), protocol(flow.protocol), text("protocol"), found);
    differs(&at("kind"), kind(flow.kind), text("kind"), found);
    differs(&at("ports"), &ports(flow), &fact["ports"], found);
    let ends = Ends::stated(flow, text("peer"), text("configurable"));
    differs(&at("peers"), &flow.peers.iter().map(shown).collect::<BTreeSet<_>>(), &ends.peers, found);
    differs(&at("addressed to"), &flow.to.iter().map(destination).collect::<BTreeSet<_>>(), &ends.to, found);
    let source = fact["source_port"].as_u64().or(ends.source);
    differs(&at("source port"), &flow.source_port.map(u64::from), &source, found);
    // Active FTP data is the one service that stands beside another.
    let control = (source == Some(20)).then_some(21);
    differs(&at("control port"), &flow.control_port, &control, found);
    compare_configurable(pack, flow, text("configurable"), found);
    condition::compare(pack, flow, fact, found);
    compare_replacements(flow, found);
}

/// The resolvers' TCP beside their UDP.
fn compare_implied(flow: &Flow, base: &Flow, found: &mut Vec<String>) {
    let at = |what: &str| format!("{}: {what}", flow.id);
    differs(&at("kind"), kind(flow.kind), "implied", found);
    differs(&at("protocol"), &flow.protocol, &Protocol::Tcp, found);
    differs(&at("role"), &flow.role, &base.role, found);
    differs(&at("row"), &flow.row, &base.row, found);
    differs(&at("direction"), &flow.direction, &base.direction, found);
    differs(&at("ports"), &flow.ports, &base.ports, found);
    differs(&at("peers"), &flow.peers, &base.peers, found);
    differs(&at("condition"), &flow.when, &base.when, found);
}

/// What a fact says of a flow's ends.
#[derive(Default)]
struct Ends {
    peers: BTreeSet<String>,
    to: BTreeSet<String>,
    source: Option<u64>,
}

impl Ends {
    /// `param:a+b`, `@broadcast`, `mcast:GROUP<-param:a`, `domain:x + ip:y`, `machines[controller=X]`.
    fn stated(flow: &Flow, peer: &str, configurable: &str) -> Self {
        let mut ends = Self::default();
        let group = || {
            let option = configurable.split('=').next().filter(|name| !name.is_empty());
            option.unwrap_or("mcast_group").to_owned()
        };
        if flow.protocol == Protocol::Igmp {
            // RFC 2236 and 3376: queries go to all systems or the group; leaves to all routers, reports of version 3
            // to their own group.
            let fixed: &[&str] =
                if peer == "any-querier" { &["224.0.0.1"] } else { &["224.0.0.2", "224.0.0.22"] };
            ends.to = fixed.iter().map(|to| (*to).to_owned()).chain([group()]).collect();
            ends.peers.insert("any".into());
            return ends;
        }
        let (peer, to) = match peer.split_once("<-") {
            Some((_, from)) => (from, group()),
            None if peer.starts_with("mcast:") => ("any", group()),
            None if peer == "bcast" => ("any", "broadcast".into()),
            None => (peer, "own".into()),
        };
        let (peer, to) = match peer.split_once('@') {
            Some((peer, "broadcast+unicast")) => (peer, vec!["broadcast".into(), "own".into()]),
            Some((peer, to)) => (peer, vec![to.to_owned()]),
            None => (peer, vec![to]),
        };
        ends.to = to.into_iter().collect();
        let peer = match peer.strip_suffix("(sport 20)") {
            Some(peer) => {
                ends.source = Some(20);
                peer
            }
            None => peer,
        };
        ends.peers = peer.split(" + ").flat_map(peers).collect();
        ends
    }
}

fn peers(stated: &str) -> Vec<String> {
    if let Some(machines) = stated.strip_prefix("param:machines[controller=") {
        return vec![format!("controller:{}", machines.trim_end_matches(']'))];
    }
    let list = |text: &str, by: char| text.split(by).map(str::to_owned).collect();
    match stated.split_once(':') {
        Some(("param", names)) => list(names, '+'),
        Some(("ip", addresses)) => list(addresses, ','),
        Some((_, name)) => vec![name.to_owned()],
        None => vec![stated.to_owned()],
    }
}

fn destination(to: &To) -> String {
    match to {
        To::Own => "own".into(),
        To::Broadcast => "broadcast".into(),
        To::Group(group) => group.to_string(),
        To::GroupOption(option) => option.clone(),
    }
}

/// Single ports one by one, long ranges and messages as the fact list writes them.
fn ports(flow: &Flow) -> Json {
    match (flow.protocol, flow.direction.name()) {
        (Protocol::Icmp, _) => return json!(["echo-request"]),
        (Protocol::Igmp, "egress") => return json!(["report/leave"]),
        (Protocol::Igmp, _) => return json!(["query"]),
        (Protocol::Tcp | Protocol::Udp, _) => {}
    }
    let ranges = flow.ports.ranges().iter().flat_map(|range| {
        if range.len() > 100 {
            return vec![json!(format!("{}-{}", range.start(), range.end()))];
        }
        range.clone().map(Json::from).collect()
    });
    ranges.collect()
}

/// What the document lets a site change, and the option for it.
fn compare_configurable(pack: &Pack, flow: &Flow, fact: &str, found: &mut Vec<String>) {
    // The catalogue has no option for what is set in the product's own files and may be any port.
    const WITHOUT_OPTION: [&str; 5] = [
        "DataMiner.xml SNMP port",
        "SNMPv3 trapPort=162",
        "gRPC endpoint port (figure shows custom 3000)",
        "CloudEndpointOptions.Port=5100",
        "port=5100",
    ];
    let group = fact.starts_with("mcast_group");
    let stated = (!group && !WITHOUT_OPTION.contains(&fact)).then(|| fact.split_once('=')).flatten();
    let name = stated.map(|(name, _)| name);
    differs(&format!("{}: port option", flow.id), &flow.port_option.as_deref(), &name, found);
    let Some((name, default)) = stated else { return };
    let default = default.trim_end_matches(" (per peer)");
    let spec = pack.role(&flow.role).and_then(|role| role.option(name));
    let ours = spec.and_then(|spec| spec.default.as_ref()).map(ToString::to_string).unwrap_or_default();
    differs(&format!("{}: default port", flow.id), &*ours, default, found);
}

/// Peers under a condition: the catalogue has them for one flow.
fn compare_replacements(flow: &Flow, found: &mut Vec<String>) {
    let replacements: Vec<_> = flow
        .instead
        .iter()
        .map(|instead| (format!("{:?}", instead.when.tests), instead.peers.iter().map(shown).collect()))
        .collect();
    let wanted: Vec<(String, Vec<String>)> = if flow.id == "MM-NTP-01" {
        vec![("[(\"ntp_mode\", OneOf([String(\"any\")]))]".into(), vec!["any".into()])]
    } else {
        Vec::new()
    };
    differs(&format!("{}: instead", flow.id), &replacements, &wanted, found);
}

/// Rows that state the same packets for the same role: the later one repeats the earlier one.
fn compare_aliases(flows: &BTreeMap<&str, &Flow>, facts: &[&Fact], others: &Json, found: &mut Vec<String>) {
    let mut first: BTreeMap<String, &str> = BTreeMap::new();
    let mut wanted: BTreeMap<&str, &str> = BTreeMap::new();
    for fact in facts {
        let id = fact["id"].as_str().unwrap();
        let fields = ["role", "direction", "protocol", "ports", "source_port", "peer", "condition"];
        let packets = fields.map(|field| fact[field].to_string()).join(" ");
        if let Some(earlier) = first.get(&packets) {
            wanted.insert(id, earlier);
        } else {
            first.insert(packets, id);
        }
    }
    let others = others.as_object().unwrap();
    wanted.extend(others.iter().map(|(id, of)| (id.as_str(), of.as_str().unwrap())));
    let ours: BTreeMap<&str, &str> =
        flows.iter().filter_map(|(id, flow)| Some((*id, flow.alias_of.as_deref()?))).collect();
    differs("aliases", &ours, &wanted, found);
}

fn wanted_need(id: &str, words: &Json) -> &'static str {
    let lists = ["optional", "debug", "internal"];
    lists.into_iter().find(|list| strings(&words[*list]).iter().any(|one| one == id)).unwrap_or("required")
}

fn table<'w>(row: &str, tables: &'w Json) -> &'w str {
    let row = row.strip_prefix("mirror ").unwrap_or(row);
    let prefix = row.split_inclusive('.').next().unwrap_or(row);
    tables[row].as_str().or_else(|| tables[prefix].as_str()).unwrap_or_default()
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Documented => "documented",
        Kind::Mirror => "mirror",
        Kind::Implied => "implied",
        Kind::Site => "site",
    }
}

fn need(need: Need) -> &'static str {
    match need {
        Need::Required => "required",
        Need::Optional => "optional",
        Need::Debug => "debug",
        Need::Internal => "internal",
    }
}

//! `[[allow]]`: a site's own flows, on top of the documents.

use std::net::{IpAddr, Ipv4Addr};

use foldhash::{HashSet, HashSetExt as _};
use jiff::civil::Date;
use portreeve_common::Direction;

use super::{
    binding,
    keys::{Keys, Value, suggest},
    management::MANAGEMENT_ID,
    peers::{self, PeerList},
    value::{self, Text},
};
use crate::{
    diagnostic::{Report, Span},
    policy::{
        catalogue::Catalogue,
        ports::{self, PortSet},
        rule::{Local, Ports, Service},
    },
};

/// The id of the rule that `ping_from` makes.
pub const PING_ID: &str = "BASELINE-PING";

/// A flow of the site's own.
#[derive(Clone, Debug)]
pub struct Allow {
    /// Unlike every other id.
    pub id: String,
    /// Who sends the first packet.
    pub direction: Direction,
    /// Protocol and ports.
    pub service: Service,
    /// The remote end; empty where it only sends to groups.
    pub peers: PeerList,
    /// Multicast groups, and broadcast, that it sends to; only of egress.
    pub groups: Vec<Local>,
    /// By which interfaces it may begin; empty: any.
    pub interfaces: Vec<String>,
    /// Why the site needs it; may be empty.
    pub reason: String,
    /// The last day on which it is on.
    pub expires: Option<Date>,
    /// `expires` has passed.
    pub expired: bool,
    /// From 1, in the order of the file.
    pub position: usize,
    /// Where its id stands.
    pub at: Span,
}

impl Text for Direction {
    const WORDS: &'static [(&'static str, Self)] = &[("ingress", Self::Ingress), ("egress", Self::Egress)];
}

const PROTOCOLS: &str = "write tcp, udp, icmp, icmpv6, or an IP protocol number";

/// Reads all of them; ids may not repeat each other or a documented flow. `covered`: the interfaces of `[host]`.
pub(super) fn read_all(
    tables: Vec<Keys<'_>>,
    catalogue: &Catalogue,
    today: Date,
    covered: &[String],
    report: &mut Report,
) -> Vec<Allow> {
    let mut allows = Vec::new();
    let ids = catalogue.packs().flat_map(|pack| &pack.flows).map(|flow| flow.id.as_str());
    let mut ids = Ids { documented: ids.collect(), taken: HashSet::with_capacity(tables.len()) };
    for (index, mut keys) in tables.into_iter().enumerate() {
        let at = keys.at();
        let id = keys.require("id", "add an id, like id = \"SITE-1\": counters go by it", report);
        let at = id.map_or(at, toml::Spanned::span);
        let id = id.and_then(|value| id_text(value, report));
        if let Some(id) = &id {
            ids.check(id, at.clone(), report);
        }
        let rest = read(keys, at, today, covered, report);
        allows.extend(id.zip(rest).map(|(id, allow)| Allow { id, position: index + 1, ..allow }));
    }
    allows
}

/// Ids that an `[[allow]]` can't have.
struct Ids<'c> {
    documented: HashSet<&'c str>,
    taken: HashSet<String>,
}

impl Ids<'_> {
    fn check(&mut self, id: &str, at: Span, report: &mut Report) {
        if self.documented.contains(id) || id == PING_ID || id.starts_with(MANAGEMENT_ID) {
            let message = format!("id `{id}` is a documented flow's");
            report.error(at, message, "choose an id of the site's own, like \"SITE-1\"");
        } else if !self.taken.insert(id.to_owned()) {
            let message = format!("id `{id}` stands twice");
            report.error(at, message, "give each [[allow]] its own id: counters go by it");
        }
    }
}

/// Everything but the id and the position.
fn read(mut keys: Keys<'_>, at: Span, today: Date, covered: &[String], report: &mut Report) -> Option<Allow> {
    let direction = keys.require("direction", "add direction = \"ingress\" or \"egress\"", report);
    let protocol = keys.require("protocol", PROTOCOLS, report);
    let port = keys.take("port");
    let list = keys.require("peers", "add peers = [\"…\"], or \"any\"", report);
    let reason =
        keys.take("reason").and_then(|value| value::text("reason", value, "write why in quotes", report));
    let interfaces = binding::of_allow(&mut keys, covered, report);
    let expires = keys.take("expires").and_then(|value| date(value, report));
    keys.finish(report);
    let direction = direction.and_then(|value| value::word("direction", value, report));
    let service = protocol.and_then(|value| service(value, port, report));
    let sends = direction == Some(Direction::Egress);
    let peers = list.and_then(|value| listed(value, sends, report));
    let expired = expires.is_some_and(|last| last < today);
    if let Some(last) = expires.filter(|_| expired) {
        report.warning(
            at.clone(),
            format!("this [[allow]] expired on {last}: it is off"),
            "remove it, or set a later date",
        );
    }
    if reason.is_none_or(str::is_empty) {
        report.warning(
            at.clone(),
            "this [[allow]] has no reason",
            "add reason = \"…\": reports show it as the source",
        );
    }
    let (direction, service, (peers, groups)) = (direction?, service?, peers?);
    let reason = reason.unwrap_or_default().to_owned();
    Some(Allow {
        id: String::new(),
        direction,
        service,
        peers,
        groups,
        interfaces,
        reason,
        expires,
        expired,
        position: 0,
        at,
    })
}

fn id_text(value: Value<'_>, report: &mut Report) -> Option<String> {
    let help = "write up to 63 letters, digits, `-`, `_` and `.`, like \"SITE-1\"";
    let text = value::text("id", value, help, report)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let fits = (1..=63).contains(&text.len()) && text.chars().all(allowed);
    if !fits {
        report.error(value.span(), format!("`{text}` can't be an id"), help);
    }
    fits.then(|| text.to_owned())
}

/// Hosts, and groups where the flow may have some.
fn listed(value: Value<'_>, sends: bool, report: &mut Report) -> Option<(PeerList, Vec<Local>)> {
    let items = value.get_ref().as_array();
    if items.is_some_and(|items| items.is_empty()) {
        report.error(value.span(), "`peers` lists nobody", "list who it is for, or write \"any\"");
    }
    let Some(items) = items.filter(|_| sends) else {
        return Some((peers::read("peers", value, report)?, Vec::new()));
    };
    let (mut entries, mut groups) = (Vec::new(), Vec::new());
    for item in items.iter() {
        match item.get_ref().as_str().and_then(group) {
            Some(group) => groups.push(group),
            None => entries.extend(peers::entry("peers", item, report)),
        }
    }
    Some((PeerList::Listed(entries), groups))
}

fn group(text: &str) -> Option<Local> {
    let address: IpAddr = text.parse().ok()?;
    if address == IpAddr::V4(Ipv4Addr::BROADCAST) {
        return Some(Local::Broadcast);
    }
    address.is_multicast().then_some(Local::Group(address))
}

fn service(protocol: Value<'_>, port: Option<Value<'_>>, report: &mut Report) -> Option<Service> {
    let word = match value::integer(protocol) {
        Some(number) => return numbered(number, protocol, port, report),
        None => value::text("protocol", protocol, PROTOCOLS, report)?,
    };
    match word {
        "tcp" => with_ports(word, protocol, port, report).map(Service::Tcp),
        "udp" => with_ports(word, protocol, port, report).map(Service::Udp),
        "icmp" | "icmpv6" => {
            no_port(port, report);
            Some(Service::Echo)
        }
        other => {
            let words = ["tcp", "udp", "icmp", "icmpv6"];
            let help = suggest(other, &words, "protocols, beside IP protocol numbers");
            report.error(protocol.span(), format!("unknown protocol `{other}`"), help);
            None
        }
    }
}

fn numbered(
    number: i64,
    protocol: Value<'_>,
    port: Option<Value<'_>>,
    report: &mut Report,
) -> Option<Service> {
    no_port(port, report);
    let help = match number {
        1 => "write protocol = \"icmp\": echo requests",
        58 => "write protocol = \"icmpv6\": echo requests",
        6 => "write protocol = \"tcp\" and a port",
        17 => "write protocol = \"udp\" and a port",
        2 => "IGMP passes where a role's document needs multicast: leave it out",
        0 | 43 | 44 | 60 | 135 | 139 | 140 => {
            "it numbers an IPv6 extension header, which is passed over: write the protocol that stands behind it"
        }
        0..=255 => return u8::try_from(number).ok().map(Service::Protocol),
        _ => "IP protocol numbers go from 0 to 255",
    };
    report.error(protocol.span(), format!("protocol {number} can't be allowed by number"), help);
    None
}

fn with_ports(
    word: &str,
    protocol: Value<'_>,
    port: Option<Value<'_>>,
    report: &mut Report,
) -> Option<Ports> {
    let Some(value) = port else {
        let help = "add port = 8883, \"8000-8010\", or a list of them";
        report.error(protocol.span(), format!("{word} needs a `port`"), help);
        return None;
    };
    ports("port", value, report)
}

/// A port, a range, or a list of both.
pub(super) fn ports(key: &str, value: Value<'_>, report: &mut Report) -> Option<Ports> {
    let read: Vec<_> = match value.get_ref().as_array() {
        Some(items) => items.iter().map(|item| port_range(item, report)).collect(),
        None => vec![port_range(value, report)],
    };
    // Every item has been read by now, so that all mistakes are reported at once.
    let ranges = read.into_iter().collect::<Option<Vec<_>>>()?;
    if ranges.is_empty() {
        report.error(value.span(), format!("`{key}` lists no port"), "list at least one port");
        return None;
    }
    Some(Ports { destination: PortSet::new(ranges).ranges().to_vec(), source: None })
}

fn port_range(value: Value<'_>, report: &mut Report) -> Option<std::ops::RangeInclusive<u16>> {
    let Some(text) = value.get_ref().as_str() else {
        return peers::port("port", value, report).map(|port| port..=port);
    };
    let range = ports::range(text);
    if let Err(error) = &range {
        report.error(
            value.span(),
            error.to_string(),
            "write a port from 1 to 65535, or a range like \"8000-8010\"",
        );
    }
    range.ok()
}

fn no_port(port: Option<Value<'_>>, report: &mut Report) {
    if let Some(value) = port {
        report.error(value.span(), "this protocol has no ports", "leave `port` out");
    }
}

fn date(value: Value<'_>, report: &mut Report) -> Option<Date> {
    let help = "write a date without quotes, like expires = 2027-01-31";
    let written = value.get_ref().as_datetime().filter(|moment| moment.time.is_none());
    let date = written.and_then(|moment| moment.date).and_then(|date| {
        let (year, month, day) = (date.year, date.month, date.day);
        Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
    });
    if date.is_none() {
        report.error(value.span(), "`expires` must be a date", help);
    }
    date
}

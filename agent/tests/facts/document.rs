//! Every number, address and name of a document against its pack, and the other way round.

use std::collections::BTreeSet;

use portreeve::policy::pack::{Condition, Pack, PeerRef, condition::Test};
use serde_json::Value as Json;

use super::{differs, strings};

/// Adds a sentence for each difference.
pub(crate) fn compare(pack: &Pack, text: &str, document: &Json, found: &mut Vec<String>) {
    let listed = |field: &str| -> BTreeSet<String> { strings(&document[field]).into_iter().collect() };
    let wanted: BTreeSet<u16> = document["ports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|port| port.as_u64().unwrap().try_into().unwrap())
        .collect();
    differs("ports", &ports(pack), &wanted, found);
    differs("addresses", &constants(pack, false), &listed("addresses"), found);
    differs("names", &constants(pack, true), &listed("names"), found);
    differs("thresholds", &thresholds(pack), &listed("thresholds"), found);
    for word in listed("mentioned") {
        if !mentions(text, &word) {
            found.push(format!("{word} stands in the document and not in the pack"));
        }
    }
}

/// All single ports; a range of client ports is no port of a document.
fn ports(pack: &Pack) -> BTreeSet<u16> {
    let single = |range: &std::ops::RangeInclusive<u16>| range.len() < 100;
    let ranges = pack.flows.iter().flat_map(|flow| flow.ports.ranges().iter().filter(|range| single(range)));
    ranges.cloned().flatten().chain(pack.flows.iter().filter_map(|flow| flow.source_port)).collect()
}

fn constants(pack: &Pack, names: bool) -> BTreeSet<String> {
    let peers = pack.flows.iter().flat_map(|flow| &flow.peers);
    let constant = |peer: &PeerRef| match peer {
        PeerRef::Net(net) if !names => Some(portreeve::policy::address::show(net)),
        PeerRef::Name(name) if names => Some(name.clone()),
        PeerRef::Net(_) | PeerRef::Name(_) | PeerRef::Any | PeerRef::Peer(_) | PeerRef::Controller(_) => None,
    };
    peers.filter_map(constant).collect()
}

/// Every version that a condition or a default compares with.
fn thresholds(pack: &Pack) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let defaults = pack.roles.iter().flat_map(|role| &role.options).flat_map(|option| &option.default_when);
    defaults.for_each(|special| compared(&special.when, &mut found));
    pack.flows.iter().for_each(|flow| compared(&flow.when, &mut found));
    found
}

fn compared(condition: &Condition, found: &mut BTreeSet<String>) {
    for (_, test) in &condition.tests {
        match test {
            Test::AtLeast(versions) | Test::Below(versions) => {
                found.extend(versions.iter().map(ToString::to_string));
            }
            Test::OneOf(_) | Test::Not(_) => {}
        }
    }
    condition.any.iter().for_each(|alternative| compared(alternative, found));
}

/// Whether a text has the word by itself, and not as a part of another.
fn mentions(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = &text[at + word.len()..];
        let more = after.starts_with(part) || (after.starts_with('.') && after[1..].starts_with(part));
        !more && !before.is_some_and(|c| part(c) || c == '.')
    })
}

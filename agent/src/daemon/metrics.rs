//! What `/metrics` says. A family that can't be read is absent, never zero.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::atomic::AtomicU64,
};

use portreeve_common::{Direction, counter::FlowCounter, names::NameId, number::protocol};
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::{
    control::{
        PortDrops, PortKey, View, described,
        guard::{Fault, Guard},
        protocol_name,
    },
    datapath::{names::Names, verify::Standing},
    drift::{self, Kind, Seen},
    image::FlowMeta,
    instance::Instance,
    policy::{Catalogue, Rule, rule::Service},
};

/// Ports beside the documented ones that have series of their own, of each direction and protocol.
const TOP: usize = 50;

type Labels = Vec<(String, String)>;

/// All metrics of an instance.
///
/// # Errors
/// Why there are none, in a sentence.
pub fn text(instance: &Instance, catalogue: &Catalogue, guard: &Guard) -> Result<String, String> {
    let view = View::open(instance, catalogue).map_err(described)?;
    let mut registry = Registry::with_prefix("portreeve");
    let read = Read::new(&view);
    let families = [
        ("ports", ports(&view, &read, &mut registry)),
        ("reasons", reasons(&view, &mut registry)),
        ("flows", flows(&view, &read, &mut registry)),
        ("enforcement", enforcement(&read, &mut registry)),
        ("state", state(&view, &mut registry)),
        ("names", names(&view, &mut registry)),
        ("drift", drifts(&view, read, &mut registry)),
    ];
    for (family, result) in families {
        if let Err(error) = result {
            tracing::warn!(family, error, "cannot be read: absent from the metrics");
        }
    }
    policy(&view, &mut registry);
    observed(&view, &mut registry);
    faults(guard, &mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|_error: fmt::Error| "the metrics have no text form".to_owned())?;
    Ok(text)
}

/// What two families tell of: proving and reading take time, so it is done once a scrape.
struct Read<'v> {
    ports: Result<BTreeMap<PortKey, PortDrops>, String>,
    flows: Result<Vec<(&'v FlowMeta, FlowCounter)>, String>,
    standings: Result<Vec<(String, Direction, Standing)>, String>,
}

impl<'v> Read<'v> {
    fn new(view: &'v View) -> Self {
        Self {
            ports: view.ports().map_err(described),
            flows: view.flows().map_err(described),
            standings: view.standings().map_err(described),
        }
    }

    /// With what only drift asks for.
    fn seen(self, view: &'v View) -> Result<Seen<'v>, String> {
        let Self { ports, flows, standings } = self;
        Ok(Seen {
            standings: standings?,
            holds: view.holds().map_err(described)?,
            ports: ports?,
            talkers: view.talkers().map_err(described)?,
            names: drift::answered(view).map_err(described)?,
            flows: flows?,
            listeners: drift::listeners().map_err(described)?,
        })
    }
}

fn counter(registry: &mut Registry, name: &str, help: &str, series: impl IntoIterator<Item = (Labels, u64)>) {
    let family = Family::<Labels, Counter>::default();
    for (labels, count) in series {
        family.get_or_create(&labels).inc_by(count);
    }
    registry.register(name, help, family);
}

fn gauge(registry: &mut Registry, name: &str, help: &str, series: impl IntoIterator<Item = (Labels, u64)>) {
    let family = Family::<Labels, Gauge<u64, AtomicU64>>::default();
    for (labels, value) in series {
        family.get_or_create(&labels).set(value);
    }
    registry.register(name, help, family);
}

/// One value without labels.
fn single(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let gauge = Gauge::<u64, AtomicU64>::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

fn labels<const N: usize>(pairs: [(&str, &str); N]) -> Labels {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn ports(view: &View, read: &Read<'_>, registry: &mut Registry) -> Result<(), String> {
    let drops = read.ports.as_ref().map_err(Clone::clone)?;
    let shown = bounded(drops, &view.policy.rules);
    let series = |count: fn(&PortDrops) -> u64| {
        shown.iter().map(move |((direction, protocol, port), drops)| {
            let pairs =
                [("direction", direction.name()), ("protocol", protocol.as_str()), ("port", port.as_str())];
            (labels(pairs), count(drops))
        })
    };
    counter(
        registry,
        "dropped_packets",
        "Packets dropped, by destination port",
        series(|drops| drops.dropped),
    );
    let help = "Packets that enforcing would have dropped, by destination port";
    counter(registry, "would_drop_packets", help, series(|drops| drops.would_drop));
    Ok(())
}

/// The documented ports, those with the most drops, and the sum of the rest.
fn bounded(
    drops: &BTreeMap<PortKey, PortDrops>,
    rules: &[Rule],
) -> BTreeMap<(Direction, String, String), PortDrops> {
    let documented = documented(rules);
    let mut own = documented.clone();
    for direction in Direction::ALL {
        for protocol in [protocol::TCP, protocol::UDP] {
            let here = |(key, _): &(&PortKey, &PortDrops)| (key.0, key.1) == (direction, protocol);
            let mut most: Vec<_> = drops.iter().filter(here).filter(|(key, _)| !own.contains(key)).collect();
            most.sort_by_key(|(_, drops)| std::cmp::Reverse(drops.dropped + drops.would_drop));
            own.extend(most.into_iter().take(TOP).map(|(key, _)| *key));
        }
    }
    let zeros = documented.into_iter().map(|(direction, protocol, port)| {
        ((direction, protocol_name(protocol), port.to_string()), PortDrops::default())
    });
    let mut shown: BTreeMap<_, PortDrops> = zeros.collect();
    for (key, count) in drops {
        let port = if own.contains(key) { key.2.to_string() } else { "other".into() };
        let sum = shown.entry((key.0, protocol_name(key.1), port)).or_default();
        sum.dropped += count.dropped;
        sum.would_drop += count.would_drop;
    }
    shown
}

/// A wider range of ports has no series for each of them: a scan of it would make tens of thousands.
const WIDEST: usize = 16;

/// Ports that rules name, one by one or in narrow ranges.
fn documented(rules: &[Rule]) -> BTreeSet<PortKey> {
    let mut keys = BTreeSet::new();
    for rule in rules {
        let (protocol, ports) = match &rule.service {
            Service::Tcp(ports) => (protocol::TCP, ports),
            Service::Udp(ports) => (protocol::UDP, ports),
            Service::Echo | Service::Igmp | Service::Protocol(_) => continue,
        };
        let narrow = ports.destination.iter().filter(|range| range.len() <= WIDEST);
        keys.extend(narrow.cloned().flatten().map(|port| (rule.direction, protocol, port)));
    }
    keys
}

fn reasons(view: &View, registry: &mut Registry) -> Result<(), String> {
    let reasons = view.reasons().map_err(described)?;
    let series = |would: bool| {
        reasons.iter().map(move |count| {
            let pairs = [
                ("interface", count.interface.as_str()),
                ("direction", count.direction.name()),
                ("reason", count.reason.name()),
            ];
            (labels(pairs), if would { count.would_drop.packets } else { count.dropped.packets })
        })
    };
    counter(registry, "drop_reason_packets", "Packets dropped, by interface and reason", series(false));
    let help = "Packets that enforcing would have dropped, by interface and reason";
    counter(registry, "would_drop_reason_packets", help, series(true));
    Ok(())
}

fn flows(view: &View, read: &Read<'_>, registry: &mut Registry) -> Result<(), String> {
    let flows = read.flows.as_ref().map_err(Clone::clone)?;
    let of = |meta: &FlowMeta| {
        labels([("flow", &meta.flow), ("role", &meta.role), ("direction", meta.direction.name())])
    };
    let packets = flows.iter().map(|(meta, counter)| (of(meta), counter.passed.packets));
    counter(registry, "flow_packets", "Packets of a documented flow that passed", packets);
    let bytes = flows.iter().map(|(meta, counter)| (of(meta), counter.passed.bytes));
    counter(registry, "flow_bytes", "Bytes of a documented flow that passed", bytes);
    let used = flows.iter().filter(|(_, counter)| counter.passed.packets > 0);
    let seen = used.map(|(meta, counter)| {
        (of(meta), u64::try_from(view.now.time_of(counter.seen).as_second()).unwrap_or_default())
    });
    let help = "When the last packet of a documented flow passed";
    gauge(registry, "flow_last_seen_timestamp_seconds", help, seen);
    Ok(())
}

fn enforcement(read: &Read<'_>, registry: &mut Registry) -> Result<(), String> {
    let standings = read.standings.as_ref().map_err(Clone::clone)?;
    let series = standings.iter().flat_map(|(interface, direction, standing)| {
        Standing::WORDS.into_iter().map(move |word| {
            let pairs = [("interface", interface.as_str()), ("direction", direction.name()), ("state", word)];
            (labels(pairs), u64::from(word == standing.word()))
        })
    });
    gauge(registry, "enforcement", "1 for the state of an interface and direction", series);
    Ok(())
}

fn state(view: &View, registry: &mut Registry) -> Result<(), String> {
    let established = view.established().map_err(described)?;
    let embryonic = view.embryonic().map_err(described)?;
    let tables = [("established", established), ("embryonic", embryonic)];
    let entries = tables.map(|(table, (entries, _))| (labels([("table", table)]), entries));
    let capacity = tables.map(|(table, (_, capacity))| (labels([("table", table)]), capacity));
    gauge(registry, "state_entries", "Live entries of a state table", entries);
    gauge(registry, "state_capacity", "Entries that a state table has room for", capacity);
    let happened = view.counters.happenings().map_err(described)?;
    let series = [
        (labels([("event", "established-full")]), happened.established_full),
        (labels([("event", "embryonic-pushed-out")]), happened.embryonic_pushed_out),
        (labels([("event", "talker-pushed-out")]), happened.talkers_pushed_out),
        (labels([("event", "learned-pushed-out")]), happened.learned_pushed_out),
    ];
    counter(registry, "state_events", "Things that happened to the kernel's tables", series);
    Ok(())
}

fn names(view: &View, registry: &mut Registry) -> Result<(), String> {
    let names = Names::open(&view.instance.pins).map_err(described)?;
    let learned = names.learned().map_err(described)?;
    let of = |name: &String| {
        let id = NameId::of(name).word();
        let known = learned.iter().filter(|known| known.id == id && known.until >= view.now.ticks).count();
        (labels([("name", name)]), known as u64)
    };
    let series = view.image.names.iter().map(of);
    gauge(registry, "name_addresses", "Addresses that are known of a domain name of the policy", series);
    let answers = names.answers().map_err(described)?;
    let series = answers.iter().map(|(outcome, count)| (labels([("outcome", outcome.name())]), *count));
    counter(registry, "resolver_messages", "Messages to and from resolvers, by what came of them", series);
    Ok(())
}

fn drifts(view: &View, read: Read<'_>, registry: &mut Registry) -> Result<(), String> {
    let findings = drift::findings(view, &read.seen(view)?);
    let count = |kind: Kind| findings.iter().filter(|finding| finding.kind == kind).count() as u64;
    let series = Kind::ALL.into_iter().map(|kind| (labels([("kind", kind.name())]), count(kind)));
    gauge(registry, "drift_findings", "Where network, documents and kernel disagree", series);
    Ok(())
}

fn policy(view: &View, registry: &mut Registry) {
    let generation = u64::from(view.posture.generation());
    single(registry, "policy_generation", "The generation in force", generation);
    let pending = u64::from(view.pending().is_some());
    single(registry, "policy_pending", "1 while a change waits for its confirmation", pending);
    let digest = [(labels([("digest", &view.digest())]), 1)];
    gauge(registry, "policy_info", "The policy in force", digest);
}

fn observed(view: &View, registry: &mut Registry) {
    let of = |direction: Direction| view.observed(direction).into_iter().map(move |role| (role, direction));
    let roles = Direction::ALL.into_iter().flat_map(of);
    let series = roles.map(|(role, way)| (labels([("role", role), ("direction", way.name())]), 1));
    gauge(
        registry,
        "role_observed",
        "1 for a role that is only observed though its direction is enforced",
        series,
    );
}

fn faults(guard: &Guard, registry: &mut Registry) {
    let of = |fault: Fault| labels([("kind", fault.name())]);
    let repaired =
        Fault::ALL.into_iter().map(|fault| (of(fault), guard.repaired.get(&fault).copied().unwrap_or(0)));
    counter(registry, "faults_repaired", "Faults that the daemon has put right since it started", repaired);
    let stand = |fault: Fault| guard.standing.iter().filter(|(kind, _)| *kind == fault).count() as u64;
    let standing = Fault::ALL.into_iter().map(|fault| (of(fault), stand(fault)));
    gauge(registry, "faults", "Faults that stand, since they can't or may not be put right", standing);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_series_of_its_own_is_in_other() {
        let key = |port| (Direction::Ingress, 6, port);
        let drops: BTreeMap<_, _> = (1..=200)
            .map(|port| (key(port), PortDrops { dropped: u64::from(port), would_drop: 1 }))
            .collect();
        let shown = bounded(&drops, &[]);
        assert_eq!(shown.len(), TOP + 1);
        let other = shown[&(Direction::Ingress, "tcp".to_owned(), "other".to_owned())];
        assert_eq!(other, PortDrops { dropped: (1..=150).sum::<u64>(), would_drop: 150 });
        assert_eq!(shown.values().map(|drops| drops.dropped).sum::<u64>(), (1..=200).sum::<u64>());
    }
}

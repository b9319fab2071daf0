//! The compiled policy: exactly what the kernel's maps hold of one generation.

mod service;

mod clauses;
mod observed;

mod expand;
mod names;
mod peers;
mod table;

mod places;
mod settings;
mod slots;

pub mod simulation;

use std::net::IpAddr;

use foldhash::{HashMap, HashMapExt as _};
use ipnet::IpNet;
use portreeve_common::{
    Direction, Service,
    class::{Class, MAX_CLASSES, MAX_LENGTHS, MAX_PEERS, MAX_RULES, MAX_SHARED, PeerBucket, Peering, RuleId},
    clause::{ANY_INTERFACE, Clause, Interfaces, MAX_ALTERNATIVES, MAX_CLAUSES},
    counter::MAX_INTERFACES,
    settings::{MAX_CONTROL_PORTS, MAX_ETHERTYPES, MAX_RESOLVERS, Settings},
};

pub use self::names::NamesError;
pub(crate) use self::service::{closed, is_meant, known_addresses};
use self::{
    clauses::{Clauses, Manner, by_manner},
    names::{Named, Names},
    observed::{Observed, Slotted},
    peers::Sets,
    service::{Known, Needs},
};
pub use self::{
    places::{InterfaceSlots, Slots},
    slots::FlowSlots,
};
use crate::policy::{
    Policy,
    rule::{Kind, Local, Need, Origin, Peers, Rule},
};

/// One generation's tables, in plain vectors.
#[derive(Clone, Debug)]
pub struct Image {
    /// A word a service, by [`Service::slot`].
    pub classes: Vec<u16>,
    /// By class number; the first is no class.
    pub peerings: Vec<Peering>,
    /// The peer table, all of its buckets.
    pub peers: Vec<PeerBucket>,
    /// Rules of the numbered classes, one class after the other.
    pub shared: Vec<RuleId>,
    /// What rules look at besides the peer, one service after the other.
    pub clauses: Vec<Clause>,
    /// Limits in ticks; nothing is adopted yet.
    pub settings: Settings,
    /// What the slots of the flows' counters count; ascending by slot.
    pub flows: Vec<FlowMeta>,
    /// Flows with names of which no address is known, and none can be learned.
    pub deferred: Vec<Deferred>,
    /// Names and wildcards whose addresses are learned.
    pub names: Vec<String>,
}

/// What a slot of the flows' counters counts.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FlowMeta {
    /// The slot.
    pub slot: RuleId,
    /// The flow's stable id.
    pub flow: String,
    /// Ids of further rows that state the same packets.
    pub aliases: Vec<String>,
    /// The role that brought it, or `site`.
    pub role: String,
    /// Who sends its first packet.
    #[serde(serialize_with = "direction_name")]
    pub direction: Direction,
    /// How it is related to its document.
    pub kind: Kind,
    /// How much it is needed.
    pub need: Need,
    /// Whether the product doesn't work without it.
    pub required: bool,
    /// Where it is written.
    pub origin: Origin,
}

/// Something that the policy allows and nobody knows the address of: it stays closed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Deferred {
    /// The flow's stable id.
    pub flow: String,
    /// Why.
    pub why: String,
}

impl Deferred {
    /// All that a policy has of them, in the order of its rules.
    #[must_use]
    pub fn of(policy: &Policy) -> Vec<Self> {
        let closed = |rule: &Rule| Some(Self { flow: rule.flow.clone(), why: closed(rule, policy)? });
        policy.rules.iter().filter_map(closed).collect()
    }
}

impl std::fmt::Display for Deferred {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { flow, why } = self;
        write!(f, "{flow}: {why}")
    }
}

/// Why a policy doesn't fit the tables.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// More flows than counters.
    #[error("the policy has {flows} flows, more than the {MAX_RULES} that can be counted")]
    Flows {
        /// How many.
        flows: usize,
    },
    /// More different sets of rules than class numbers.
    #[error("the policy needs more than {} classes of services", MAX_CLASSES - 1)]
    Classes,
    /// More rules on shared services than the list holds.
    #[error("more than {MAX_SHARED} rules share their services with others")]
    Shared,
    /// More ways to use one service than a look-up tries.
    #[error(
        "the rules of one service name {manners} groups, source ports or interfaces, more than {MAX_ALTERNATIVES}"
    )]
    Alternatives {
        /// How many.
        manners: usize,
    },
    /// More of them than the list holds.
    #[error("the policy's groups, source ports and interfaces make more than {MAX_CLAUSES} clauses")]
    Clauses,
    /// More control ports than the settings hold.
    #[error("data connections depend on {ports} control ports, more than {MAX_CONTROL_PORTS}")]
    ControlPorts {
        /// How many.
        ports: usize,
    },
    /// Two names with one number; or more than the table holds.
    #[error(transparent)]
    Names(#[from] NamesError),
    /// More flows to resolvers than the settings hold.
    #[error("the policy has {flows} flows to resolvers, more than {MAX_RESOLVERS}")]
    Resolvers {
        /// How many.
        flows: usize,
    },
    /// More prefixes than the peer table holds.
    #[error("the policy's peers make more than {MAX_PEERS} prefixes")]
    Peers,
    /// More prefix lengths among the peers of one service than a look-up tries, and too far apart to be split.
    #[error(
        "the peers of one service have {lengths} prefix lengths: more than {MAX_LENGTHS}, and too far apart to split"
    )]
    Lengths {
        /// How many, of one family.
        lengths: usize,
    },
    /// The peer table has no place for them with any seed.
    #[error("the policy's {peers} prefixes do not fit the peer table")]
    Unplaced {
        /// How many.
        peers: usize,
    },
    /// More than have places in the counters.
    #[error("more than {MAX_INTERFACES} interfaces were covered or are named")]
    Interfaces,
    /// A longer list than the settings hold.
    #[error("`ethertypes` lists {listed}, more than {MAX_ETHERTYPES}")]
    EtherTypes {
        /// How many.
        listed: usize,
    },
}

impl ImageError {
    /// What to do about it.
    #[must_use]
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::Flows { .. } | Self::Classes | Self::Shared => {
                "put the ports and peers of one purpose into one [[allow]]"
            }
            Self::Alternatives { .. } | Self::Clauses => {
                "bind fewer flows of one port to groups, source ports or interfaces"
            }
            Self::ControlPorts { .. } => "have fewer data flows with a control port of their own",
            Self::Names(_) => "write a wildcard in place of names below it, or addresses under [names]",
            Self::Resolvers { .. } => "list the resolvers of several flows in one",
            Self::Peers | Self::Lengths { .. } | Self::Unplaced { .. } => {
                "the kernel's tables have a fixed size: allow networks instead of single addresses"
            }
            Self::Interfaces => "name fewer interfaces, or forget old ones with `portreeve detach`",
            Self::EtherTypes { .. } => "list fewer, or write \"any\"",
        }
    }
}

impl Image {
    /// Lays a policy out. `protected`: the host's own addresses, each with the prefix length of its interface;
    /// `slots`: kept from one compilation to the next.
    ///
    /// # Errors
    /// The policy has more of something than the tables hold.
    pub fn compile(
        policy: &Policy,
        protected: &[IpNet],
        slots: &mut Slots,
        ticks_per_second: u64,
    ) -> Result<Self, ImageError> {
        let observed = Observed::of(policy);
        let named = policy.rules.iter().map(|rule| rule.flow.as_str());
        let mut ids =
            slots.flows.assign(named.chain(observed.flows.iter().map(|(_, flow)| flow.as_str())))?;
        let observed_ids = ids.split_off(policy.rules.len());
        let needs = Needs::gather(&policy.rules, &policy.host.names);
        let deferred = Deferred::of(policy);
        let sets = Sets::new(protected, groups(&policy.rules));
        let names = Names::of(policy)?;
        let bound: Result<Vec<Interfaces>, _> =
            policy.rules.iter().map(|rule| slots.interfaces.set(&rule.interfaces)).collect();
        let mut classes = Classes {
            ids: &ids,
            bound: &bound?,
            needs: &needs,
            names: &names,
            observed: Slotted { observed: &observed, ids: &observed_ids },
            sets,
            clauses: Clauses::default(),
            known: HashMap::new(),
        };
        let mut words = vec![0; Service::SLOTS as usize];
        for (services, rules) in needs.services() {
            let word = classes.class(services.first.protocol, rules)?.word();
            if let Some(words) = words.get_mut(services.slots()) {
                words.fill(word);
            }
        }
        let clauses = classes.clauses.all;
        let Sets { peerings, peers, shared, .. } = classes.sets;
        let (seed, peers) = table::place(&peers)?;
        let settings = settings::of(policy, &ids, seed, ticks_per_second)?;
        let mut flows = flows(&policy.rules, &ids);
        flows.extend(observed.meta(&observed_ids));
        flows.sort_by_key(|flow| flow.slot);
        let names = names.all;
        Ok(Self { classes: words, peerings, peers, shared, clauses, settings, flows, deferred, names })
    }

    /// The flow that a slot counts.
    #[must_use]
    pub fn flow(&self, slot: RuleId) -> Option<&FlowMeta> {
        let at = self.flows.binary_search_by_key(&slot, |flow| flow.slot).ok()?;
        self.flows.get(at)
    }
}

/// Numbers for the rules that share a service; the same rules get the same number.
struct Classes<'a> {
    ids: &'a [RuleId],
    /// The interfaces of each rule.
    bound: &'a [Interfaces],
    needs: &'a Needs<'a>,
    names: &'a Names,
    observed: Slotted<'a>,
    sets: Sets,
    clauses: Clauses,
    /// By family and positions of the rules.
    known: HashMap<(Families, Vec<usize>), Class>,
}

/// Which peers a service can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Families {
    V4,
    V6,
    Both,
}

impl Families {
    const fn of(protocol: u8) -> Self {
        match protocol {
            portreeve_common::number::protocol::ICMP | portreeve_common::number::protocol::IGMP => Self::V4,
            portreeve_common::number::protocol::ICMPV6 => Self::V6,
            _ => Self::Both,
        }
    }

    const fn has(self, net: &IpNet) -> bool {
        match (self, net) {
            (Self::Both, _) | (Self::V4, IpNet::V4(_)) | (Self::V6, IpNet::V6(_)) => true,
            (Self::V4, IpNet::V6(_)) | (Self::V6, IpNet::V4(_)) => false,
        }
    }
}

impl Classes<'_> {
    fn class(&mut self, protocol: u8, rules: Vec<usize>) -> Result<Class, ImageError> {
        let key = (Families::of(protocol), rules);
        if let Some(class) = self.known.get(&key) {
            return Ok(*class);
        }
        let class = self.by_manners(key.0, &key.1)?;
        self.known.insert(key, class);
        Ok(class)
    }

    fn by_manners(&mut self, families: Families, rules: &[usize]) -> Result<Class, ImageError> {
        let (needs, bound) = (self.needs, self.bound);
        let with_manner = |at: &usize| {
            let (rule, interfaces) = (needs.rule(*at)?, bound.get(*at).copied().unwrap_or(ANY_INTERFACE));
            Some((*at, rule, Manner::of(rule, interfaces)))
        };
        let all = rules.iter().filter_map(with_manner);
        let mut manners = Vec::new();
        for (manner, rules) in by_manner(all.clone().map(|(at, _, manner)| (at, manner))) {
            let class = self.by_peers(families, &rules)?;
            if class != Class::NONE {
                manners.push((manner, class));
            }
        }
        let open = self.observed.tails(all.map(|(_, rule, manner)| (rule, manner)), &manners);
        match (manners.as_slice(), open.as_slice()) {
            ([], []) => Ok(Class::NONE),
            ([(manner, class)], []) if manner.is_plain() => Ok(*class),
            (manners, _) => {
                let clauses = manners.iter().map(|(manner, class)| manner.clause(*class));
                self.clauses.class(clauses.chain(open).collect())
            }
        }
    }

    fn by_peers(&mut self, families: Families, rules: &[usize]) -> Result<Class, ImageError> {
        let with_ids = || rules.iter().filter_map(|at| Some((*self.ids.get(*at)?, self.needs.rule(*at)?)));
        if let Some((id, _)) = with_ids().find(|(_, rule)| is_for_anybody(rule)) {
            return Ok(Class::anybody(id));
        }
        let mut members: Vec<RuleId> = Vec::new();
        let (mut prefixes, mut below) = (Vec::new(), Vec::new());
        let mut named = Named::default();
        for (at, (id, _)) in rules.iter().zip(with_ids()) {
            let Some(Known { exact, below: names_below, learned }) = self.needs.peers(*at) else { continue };
            let of_family = |nets: &[IpNet]| nets.iter().filter(|net| families.has(net)).copied().collect();
            let (exact, names_below): (Vec<IpNet>, Vec<IpNet>) = (of_family(exact), of_family(names_below));
            // A rule whose peers are all of the other family says nothing of this service.
            if exact.is_empty() && names_below.is_empty() && learned.is_empty() {
                continue;
            }
            let member = members.iter().position(|known| *known == id).unwrap_or(members.len());
            if member == members.len() {
                members.push(id);
            }
            let member = u16::try_from(member).map_err(|_too_many| ImageError::Shared)?;
            prefixes.extend(exact.into_iter().map(|net| (net, member)));
            below.extend(names_below.into_iter().map(|net| (net, member)));
            named.add(learned, member);
        }
        // Of equal prefixes the first one holds: an address counts for its own name before one above it.
        prefixes.extend(below);
        if members.is_empty() {
            return Ok(Class::NONE);
        }
        self.sets.class(prefixes, self.names.members(&named), members)
    }
}

/// Whether the peer is not looked at. What this host sends to many reaches whoever listens.
fn is_for_anybody(rule: &Rule) -> bool {
    rule.peers == Peers::Any || rule.direction == Direction::Egress && rule.local != Local::Own
}

/// The groups that rules name.
fn groups(rules: &[Rule]) -> impl Iterator<Item = IpAddr> {
    rules.iter().filter_map(|rule| match rule.local {
        Local::Group(group) => Some(group),
        Local::Own | Local::Broadcast => None,
    })
}

fn flows(rules: &[Rule], ids: &[RuleId]) -> Vec<FlowMeta> {
    let mut flows: Vec<FlowMeta> =
        ids.iter().zip(rules).map(|(slot, rule)| FlowMeta::new(*slot, rule)).collect();
    flows.sort_by_key(|flow| flow.slot);
    flows.dedup_by(|later, first| {
        let same = later.slot == first.slot;
        if same {
            let mut new = std::mem::take(&mut later.aliases);
            new.retain(|alias| !first.aliases.contains(alias));
            first.aliases.extend(new);
        }
        same
    });
    flows
}

impl FlowMeta {
    fn new(slot: RuleId, rule: &Rule) -> Self {
        Self {
            slot,
            flow: rule.flow.clone(),
            aliases: rule.aliases.clone(),
            role: rule.role.clone(),
            direction: rule.direction,
            kind: rule.origin.kind,
            need: rule.origin.need,
            required: rule.origin.need == Need::Required,
            origin: rule.origin.clone(),
        }
    }
}

fn direction_name<S: serde::Serializer>(direction: &Direction, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(direction.name())
}

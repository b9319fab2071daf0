//! One resolved rule: what may begin a flow, and which row of which document says so.

use std::{collections::BTreeMap, fmt, net::IpAddr, ops::RangeInclusive};

use ipnet::IpNet;
use portreeve_common::{Direction, dns::PORT as DNS};

use super::address::show;

/// A flow that the policy allows, after options, conditions and peers have been resolved.
///
/// Everything in it is valid: ranges are not empty, prefixes are masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stable id, e.g. `SIE-IED-03`; counters go by it.
    pub flow: String,
    /// Ids of further rows that state the same packets; they count as `flow` does.
    pub aliases: Vec<String>,
    /// The role that brought it, or `site` for an `[[allow]]` of the host file.
    pub role: String,
    /// As seen from this host: who sends the first packet.
    pub direction: Direction,
    /// What a packet must look like.
    pub service: Service,
    /// The local end that the first packet names.
    pub local: Local,
    /// The remote end.
    pub peers: Peers,
    /// By which interfaces a flow may begin; empty: any.
    pub interfaces: Vec<String>,
    /// For data connections: the flow between the same two hosts that must live (active FTP).
    pub control_port: Option<u16>,
    /// Where it is written.
    pub origin: Origin,
    /// Why it is on, for `rules`: the condition that held, or the option that turned it on.
    pub why: String,
}

/// Protocol and numbers of a flow's first packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Service {
    /// TCP to these destination ports.
    Tcp(Ports),
    /// UDP to these destination ports.
    Udp(Ports),
    /// ICMP echo request to IPv4 peers, ICMPv6 echo request to IPv6 peers, and the replies.
    Echo,
    /// IGMP reports (egress) or queries (ingress).
    Igmp,
    /// Another IP protocol, by number.
    Protocol(u8),
}

/// Destination ports, and the source port where the document states one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports {
    /// At least one range; ascending, without overlap.
    pub destination: Vec<RangeInclusive<u16>>,
    /// `None`: any.
    pub source: Option<u16>,
}

/// Which of the host's addresses a first packet goes to or comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Local {
    /// The host's own unicast addresses.
    Own,
    /// Sent to a multicast group.
    Group(IpAddr),
    /// Sent to 255.255.255.255 or to the directed broadcast address of an interface.
    Broadcast,
}

/// The remote end of a flow: the union of what is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peers {
    /// Anyone.
    Any,
    /// Prefixes and names; both lists may not be empty at once.
    Listed {
        /// Masked prefixes, IPv4 and IPv6.
        prefixes: Vec<IpNet>,
        /// Lower-case names without a final dot, exact or `*.name`.
        names: Vec<String>,
    },
}

/// Where a rule comes from, in the words of `rules` and `explain`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Origin {
    /// The pack, or `site`.
    pub pack: String,
    /// Vendor and title of the document; for a site rule its reason.
    pub document: String,
    /// Table, note or section and the row in it; for a site rule its position in the host file.
    pub row: String,
    /// What the flow is for.
    pub purpose: String,
    /// Documented by the vendor, the other end of a documented flow, implied by one, or the site's own.
    pub kind: Kind,
    /// Whether an idle flow is drift.
    pub need: Need,
}

/// How a flow is related to its document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The vendor states it.
    Documented,
    /// The other end of a documented flow.
    Mirror,
    /// Follows from a documented flow though no row states it (DNS over TCP beside DNS over UDP).
    Implied,
    /// An `[[allow]]` of the host file.
    Site,
}

/// How much a flow is needed, as the document puts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// The product doesn't work without it.
    Required,
    /// A feature needs it.
    Optional,
    /// Only for finding faults.
    Debug,
    /// Only within the product's own network.
    Internal,
}

impl Peers {
    /// Names whose addresses are learned: all but those that the host file gives addresses.
    pub fn learned_names(&self, known: &BTreeMap<String, Vec<IpAddr>>) -> impl Iterator<Item = &str> {
        let names: &[String] = match self {
            Self::Any => &[],
            Self::Listed { prefixes: _, names } => names,
        };
        names.iter().map(String::as_str).filter(|name| !known.contains_key(*name))
    }
}

impl Need {
    /// The word of outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Optional => "optional",
            Self::Debug => "debug",
            Self::Internal => "internal",
        }
    }
}

impl Rule {
    /// Whether its flows go to resolvers whose answers are believed: those that are listed by address, and nobody else. Where
    /// anybody may be asked, or whoever is in a network or has a name, those could open any name to themselves.
    #[must_use]
    pub fn asks_resolvers(&self) -> bool {
        let to_resolvers = self.service.ports().is_some_and(|ports| ports.destination == [DNS..=DNS]);
        let chosen = match &self.peers {
            Peers::Any => false,
            Peers::Listed { prefixes, names } => {
                let is_host = |net: &IpNet| net.prefix_len() == net.max_prefix_len();
                !prefixes.is_empty() && prefixes.iter().all(is_host) && names.is_empty()
            }
        };
        self.direction == Direction::Egress && self.local == Local::Own && to_resolvers && chosen
    }

    /// What its packets look like, but for the peers: `udp 8000 to broadcast on enp3s0`.
    #[must_use]
    pub fn what(&self) -> String {
        let to = match self.local {
            Local::Own => String::new(),
            Local::Group(_) | Local::Broadcast => format!(" to {}", self.local),
        };
        let control = self.control_port.map_or_else(String::new, |port| format!(" beside {port}"));
        let on = match self.interfaces.as_slice() {
            [] => String::new(),
            names => format!(" on {}", names.join(", ")),
        };
        format!("{}{to}{control}{on}", self.service)
    }

    /// Whether another rule is about exactly the same packets.
    #[must_use]
    pub fn same_packets(&self, other: &Self) -> bool {
        self.direction == other.direction
            && self.service == other.service
            && self.local == other.local
            && self.peers == other.peers
            && self.interfaces == other.interfaces
            && self.control_port == other.control_port
    }
}

impl Service {
    /// The word for the protocol: tcp, udp, icmp, igmp, or its number.
    #[must_use]
    pub fn protocol(&self) -> String {
        match self {
            Self::Tcp(_) => "tcp".into(),
            Self::Udp(_) => "udp".into(),
            Self::Echo => "icmp".into(),
            Self::Igmp => "igmp".into(),
            Self::Protocol(number) => number.to_string(),
        }
    }

    /// The ports, where the protocol has some.
    #[must_use]
    pub const fn ports(&self) -> Option<&Ports> {
        match self {
            Self::Tcp(ports) | Self::Udp(ports) => Some(ports),
            Self::Echo | Self::Igmp | Self::Protocol(_) => None,
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(ports) => write!(f, "tcp {ports}"),
            Self::Udp(ports) => write!(f, "udp {ports}"),
            Self::Echo => f.write_str("icmp echo"),
            Self::Igmp => f.write_str("igmp"),
            Self::Protocol(number) => write!(f, "protocol {number}"),
        }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |range: &RangeInclusive<u16>| {
            if range.start() == range.end() {
                range.start().to_string()
            } else {
                format!("{}-{}", range.start(), range.end())
            }
        };
        f.write_str(&self.destination.iter().map(shown).collect::<Vec<_>>().join(", "))?;
        self.source.map_or(Ok(()), |source| write!(f, " from port {source}"))
    }
}

impl fmt::Display for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Listed { prefixes, names } => {
                let all = prefixes.iter().map(show).chain(names.iter().cloned());
                f.write_str(&all.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("own"),
            Self::Group(group) => write!(f, "{group}"),
            Self::Broadcast => f.write_str("broadcast"),
        }
    }
}

//! One row of a document: which packets it asks for, from whom, and when.

use std::{fmt, net::IpAddr};

use ipnet::IpNet;
use portreeve_common::Direction;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::condition::Condition;
use crate::policy::{
    address::Remote,
    ports::{self, PortSet},
    rule::{Kind, Need},
};

/// A flow as the document states it, before options and peers are known.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// Stable: counters and reports go by it.
    pub id: String,
    /// The role whose flow it is.
    pub role: String,
    /// Row of the document, as the fact list counts it.
    pub row: String,
    /// Table, note or section that the row stands in.
    #[serde(default)]
    pub table: String,
    /// As seen from the role.
    #[serde(deserialize_with = "direction")]
    pub direction: Direction,
    /// TCP, UDP, echo or IGMP.
    pub protocol: Protocol,
    /// Destination ports.
    #[serde(default)]
    pub ports: PortSet,
    /// An option that replaces `ports`; its default is what `ports` says.
    #[serde(default)]
    pub port_option: Option<String>,
    /// The source port, where the document states one.
    #[serde(default)]
    pub source_port: Option<u16>,
    /// Server port of the flow between the same two hosts that has to live (active FTP).
    #[serde(default)]
    pub control_port: Option<u16>,
    /// What the first packet is addressed to.
    #[serde(default = "own")]
    pub to: Vec<To>,
    /// The remote ends: all that are set.
    pub peers: Vec<PeerRef>,
    /// Other remote ends under a condition; the first that holds wins.
    #[serde(default)]
    pub instead: Vec<Instead>,
    /// The network of the role by whose interfaces it begins, where the host file binds that network.
    #[serde(default)]
    pub network: Option<String>,
    /// When it is on.
    #[serde(default)]
    pub when: Condition,
    /// What it is for.
    pub purpose: String,
    /// Stated by the document, or derived.
    #[serde(default = "documented")]
    pub kind: Kind,
    /// Whether an idle flow is drift.
    #[serde(default = "required")]
    pub need: Need,
    /// The flow that this row repeats: where both are on with the same peers, one rule carries both ids.
    #[serde(default)]
    pub alias_of: Option<String>,
}

/// Remote ends under a condition.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instead {
    /// On the role's options.
    pub when: Condition,
    /// In place of the flow's.
    pub peers: Vec<PeerRef>,
}

/// What a flow's first packet is carried by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// With destination ports.
    Tcp,
    /// With destination ports.
    Udp,
    /// Echo request, of ICMP or ICMPv6 as the peer has it.
    Icmp,
    /// Reports and leaves (egress), queries (ingress).
    Igmp,
}

/// What a first packet is addressed to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum To {
    /// A host's unicast address.
    Own,
    /// 255.255.255.255 and the interface's directed broadcast address.
    Broadcast,
    /// A multicast group.
    Group(IpAddr),
    /// The multicast group in this option.
    GroupOption(String),
}

/// One remote end of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum PeerRef {
    /// Anyone.
    Any,
    /// A peer of the role, which the host file fills in.
    Peer(String),
    /// The role's machines with this controller.
    Controller(String),
    /// A constant of the document.
    Net(IpNet),
    /// A name of the document, or a wildcard.
    Name(String),
}

impl TryFrom<String> for PeerRef {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "any" {
            return Ok(Self::Any);
        }
        if let Some(controller) = text.strip_prefix("controller:") {
            return Ok(Self::Controller(controller.into()));
        }
        if !text.contains(['.', ':', '/']) {
            return Ok(Self::Peer(text));
        }
        match text.parse::<Remote>().map_err(|error| error.to_string())? {
            Remote::Net(net) => Ok(Self::Net(net)),
            Remote::Name(name) => Ok(Self::Name(name)),
        }
    }
}

impl TryFrom<String> for To {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "own" => Ok(Self::Own),
            "broadcast" => Ok(Self::Broadcast),
            other => match other.parse::<IpAddr>() {
                Ok(group) if group.is_multicast() => Ok(Self::Group(group)),
                Ok(address) => Err(format!("{address} is not a multicast group")),
                Err(_an_option) => Ok(Self::GroupOption(text)),
            },
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::Igmp => "igmp",
        })
    }
}

impl fmt::Display for To {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("own"),
            Self::Broadcast => f.write_str("broadcast"),
            Self::Group(group) => write!(f, "{group}"),
            Self::GroupOption(option) => f.write_str(option),
        }
    }
}

pub(super) fn direction<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Direction, D::Error> {
    let word = String::deserialize(deserializer)?;
    let known = Direction::ALL.into_iter().find(|direction| direction.name() == word);
    known.ok_or_else(|| de::Error::custom(format!("`{word}` is not a direction: write ingress or egress")))
}

impl<'de> Deserialize<'de> for PortSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Item {
            Number(i64),
            Range(String),
        }
        let items = Vec::<Item>::deserialize(deserializer)?;
        let range = |item| match item {
            Item::Number(number) => ports::port(number).map(|port| port..=port),
            Item::Range(text) => ports::range(&text),
        };
        items.into_iter().map(range).collect::<Result<_, _>>().map(Self::new).map_err(de::Error::custom)
    }
}

fn own() -> Vec<To> {
    vec![To::Own]
}

const fn documented() -> Kind {
    Kind::Documented
}

const fn required() -> Need {
    Need::Required
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_end_is_known_by_its_form() {
        let read = |text: &str| PeerRef::try_from(text.to_owned());
        assert_eq!(read("any"), Ok(PeerRef::Any));
        assert_eq!(read("dns_servers"), Ok(PeerRef::Peer("dns_servers".into())));
        assert_eq!(read("8.8.8.8"), Ok(PeerRef::Net("8.8.8.8/32".parse().unwrap())));
        assert_eq!(read("*.example.com"), Ok(PeerRef::Name("*.example.com".into())));
        assert_eq!(
            read("controller:Modbus TCP / SeaLevel"),
            Ok(PeerRef::Controller("Modbus TCP / SeaLevel".into()))
        );
        assert!(read("8.8.8.8.8").is_err());
    }

    #[test]
    fn a_destination_is_known_by_its_form() {
        let read = |text: &str| To::try_from(text.to_owned());
        assert_eq!(read("mcast_group"), Ok(To::GroupOption("mcast_group".into())));
        assert_eq!(read("224.0.0.1"), Ok(To::Group("224.0.0.1".parse().unwrap())));
        assert!(read("192.0.2.1").is_err());
    }
}

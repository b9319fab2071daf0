//! The words of a case: protocols and directions.

use portreeve_common::Direction;
use serde::{Deserialize, Deserializer, de::Error};

/// What a packet is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Protocol {
    /// IP protocol 6.
    Tcp,
    /// IP protocol 17.
    Udp,
    /// IP protocol 1.
    Icmp,
    /// IP protocol 58.
    Icmpv6,
    /// IP protocol 2.
    Igmp,
    /// No IP, but address resolution.
    Arp,
    /// No IP: what the EtherType says.
    L2,
    /// Any other IP protocol: `gre`, `sctp` or `ip-proto-N`.
    Number(u8),
}

impl TryFrom<String> for Protocol {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        Ok(match word.as_str() {
            "tcp" => Self::Tcp,
            "udp" => Self::Udp,
            "icmp" => Self::Icmp,
            "icmpv6" => Self::Icmpv6,
            "igmp" => Self::Igmp,
            "arp" => Self::Arp,
            "l2" => Self::L2,
            "gre" => Self::Number(47),
            "sctp" => Self::Number(132),
            _ => {
                let number = word.strip_prefix("ip-proto-").and_then(|number| number.parse().ok());
                Self::Number(number.ok_or_else(|| format!("`{word}` is not a protocol"))?)
            }
        })
    }
}

/// `ingress` or `egress`.
pub(super) fn direction<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Direction, D::Error> {
    let word = String::deserialize(deserializer)?;
    let known = Direction::ALL.into_iter().find(|direction| direction.name() == word);
    known.ok_or_else(|| D::Error::custom(format!("`{word}` is not a direction")))
}

/// The way back.
pub(super) fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::Ingress => Direction::Egress,
        Direction::Egress => Direction::Ingress,
    }
}

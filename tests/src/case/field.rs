//! The values of a packet's fields, as the cases spell them.

use std::net::IpAddr;

use serde::Deserialize;

use crate::frame::Mac;

/// Where a frame comes from or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Place {
    /// Of packets and ARP.
    Ip(IpAddr),
    /// Of frames without IP.
    Mac(Mac),
}

/// An IPv4 option by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IpOption {
    /// RFC 2113.
    RouterAlert,
}

/// An IPv6 extension header by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExtensionName {
    /// In front of MLD it holds a Router Alert.
    HopByHop,
    /// Type 0, no segments left.
    Routing,
    /// An atomic fragment.
    Fragment,
    /// Of IPsec.
    Authentication,
    /// Destination options.
    Destination,
    /// Of mobile IPv6.
    Mobility,
}

/// An EtherType in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct EtherType(pub u16);

/// What is wrong with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Malformed {
    /// `ihl=N`: the IPv4 header claims N words.
    Ihl(u8),
    /// `l4-truncated`: the packet ends within its transport header, behind the ports.
    TransportTruncated,
}

impl TryFrom<String> for Place {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Ip(address));
        }
        let bytes: Result<Vec<_>, _> = text.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect();
        let mac = bytes.ok().and_then(|bytes| Mac::try_from(bytes).ok());
        mac.map(Self::Mac).ok_or_else(|| format!("`{text}` is neither an IP nor a hardware address"))
    }
}

impl TryFrom<String> for EtherType {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number = text.strip_prefix("0x").and_then(|digits| u16::from_str_radix(digits, 16).ok());
        number.map(Self).ok_or_else(|| format!("`{text}` is not an EtherType in hexadecimal"))
    }
}

impl TryFrom<String> for Malformed {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "l4-truncated" {
            return Ok(Self::TransportTruncated);
        }
        let words = text.strip_prefix("ihl=").and_then(|words| words.parse().ok());
        words.map(Self::Ihl).ok_or_else(|| format!("`{text}` is not a known way to be malformed"))
    }
}

//! Control messages of a case, and the packets that they quote.

use std::net::IpAddr;

use serde::Deserialize;

use super::{ECHO_ID, Protocol};
use crate::frame::{Frame, frame};

/// An ICMP or ICMPv6 message.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Icmp {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: u8,
    /// Its code.
    pub code: u8,
    /// The packet that it quotes.
    #[serde(default)]
    pub embedded: Option<Embedded>,
}

/// A quoted packet.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embedded {
    /// What it is of.
    pub proto: Protocol,
    /// Who sent it.
    pub src: IpAddr,
    /// From which port.
    #[serde(default)]
    pub sport: Option<u16>,
    /// To whom.
    pub dst: IpAddr,
    /// To which port.
    #[serde(default)]
    pub dport: Option<u16>,
}

/// An IGMP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Igmp {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: u8,
}

impl Embedded {
    /// The packet before it is bytes.
    pub(super) fn frame(&self) -> Frame {
        let ends = frame().from((self.src, self.sport.unwrap_or(0))).to((self.dst, self.dport.unwrap_or(0)));
        match self.proto {
            Protocol::Tcp => ends.tcp("A"),
            Protocol::Icmp => ends.icmp(8, 0).echo(ECHO_ID, 1),
            Protocol::Icmpv6 => ends.icmpv6(128, 0).echo(ECHO_ID, 1),
            Protocol::Number(number) => ends.protocol(number).payload([0; 24]),
            Protocol::Udp | Protocol::Igmp | Protocol::Arp | Protocol::L2 => ends.udp(),
        }
    }
}

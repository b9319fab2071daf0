//! Frames as expressions: `frame().vlan(5).from("198.51.100.7:40000").to("192.0.2.10:443").tcp("S").bytes()`.

mod body;
mod end;
mod extension;
mod flaws;
mod link;
mod network;

use std::net::IpAddr;

pub use body::Body;
pub use end::End;
pub use extension::Extension;
pub use flaws::Flaws;
pub use link::{HOST_MAC, Mac, PEER_MAC};
pub use network::{Fragment, ROUTER_ALERT};

/// An empty UDP datagram from port 0 of 198.51.100.7 to port 0 of 192.0.2.10; methods make it something else.
#[must_use]
pub fn frame() -> Frame {
    Frame {
        sender: PEER_MAC,
        receiver: None,
        tags: Vec::new(),
        source: "198.51.100.7".into(),
        destination: "192.0.2.10".into(),
        hop_limit: None,
        options: Vec::new(),
        extensions: Vec::new(),
        fragment: None,
        body: Body::Udp,
        payload: Vec::new(),
        flaws: Flaws::default(),
    }
}

/// A frame before it is bytes. Lengths and checksums are right unless a flaw says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Hardware address that sends it.
    pub sender: Mac,
    /// `None`: the host's, or the group's where the destination is one.
    pub receiver: Option<Mac>,
    /// EtherType and identifier of each VLAN tag, outermost first.
    pub tags: Vec<(u16, u16)>,
    /// Address and port that sends it.
    pub source: End,
    /// Address and port that it goes to. Two IPv4 addresses make an IPv4 packet, anything else IPv6.
    pub destination: End,
    /// TTL or hop limit; `None`: 255 for NDP, 1 for IGMP and MLD, else 64.
    pub hop_limit: Option<u8>,
    /// IPv4 options; they are padded to whole words.
    pub options: Vec<u8>,
    /// IPv6 extension headers, in order.
    pub extensions: Vec<Extension>,
    /// The part of the datagram that this packet carries; `None`: all of it.
    pub fragment: Option<Fragment>,
    /// What the network header carries, or what stands in its place.
    pub body: Body,
    /// What stands behind the body's own header.
    pub payload: Vec<u8>,
    /// What is wrong with it.
    pub flaws: Flaws,
}

impl Frame {
    /// Swaps the hardware addresses, for a frame that leaves the host.
    #[must_use]
    pub fn outbound(self) -> Self {
        Self { sender: HOST_MAC, receiver: self.receiver.or(self.group_mac()).or(Some(PEER_MAC)), ..self }
    }

    /// Sets the hardware addresses.
    #[must_use]
    pub fn between(self, sender: Mac, receiver: Mac) -> Self {
        Self { sender, receiver: Some(receiver), ..self }
    }

    /// Adds an 802.1Q tag inside those that are there.
    #[must_use]
    pub fn vlan(self, id: u16) -> Self {
        self.tag(0x8100, id)
    }

    /// Adds a tag of any EtherType, e.g. 0x88a8 of a provider, inside those that are there.
    #[must_use]
    pub fn tag(mut self, ethertype: u16, id: u16) -> Self {
        self.tags.push((ethertype, id));
        self
    }

    /// Sets the source: `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1` or `[2001:db8::1]:443`.
    #[must_use]
    pub fn from(self, source: impl Into<End>) -> Self {
        Self { source: source.into(), ..self }
    }

    /// Sets the destination, written like the source.
    #[must_use]
    pub fn to(self, destination: impl Into<End>) -> Self {
        Self { destination: destination.into(), ..self }
    }

    /// A TCP segment with these flags, one letter each: `S`, `SA`, `FPU` …; also `E` and `C`.
    #[must_use]
    pub fn tcp(self, flags: &str) -> Self {
        self.body(Body::tcp(flags))
    }

    /// A UDP datagram.
    #[must_use]
    pub fn udp(self) -> Self {
        self.body(Body::Udp)
    }

    /// An ICMP message; kinds that carry more than their header get it.
    #[must_use]
    pub fn icmp(self, kind: u8, code: u8) -> Self {
        self.body(Body::Icmp { kind, code, rest: [0; 4] })
    }

    /// An ICMPv6 message; NDP and MLD messages get targets and groups that fit their addresses.
    #[must_use]
    pub fn icmpv6(self, kind: u8, code: u8) -> Self {
        self.body(Body::Icmpv6 { kind, code, rest: [0; 4] })
    }

    /// Sets the identifier and sequence number of an ICMP echo.
    #[must_use]
    pub fn echo(mut self, id: u16, sequence: u16) -> Self {
        let ([a, b], [c, d]) = (id.to_be_bytes(), sequence.to_be_bytes());
        if let Body::Icmp { rest, .. } | Body::Icmpv6 { rest, .. } = &mut self.body {
            *rest = [a, b, c, d];
        }
        self
    }

    /// An IGMP message with the Router Alert option (RFC 2236, section 2).
    #[must_use]
    pub fn igmp(self, kind: u8) -> Self {
        self.body(Body::Igmp { kind }).options(ROUTER_ALERT)
    }

    /// A packet of another IP protocol.
    #[must_use]
    pub fn protocol(self, number: u8) -> Self {
        self.body(Body::Protocol(number))
    }

    /// Asks for the destination's hardware address.
    #[must_use]
    pub fn arp_request(self) -> Self {
        self.body(Body::Arp { operation: 1 })
    }

    /// Tells the destination the source's hardware address.
    #[must_use]
    pub fn arp_reply(self) -> Self {
        self.body(Body::Arp { operation: 2 })
    }

    /// A frame that holds no IP packet.
    #[must_use]
    pub fn ethertype(self, ethertype: u16) -> Self {
        self.body(Body::Ethertype(ethertype))
    }

    /// Sets what the network header carries.
    #[must_use]
    pub fn body(self, body: Body) -> Self {
        Self { body, ..self }
    }

    /// Sets what stands behind the transport header.
    #[must_use]
    pub fn payload(self, payload: impl Into<Vec<u8>>) -> Self {
        Self { payload: payload.into(), ..self }
    }

    /// Makes the payload of an ICMP error: as much of the packet as routers quote (RFC 792, RFC 4443).
    #[must_use]
    pub fn quoting(self, quoted: &Self) -> Self {
        const MOST_QUOTED_V6: usize = 1280 - 40 - 8;
        let mut packet = quoted.packet();
        let most = if quoted.is_ipv4() { 20 + quoted.padded_options().len() + 8 } else { MOST_QUOTED_V6 };
        packet.truncate(most);
        self.payload(packet)
    }

    /// Sets the TTL or hop limit.
    #[must_use]
    pub fn hop_limit(self, hop_limit: u8) -> Self {
        Self { hop_limit: Some(hop_limit), ..self }
    }

    /// Sets the IPv4 options, at most 40 bytes.
    #[must_use]
    pub fn options(self, options: impl Into<Vec<u8>>) -> Self {
        Self { options: options.into(), ..self }
    }

    /// Adds an IPv6 extension header behind those that are there.
    #[must_use]
    pub fn extension(mut self, extension: Extension) -> Self {
        self.extensions.push(extension);
        self
    }

    /// Carries the datagram from `offset` on, in units of 8 bytes.
    #[must_use]
    pub fn fragment(self, offset: u16, more: bool, id: u32) -> Self {
        Self { fragment: Some(Fragment { offset, more, id, length: None }), ..self }
    }

    /// Carries no more than `length` bytes of the datagram; with 8, a first fragment holds no whole TCP header.
    #[must_use]
    pub fn fragment_bytes(mut self, length: usize) -> Self {
        if let Some(fragment) = &mut self.fragment {
            fragment.length = Some(length);
        }
        self
    }

    /// Sets what is wrong with the frame.
    #[must_use]
    pub fn flaws(self, flaws: Flaws) -> Self {
        Self { flaws, ..self }
    }

    /// The frame, from the destination address on.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.link_header();
        bytes.extend(self.packet());
        bytes.resize(bytes.len() + self.flaws.padding, 0);
        bytes.truncate(self.flaws.frame_bytes.unwrap_or(usize::MAX));
        bytes
    }

    /// The packet without its Ethernet header and tags.
    #[must_use]
    pub fn packet(&self) -> Vec<u8> {
        match self.body {
            Body::Arp { operation } => self.arp(operation),
            Body::Ethertype(_) => self.raw_payload(),
            Body::Tcp { .. }
            | Body::Udp
            | Body::Icmp { .. }
            | Body::Icmpv6 { .. }
            | Body::Igmp { .. }
            | Body::Protocol(_) => self.network(),
        }
    }

    /// Both addresses are IPv4.
    #[must_use]
    pub fn is_ipv4(&self) -> bool {
        matches!((self.source.address, self.destination.address), (IpAddr::V4(_), IpAddr::V4(_)))
    }
}

#[cfg(test)]
mod tests;

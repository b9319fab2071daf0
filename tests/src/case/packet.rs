//! The packet of a case, and the frames that it takes to judge it.

use portreeve_common::Direction;
use serde::Deserialize;

use super::{
    ECHO_ID, EtherType, ExtensionName, Icmp, Igmp, IpOption, Malformed, Place, Prior, Protocol,
    prior::step,
    protocol::{direction, opposite},
};
use crate::{
    frame::{Body, Extension, Flaws, Frame, ROUTER_ALERT, frame},
    step::Step,
};

/// What a case says of its packet; fields that it leaves out are as a plain packet has them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Packet {
    /// The hook that judges it.
    #[serde(deserialize_with = "direction")]
    pub direction: Direction,
    /// What it is of.
    pub protocol: Protocol,
    /// Who sends it.
    pub src: Place,
    /// To whom.
    pub dst: Place,
    /// From which port.
    #[serde(default)]
    pub sport: Option<u16>,
    /// To which port.
    #[serde(default)]
    pub dport: Option<u16>,
    /// One letter a flag.
    #[serde(default)]
    pub tcp_flags: Option<String>,
    /// Type, code and quoted packet of an ICMP or ICMPv6 message.
    #[serde(default)]
    pub icmp: Option<Icmp>,
    /// Type of an IGMP message.
    #[serde(default)]
    pub igmp: Option<Igmp>,
    /// It is part of a datagram.
    #[serde(default)]
    pub fragment: Option<Fragment>,
    /// VLAN identifiers, outermost first.
    #[serde(default)]
    pub vlan: Vec<u16>,
    /// TTL or hop limit.
    #[serde(default)]
    pub hop_limit: Option<u8>,
    /// An IPv4 option.
    #[serde(default)]
    pub ip_options: Option<IpOption>,
    /// IPv6 extension headers, in order.
    #[serde(default)]
    pub ext_headers: Vec<ExtensionName>,
    /// Of a frame without IP, e.g. `0x8892`.
    #[serde(default)]
    pub ethertype: Option<EtherType>,
    /// What is wrong with it.
    #[serde(default)]
    pub malformed: Option<Malformed>,
}

/// Which part of a datagram the packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fragment {
    /// In units of 8 bytes.
    pub offset: u16,
    /// More fragments follow.
    pub mf: bool,
    /// The first fragment holds less than the transport header.
    #[serde(default)]
    pub tiny: bool,
    /// What came just before.
    #[serde(default)]
    pub first_fragment: Option<FirstFragment>,
}

/// The verdict on the first fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FirstFragment {
    /// It belonged to a prior flow or a rule.
    Passed,
    /// Nothing documents it.
    Dropped,
}

impl Packet {
    /// The first fragment, where one came before, and the packet.
    pub(super) fn steps(&self, prior: &[Prior]) -> Vec<Step> {
        let first = self.fragment.and_then(|fragment| {
            let first = match fragment.first_fragment? {
                FirstFragment::Passed => self.whole(self.ports(prior)),
                FirstFragment::Dropped => self.whole(DISCARD),
            };
            Some(first.fragment(0, true, DATAGRAM_ID).fragment_bytes(usize::from(fragment.offset) * 8))
        });
        let steps = first.into_iter().chain([self.frame(prior)]);
        steps.map(|frame| step(self.direction, frame)).collect()
    }

    /// The packet that is judged, before it is bytes.
    #[must_use]
    pub fn frame(&self, prior: &[Prior]) -> Frame {
        let whole = self.whole(self.ports(prior));
        let Some(Fragment { offset, mf, tiny, first_fragment: _ }) = self.fragment else { return whole };
        let part = whole.fragment(offset, mf, DATAGRAM_ID);
        match (tiny, mf) {
            (true, _) => part.fragment_bytes(8),
            (false, true) => part.fragment_bytes(FULL_FRAGMENT),
            (false, false) => part,
        }
    }

    /// The datagram that the packet is, or is a fragment of.
    fn whole(&self, (sport, dport): (u16, u16)) -> Frame {
        let frame = match (self.src, self.dst) {
            (Place::Ip(source), Place::Ip(destination)) => {
                frame().from((source, sport)).to((destination, dport))
            }
            (Place::Mac(sender), Place::Mac(receiver)) => frame().between(sender, receiver),
            (Place::Ip(source), Place::Mac(_)) => frame().from((source, sport)),
            (Place::Mac(_), Place::Ip(destination)) => frame().to((destination, dport)),
        };
        let frame = self.vlan.iter().fold(self.embodied(frame), |frame, id| frame.vlan(*id));
        let frame = self.ext_headers.iter().fold(frame, |frame, name| frame.extension(self.extension(*name)));
        let options = match self.ip_options {
            Some(IpOption::RouterAlert) => ROUTER_ALERT.to_vec(),
            None => Vec::new(),
        };
        Frame { hop_limit: self.hop_limit, ..frame.options(options).flaws(self.flaws()) }
    }

    fn embodied(&self, frame: Frame) -> Frame {
        let payload = match self.fragment {
            Some(Fragment { offset, .. }) => vec![0; usize::from(offset) * 8 + FULL_FRAGMENT],
            None => Vec::new(),
        };
        match self.protocol {
            Protocol::Tcp => frame.tcp(self.tcp_flags.as_deref().unwrap_or("S")).payload(payload),
            Protocol::Udp => frame.udp().payload(payload),
            Protocol::Icmp | Protocol::Icmpv6 => self.message(frame),
            Protocol::Igmp => frame.body(Body::Igmp { kind: self.igmp.map_or(0x11, |igmp| igmp.kind) }),
            Protocol::Arp => match self.direction {
                Direction::Ingress => frame.arp_request(),
                Direction::Egress => frame.arp_reply(),
            },
            Protocol::L2 => frame.ethertype(self.ethertype.map_or(0x88b5, |EtherType(number)| number)),
            Protocol::Number(number) => {
                // SCTP begins with its ports; what others begin with no policy reads.
                let ports = [frame.source.port.to_be_bytes(), frame.destination.port.to_be_bytes()].concat();
                frame.protocol(number).payload([ports, vec![0; 20]].concat())
            }
        }
    }

    fn message(&self, frame: Frame) -> Frame {
        let plain = Icmp { kind: 8, code: 0, embedded: None };
        let Icmp { kind, code, embedded } = self.icmp.as_ref().unwrap_or(&plain);
        let (message, echo) = match self.protocol {
            Protocol::Icmpv6 => (frame.icmpv6(*kind, *code), matches!(kind, 128 | 129)),
            Protocol::Icmp
            | Protocol::Tcp
            | Protocol::Udp
            | Protocol::Igmp
            | Protocol::Arp
            | Protocol::L2
            | Protocol::Number(_) => (frame.icmp(*kind, *code), matches!(kind, 0 | 8)),
        };
        match embedded {
            Some(embedded) => message.quoting(&embedded.frame()),
            None if echo => message.echo(ECHO_ID, 1),
            None => message,
        }
    }

    fn extension(&self, name: ExtensionName) -> Extension {
        let listens = matches!(self.icmp, Some(Icmp { kind: 130..=132 | 143, .. }));
        match name {
            ExtensionName::HopByHop if listens => Extension::RouterAlert,
            ExtensionName::HopByHop => Extension::HopByHop,
            ExtensionName::Routing => Extension::Routing,
            ExtensionName::Fragment => Extension::Fragment,
            ExtensionName::Authentication => Extension::Authentication,
            ExtensionName::Destination => Extension::Destination,
            ExtensionName::Mobility => Extension::Mobility,
        }
    }

    fn flaws(&self) -> Flaws {
        const BEHIND_THE_PORTS: usize = 10;
        match self.malformed {
            Some(Malformed::Ihl(words)) => Flaws { ihl: Some(words), ..Flaws::default() },
            Some(Malformed::TransportTruncated) => {
                Flaws { transport_bytes: Some(BEHIND_THE_PORTS), ..Flaws::default() }
            }
            None => Flaws::default(),
        }
    }

    /// As the case says; a fragment without ports belongs to the prior flow between the same two, or answers DNS.
    fn ports(&self, prior: &[Prior]) -> (u16, u16) {
        const ANSWER: (u16, u16) = (53, 49_200);
        if self.sport.is_some() || self.dport.is_some() || self.fragment.is_none() {
            return (self.sport.unwrap_or(0), self.dport.unwrap_or(0));
        }
        prior.iter().find_map(|prior| self.ports_in(prior)).unwrap_or(ANSWER)
    }

    fn ports_in(&self, prior: &Prior) -> Option<(u16, u16)> {
        let (source, destination) = (Place::Ip(prior.src), Place::Ip(prior.dst));
        let (sport, dport) = (prior.sport?, prior.dport?);
        if self.direction == prior.direction && (self.src, self.dst) == (source, destination) {
            return Some((sport, dport));
        }
        let back =
            self.direction == opposite(prior.direction) && (self.src, self.dst) == (destination, source);
        back.then_some((dport, sport))
    }
}

/// Identification of a case's one fragmented datagram.
const DATAGRAM_ID: u32 = 0x1d1d;
/// What an Ethernet frame carries behind an IPv4 header.
const FULL_FRAGMENT: usize = 1480;
/// The discard service, which nothing documents.
const DISCARD: (u16, u16) = (9, 9);

//! Flows that live before the packet, and the frames that open them.

use std::net::IpAddr;

use portreeve_common::Direction;
use serde::Deserialize;

use super::{ECHO_ID, Protocol, protocol};
use crate::{
    frame::{Body, Frame, frame},
    step::Step,
};

/// A flow, named from the side that opened it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prior {
    /// TCP, UDP, ICMP or ICMPv6.
    pub proto: Protocol,
    /// Who opened it.
    pub src: IpAddr,
    /// From which port.
    pub sport: Option<u16>,
    /// To whom.
    pub dst: IpAddr,
    /// To which port.
    pub dport: Option<u16>,
    /// Of its first packet.
    #[serde(deserialize_with = "protocol::direction")]
    pub direction: Direction,
    /// TCP flows are established with or without it.
    #[serde(default)]
    pub state: Option<State>,
}

/// How far a flow has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Both sides have agreed.
    Established,
}

impl Prior {
    /// TCP: the handshake, from the side in `src`. Else: the first packet.
    pub(super) fn steps(&self) -> Vec<Step> {
        match self.proto {
            Protocol::Tcp => vec![
                self.there(segment(SYN, CLIENT, 0)),
                self.back(segment(SYN | ACK, SERVER, CLIENT + 1)),
                self.there(segment(ACK, CLIENT + 1, SERVER + 1)),
            ],
            Protocol::Udp => vec![self.there(|frame| frame.udp())],
            Protocol::Icmp => vec![self.there(|frame| frame.icmp(8, 0).echo(ECHO_ID, 1))],
            Protocol::Icmpv6 => vec![self.there(|frame| frame.icmpv6(128, 0).echo(ECHO_ID, 1))],
            Protocol::Number(number) => vec![self.there(|frame| frame.protocol(number).payload([0; 24]))],
            Protocol::Igmp | Protocol::Arp | Protocol::L2 => Vec::new(),
        }
    }

    fn there(&self, shape: impl FnOnce(Frame) -> Frame) -> Step {
        let ends = frame().from((self.src, self.sport.unwrap_or(0))).to((self.dst, self.dport.unwrap_or(0)));
        step(self.direction, shape(ends))
    }

    fn back(&self, shape: impl FnOnce(Frame) -> Frame) -> Step {
        let ends = frame().from((self.dst, self.dport.unwrap_or(0))).to((self.src, self.sport.unwrap_or(0)));
        step(protocol::opposite(self.direction), shape(ends))
    }
}

/// The frame at the hook of its direction, with hardware addresses to match.
pub(super) fn step(direction: Direction, frame: Frame) -> Step {
    let frame = match direction {
        Direction::Ingress => frame,
        Direction::Egress => frame.outbound(),
    };
    Step { direction, bytes: frame.bytes() }
}

fn segment(flags: u8, sequence: u32, acknowledgment: u32) -> impl FnOnce(Frame) -> Frame {
    move |frame| frame.body(Body::Tcp { flags, sequence, acknowledgment })
}

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// Initial sequence numbers of the two sides.
const CLIENT: u32 = 1000;
const SERVER: u32 = 2000;

//! The frames that are timed, in both families.

use anyhow::Result;
use etherparse::PacketBuilder;

use crate::policy::{CLOSED, LISTED, OPEN, OPEN_UDP};

/// A TCP segment's flags and numbers.
#[derive(Clone, Copy)]
struct Segment {
    syn: bool,
    sequence: u32,
    acknowledgement: Option<u32>,
}

/// One end of the conversations.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// In outputs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
}

/// What is timed.
pub(crate) struct Frames {
    /// A SYN to a port that nobody documents.
    pub(crate) undocumented: Vec<u8>,
    /// A SYN to a documented port from a peer that it is not for.
    pub(crate) wrong_peer: Vec<u8>,
    /// A packet of a live connection.
    pub(crate) established: Vec<u8>,
    /// A packet of a connection that there isn't.
    pub(crate) stateless: Vec<u8>,
    /// A SYN that any peer may send.
    pub(crate) new_open: Vec<u8>,
    /// A SYN that listed peers may send.
    pub(crate) new_listed: Vec<u8>,
    /// SYN, SYN-ACK (which leaves) and acknowledgement: they make the connection live.
    pub(crate) handshake: [Vec<u8>; 3],
}

/// The frames of a family.
pub(crate) fn frames(family: Family) -> Result<Frames> {
    Ok(Frames {
        undocumented: ingress(family, 7, 40_000, CLOSED, SYN)?,
        wrong_peer: ingress(family, 8, 40_000, LISTED, SYN)?,
        established: ingress(family, 7, 40_000, OPEN, DATA)?,
        stateless: ingress(family, 7, 40_001, OPEN, DATA)?,
        new_open: ingress(family, 7, 40_002, OPEN, SYN)?,
        new_listed: ingress(family, 7, 40_003, LISTED, SYN)?,
        handshake: handshake(family, 40_000)?,
    })
}

/// SYN, SYN-ACK (which leaves) and acknowledgement of a connection from this port.
pub(crate) fn handshake(family: Family, from: u16) -> Result<[Vec<u8>; 3]> {
    Ok([
        ingress(family, 7, from, OPEN, SYN)?,
        egress(family, 7, OPEN, from, ANSWER)?,
        ingress(family, 7, from, OPEN, DATA)?,
    ])
}

/// A SYN at an open port, whose source's last word and port are to be forged.
pub(crate) fn flood() -> Result<Vec<u8>> {
    let source = [0x20, 0x01, 0x0d, 0xb8, 0x0b, 0xad, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    write(builder.ipv6(source, OWN_V6, 64), 1_024, OPEN, SYN)
}

/// A datagram that any peer may send.
pub(crate) fn datagram() -> Result<Vec<u8>> {
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let udp = builder.ipv4([198, 51, 100, 7], OWN_V4, 64).udp(40_000, OPEN_UDP);
    let payload = [0; 18];
    let mut frame = Vec::with_capacity(udp.size(payload.len()));
    udp.write(&mut frame, &payload)?;
    Ok(frame)
}

const SYN: Segment = Segment { syn: true, sequence: 100, acknowledgement: None };
const ANSWER: Segment = Segment { syn: true, sequence: 500, acknowledgement: Some(101) };
const DATA: Segment = Segment { syn: false, sequence: 101, acknowledgement: Some(501) };

fn ingress(family: Family, peer: u8, from: u16, to: u16, segment: Segment) -> Result<Vec<u8>> {
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    write(
        match family {
            Family::V4 => builder.ipv4([198, 51, 100, peer], OWN_V4, 64),
            Family::V6 => builder.ipv6(peer_v6(peer), OWN_V6, 64),
        },
        from,
        to,
        segment,
    )
}

fn egress(family: Family, peer: u8, from: u16, to: u16, segment: Segment) -> Result<Vec<u8>> {
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1]);
    write(
        match family {
            Family::V4 => builder.ipv4(OWN_V4, [198, 51, 100, peer], 64),
            Family::V6 => builder.ipv6(OWN_V6, peer_v6(peer), 64),
        },
        from,
        to,
        segment,
    )
}

const OWN_V4: [u8; 4] = [192, 0, 2, 10];
const OWN_V6: [u8; 16] = [0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10];

/// Peer 7 is in the listed network, others are not.
const fn peer_v6(peer: u8) -> [u8; 16] {
    let network = if peer == 7 { 9 } else { 10 };
    [0x20, 0x01, 0x0d, 0xb8, 0, network, 0, 0, 0, 0, 0, 0, 0, 0, 0, peer]
}

fn write(
    builder: etherparse::PacketBuilderStep<etherparse::IpHeaders>,
    from: u16,
    to: u16,
    segment: Segment,
) -> Result<Vec<u8>> {
    let mut tcp = builder.tcp(from, to, segment.sequence, 1_024);
    if segment.syn {
        tcp = tcp.syn();
    }
    if let Some(number) = segment.acknowledgement {
        tcp = tcp.ack(number);
    }
    // The shortest frame on a wire.
    let payload = [0; 6];
    let mut frame = Vec::with_capacity(tcp.size(payload.len()));
    tcp.write(&mut frame, &payload)?;
    Ok(frame)
}

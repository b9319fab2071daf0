//! How a string of bytes becomes a frame: each choice from the pool, the first of each the plainest.

use std::net::IpAddr;

use portreeve_common::Direction;

use super::{Choices, Pool, mutate};
use crate::{
    frame::{Extension, Flaws, Frame, frame},
    step::Step,
};

/// The bytes that decide; all zeros make a plain SYN to the first service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipe(pub [u8; LENGTH]);

/// More than the longest frame needs.
const LENGTH: usize = 64;

impl Default for Recipe {
    fn default() -> Self {
        Self([0; LENGTH])
    }
}

impl Recipe {
    /// A valid frame: its lengths, counts and checksums are right, though a policy may not like it.
    #[must_use]
    pub fn frame(&self, pool: &Pool) -> (Direction, Frame) {
        valid(&mut Choices::new(&self.0), pool)
    }

    /// The frame's bytes, mutated once in four times.
    #[must_use]
    pub fn step(&self, pool: &Pool) -> Step {
        let choices = &mut Choices::new(&self.0);
        let mutated = choices.once_in(4);
        let (direction, frame) = valid(choices, pool);
        let bytes = if mutated { mutate(frame, choices) } else { frame.bytes() };
        Step { direction, bytes }
    }
}

fn valid(choices: &mut Choices<'_>, pool: &Pool) -> (Direction, Frame) {
    let direction = choices.pick(&Direction::ALL);
    let local = choices.pick(&pool.locals);
    let family: Vec<_> =
        pool.peers.iter().copied().filter(|peer| peer.is_ipv4() == local.is_ipv4()).collect();
    let peer = choices.pick(if family.is_empty() { &pool.peers } else { &family });
    let (client, service) = (choices.pick(&pool.clients), choices.pick(&pool.services));
    let (local_port, peer_port) = if choices.once_in(2) { (client, service) } else { (service, client) };
    let (local, peer) = ((local, local_port), (peer, peer_port));
    let frame = match direction {
        Direction::Ingress => frame().from(peer).to(local),
        Direction::Egress => frame().from(local).to(peer).outbound(),
    };
    let frame = shaped(embodied(frame, choices, pool, local.0), choices);
    (direction, frame)
}

/// Most frames are of TCP and UDP, since most rules are.
fn embodied(frame: Frame, choices: &mut Choices<'_>, pool: &Pool, local: IpAddr) -> Frame {
    let flags = choices.pick(&pool.flags);
    match (choices.byte() % 32, local) {
        (0..12, _) => frame.tcp(flags),
        (12..22, _) => frame.udp().payload(vec![0; choices.below(64)]),
        (22..25, IpAddr::V4(_)) => frame.icmp(choices.pick(&[8, 0]), 0).echo(choices.word() % 4, 1),
        (22..25, IpAddr::V6(_)) => frame.icmpv6(choices.pick(&[128, 129]), 0).echo(choices.word() % 4, 1),
        (25..27, IpAddr::V4(_)) => {
            let quoted = quoted(&frame, choices, flags);
            frame.icmp(choices.pick(&[3, 11, 12, 4, 5]), choices.byte() % 5).quoting(&quoted)
        }
        (25..27, IpAddr::V6(_)) => {
            let quoted = quoted(&frame, choices, flags);
            frame.icmpv6(choices.pick(&[1, 2, 3, 4]), choices.byte() % 3).quoting(&quoted)
        }
        (27, IpAddr::V4(_)) => frame.igmp(choices.pick(&[0x11, 0x16, 0x17, 0x22])),
        (27, IpAddr::V6(_)) => {
            frame.icmpv6(choices.pick(&[130, 131, 132, 143]), 0).extension(Extension::RouterAlert)
        }
        (28, IpAddr::V4(_)) => {
            if choices.once_in(2) {
                frame.arp_request()
            } else {
                frame.arp_reply()
            }
        }
        (28, IpAddr::V6(_)) => frame.icmpv6(choices.pick(&[135, 136, 133, 134, 137]), 0),
        (29, _) => frame.ethertype(choices.pick(&[0x8892, 0x88cc, 0x888e, 0x88f7, 0x88b8])),
        (30, _) => frame.protocol(choices.pick(&[47, 132, 41, 50, 4, 0xff])).payload(vec![0; 24]),
        _ => frame.icmp(choices.byte() % 20, 0),
    }
}

/// A packet that the receiver of the error may have sent.
fn quoted(error: &Frame, choices: &mut Choices<'_>, flags: &str) -> Frame {
    let back = frame().from((error.destination.address, error.destination.port));
    let back = back.to((error.source.address, error.source.port));
    if choices.once_in(2) { back.udp() } else { back.tcp(flags) }
}

/// What may surround any packet: tags, options, extension headers, fragments, padding.
fn shaped(mut frame: Frame, choices: &mut Choices<'_>) -> Frame {
    if choices.once_in(8) {
        frame = frame.vlan(choices.word() & 0xfff);
    }
    if choices.once_in(16) {
        frame = frame.tag(choices.pick(&[0x8100, 0x88a8]), choices.word() & 0xfff);
    }
    if choices.once_in(16) {
        frame = frame.options(choices.pick(&[vec![0x94, 4, 0, 0], vec![1; 4], vec![1; 40]]));
    }
    if choices.once_in(8) {
        for _ in 0..=choices.below(8) {
            frame = frame.extension(choices.pick(&Extension::ALL));
        }
    }
    if choices.once_in(8) {
        let offset = choices.pick(&[0, 0, 1, 2, 185, 8191]);
        frame = frame.fragment(offset, !choices.once_in(2), u32::from(choices.byte() % 4));
        if choices.once_in(4) {
            frame = frame.fragment_bytes(8);
        }
    }
    if choices.once_in(16) {
        frame = frame.hop_limit(choices.pick(&[255, 1, 0]));
    }
    let padding = if choices.once_in(8) { choices.below(18) } else { 0 };
    frame.flaws(Flaws { padding, ..Flaws::default() })
}

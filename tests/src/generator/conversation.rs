//! What two ends say to each other, one step after the other: handshakes that complete, closes, resets, fragments that
//! follow, and errors about what was said.

mod names;

use std::{collections::VecDeque, net::IpAddr};

use fastrand::Rng;
use portreeve_common::Direction;

use super::Pool;
use crate::frame::{Body, Frame, frame};

/// A frame of a conversation, and how long the speaker waits before it.
#[derive(Clone, Debug)]
pub struct Line {
    /// Seconds.
    pub wait: u64,
    /// As seen from the host.
    pub direction: Direction,
    /// What is said.
    pub frame: Frame,
}

/// Lines that are still to be said.
#[derive(Clone, Debug)]
pub struct Conversation {
    ends: Ends,
    lines: VecDeque<Line>,
    /// More lines than a chat ever has.
    chat: u8,
}

/// Who talks to whom.
#[derive(Clone, Copy, Debug)]
struct Ends {
    local: (IpAddr, u16),
    peer: (IpAddr, u16),
    began: Direction,
    vlan: Option<u16>,
    /// The next sequence number of each direction.
    next: [u32; 2],
}

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;

/// Ephemeral ports; few enough that some come again.
const CLIENTS: std::ops::Range<u16> = 40_000..44_000;
/// Waits that go over one of the idle limits, and one that stays below all.
const WAITS: [u64; 4] = [20, 31, 61, 181];
/// Longer than a connection may be silent by default.
const TCP_IDLE: u64 = 20_000;
/// Farther than any window.
const OUTSIDE: u32 = 1 << 24;
/// How often it is about names, where there are some.
const NAMES: u8 = 8;
/// Datagrams' identifiers: few, so that some are used again.
const IDENTIFIERS: std::ops::Range<u32> = 0..32;

impl Conversation {
    /// A conversation by chance, whose chats have less than `chat` lines each.
    pub fn new(random: &mut Rng, pool: &Pool, chat: u8) -> Self {
        let mut talk = Self { ends: Ends::new(random, pool), lines: VecDeque::new(), chat };
        match random.u8(..32) {
            _ if !pool.named.is_empty() && random.u8(..NAMES) == 0 => talk.names(random, pool),
            0..18 => talk.tcp(random),
            18..26 => talk.udp(random),
            26..30 => talk.echo(random),
            30 => talk.dhcp(random),
            _ => talk.groups(random),
        }
        if random.u8(..48) == 0 {
            talk.pause(random);
        }
        talk
    }

    fn tcp(&mut self, random: &mut Rng) {
        let (caller, callee) = (self.ends.began, self.ends.began.opposite());
        if random.u8(..16) == 0 {
            return self.midway(random);
        }
        self.segment(caller, SYN, 0);
        match random.u8(..16) {
            0 => return self.segment(callee, RST | ACK, 0),
            1 => self.segment(caller, ACK, 0),
            2 => self.segment(callee, ACK, 0),
            3 => self.ends.next[caller as usize] ^= random.u32(1..0x8000),
            4 => self.segment(caller, SYN, 0),
            _ => {}
        }
        self.segment(callee, SYN | ACK, 0);
        match random.u8(..16) {
            // A forged acknowledgement, and one of data sent early.
            0 if random.bool() => self.ends.next[callee as usize] = random.u32(..),
            0 => {
                let next = &mut self.ends.next[callee as usize];
                *next = next.wrapping_add(random.u32(1..70_000));
            }
            1 => self.segment(callee, PSH | ACK, random.u16(1..64)),
            2 => self.report(random),
            _ => {}
        }
        self.segment(caller, ACK, 0);
        self.chat(random);
        self.close(random);
        if random.bool() {
            self.chat(random);
        }
    }

    /// Nobody saw its beginning: one end goes on, and the other one does too, resets it, or says nothing.
    fn midway(&mut self, random: &mut Rng) {
        let first = either(random);
        self.segment(first, if random.u8(..8) == 0 { FIN | ACK } else { PSH | ACK }, random.u16(..64));
        match random.u8(..6) {
            0 => self.segment(first, ACK, 0),
            1 => self.segment(first.opposite(), RST, 0),
            2 => self.segment(first.opposite(), SYN | ACK, 0),
            3 => self.segment(self.ends.began, SYN, 0),
            _ => self.segment(first.opposite(), ACK, 0),
        }
        self.chat(random);
        self.close(random);
    }

    fn chat(&mut self, random: &mut Rng) {
        for _ in 0..random.u8(..self.chat) {
            let direction = either(random);
            match random.u8(..32) {
                0 => self.report(random),
                1 => self.segment(direction, SYN, 0),
                2 => self.segment(direction, SYN | ACK, 0),
                3 => self.segment(direction, FIN | ACK, 0),
                _ => self.segment(direction, PSH | ACK, random.u16(..64)),
            }
        }
    }

    fn close(&mut self, random: &mut Rng) {
        let (first, second) = if random.bool() { (Direction::ALL[0], Direction::ALL[1]) } else { reversed() };
        match random.u8(..6) {
            0 | 1 => {
                self.segment(first, FIN | ACK, 0);
                self.segment(second, FIN | ACK, 0);
                self.segment(first, ACK, 0);
            }
            2 => self.segment(first, RST, 0),
            3 => {
                let off = [OUTSIDE, 1, 60_000, u32::MAX][random.usize(..4)];
                let next = &mut self.ends.next[first as usize];
                *next = next.wrapping_add(off);
                self.segment(first, RST, 0);
                let next = &mut self.ends.next[first as usize];
                *next = next.wrapping_sub(off);
            }
            4 => self.segment(first, FIN | ACK, 0),
            _ => {}
        }
        if random.u8(..8) == 0 {
            // The same ends meet again.
            self.segment(self.ends.began, SYN, 0);
            self.segment(self.ends.began.opposite(), SYN | ACK, 0);
            self.segment(self.ends.began, ACK, 0);
        }
    }

    fn udp(&mut self, random: &mut Rng) {
        let mut direction = self.ends.began;
        for _ in 0..=random.u8(..12) {
            let frame = self.ends.frame(direction).udp().payload(vec![0; random.usize(..600)]);
            if random.u8(..3) == 0 {
                self.in_pieces(random, direction, &frame);
            } else {
                self.say(direction, frame);
            }
            if random.u8(..12) == 0 {
                self.report(random);
            }
            direction = either(random);
        }
    }

    /// A first fragment and those that follow it; now and then out of order, with a gap, or reaching back.
    fn in_pieces(&mut self, random: &mut Rng, direction: Direction, whole: &Frame) {
        let id = random.u32(IDENTIFIERS);
        let mut pieces = vec![
            whole.clone().fragment(0, true, id).fragment_bytes(64),
            whole.clone().fragment(8, true, id).fragment_bytes(64),
            whole.clone().fragment(16, false, id),
        ];
        match random.u8(..8) {
            0 => pieces.reverse(),
            1 => drop(pieces.remove(0)),
            2 => pieces.push(whole.clone().fragment(random.u16(1..9), false, id)),
            3 => pieces.push(whole.clone().fragment(16, false, id + IDENTIFIERS.end)),
            _ => {}
        }
        for piece in pieces {
            self.say(direction, piece);
        }
    }

    fn echo(&mut self, random: &mut Rng) {
        let (asks, id) = (self.ends.began, random.u16(..64));
        for sequence in 0..random.u16(1..4) {
            let (request, reply) = (self.ends.frame(asks), self.ends.frame(asks.opposite()));
            let (request, reply) = if request.is_ipv4() {
                (request.icmp(8, 0), reply.icmp(0, 0))
            } else {
                (request.icmpv6(128, 0), reply.icmpv6(129, 0))
            };
            self.say(asks, request.echo(id, sequence));
            match random.u8(..6) {
                0 => self.report(random),
                1 => self.say(asks.opposite(), reply.echo(id ^ 1, sequence)),
                _ => self.say(asks.opposite(), reply.echo(id, sequence)),
            }
        }
    }

    /// RFC 2131, RFC 8415: both ends may not have addresses yet. Now and then a server speaks up unasked.
    fn dhcp(&mut self, random: &mut Rng) {
        const SERVERS: [&str; 3] = ["192.0.2.1:67", "198.51.100.7:67", "127.0.0.1:67"];
        const CLIENTS: [&str; 4] = ["0.0.0.0:68", "192.0.2.10:68", "192.0.2.77:68", "224.0.0.1:68"];
        const TO_SERVERS: [&str; 4] =
            ["255.255.255.255:67", "192.0.2.1:67", "198.51.100.7:67", "224.0.0.1:67"];
        const TO_CLIENTS: [&str; 4] =
            ["255.255.255.255:68", "192.0.2.10:68", "192.0.2.77:68", "224.0.0.1:68"];
        let any = |random: &mut Rng, texts: &[&'static str]| texts[random.usize(..texts.len())];
        for _ in 0..random.u8(1..6) {
            if random.bool() {
                let asks = frame().from(any(random, &CLIENTS)).to(any(random, &TO_SERVERS)).outbound();
                self.say(Direction::Egress, asks.udp().payload(vec![0; 240]));
            } else {
                let answers = frame().from(any(random, &SERVERS)).to(any(random, &TO_CLIENTS)).udp();
                self.say(Direction::Ingress, answers.payload(vec![0; 240]));
            }
        }
        let local = (self.ends.local.0, 68);
        if local.0.is_ipv4() {
            self.say(Direction::Egress, frame().from(local).to(SERVERS[0]).outbound().udp());
            self.say(Direction::Ingress, frame().from(SERVERS[0]).to(local).udp());
        }
        for _ in 0..random.u8(..4) {
            let (client, server) = (any(random, &["[fe80::10]:546", "[fe80::11]:546"]), "[fe80::1]:547");
            if random.bool() {
                let to = any(random, &["[ff02::1:2]:547", server]);
                self.say(Direction::Egress, frame().from(client).to(to).outbound().udp());
            } else {
                self.say(Direction::Ingress, frame().from(server).to(client).udp());
            }
        }
    }

    /// Control groups of multicast.
    fn groups(&mut self, random: &mut Rng) {
        let router = "192.0.2.1";
        self.say(Direction::Ingress, frame().from(router).to("224.0.0.1").igmp(0x11));
        self.say(Direction::Egress, frame().from("192.0.2.10").to("224.0.0.22").outbound().igmp(0x22));
        self.say(Direction::Egress, frame().from("192.0.2.10").to("239.1.2.3").outbound().igmp(0x16));
        self.say(Direction::Ingress, frame().from("fe80::1").to("ff02::1").icmpv6(130, 0));
        self.say(Direction::Egress, frame().from("fe80::10").to("ff02::16").outbound().icmpv6(143, 0));
        self.say(Direction::Ingress, frame().from("fe80::1").to("ff02::1").icmpv6(134, 0));
        // With a fragment header, and what would follow.
        let piece = frame().from("fe80::1").to("ff02::1").icmpv6(if random.bool() { 134 } else { 130 }, 0);
        let (more, id) = (random.bool(), random.u32(IDENTIFIERS));
        self.say(Direction::Ingress, piece.clone().fragment(0, more, id));
        self.say(Direction::Ingress, piece.payload([0; 64]).fragment(8, false, id));
    }

    /// Someone on the way reports that what was said last did not arrive.
    fn report(&mut self, random: &mut Rng) {
        let Some(Line { direction: went, frame: quoted, .. }) = self.lines.back().cloned() else { return };
        let direction = went.opposite();
        let mut error = self.ends.frame(direction);
        if random.bool() {
            let router = if error.is_ipv4() { "203.0.113.1" } else { "2001:db8:9::1" };
            match direction {
                Direction::Ingress => error = error.from(router),
                Direction::Egress => {}
            }
        }
        let error = if quoted.is_ipv4() {
            error.icmp([3, 11, 12, 3, 5][random.usize(..5)], random.u8(..5))
        } else {
            error.icmpv6([1, 2, 3, 4, 137][random.usize(..5)], 0)
        };
        self.say(direction, error.quoting(&quoted));
    }

    /// Silence somewhere in the middle.
    fn pause(&mut self, random: &mut Rng) {
        let at = random.usize(..self.lines.len().max(1));
        if let Some(line) = self.lines.get_mut(at) {
            line.wait = if random.u8(..16) == 0 { TCP_IDLE } else { WAITS[random.usize(..WAITS.len())] };
        }
    }

    fn segment(&mut self, direction: Direction, flags: u8, length: u16) {
        self.carry(direction, flags, vec![0; length.into()]);
    }

    fn carry(&mut self, direction: Direction, flags: u8, payload: Vec<u8>) {
        let sequence = self.ends.next[direction as usize];
        let other = self.ends.next[direction.opposite() as usize];
        let acknowledgment = if flags & ACK == 0 { 0 } else { other };
        let frame = self.ends.frame(direction).body(Body::Tcp { flags, sequence, acknowledgment });
        let taken = u32::try_from(payload.len()).unwrap_or(0) + u32::from(flags & (SYN | FIN) != 0);
        self.ends.next[direction as usize] = sequence.wrapping_add(taken);
        self.say(direction, frame.payload(payload));
    }

    fn say(&mut self, direction: Direction, frame: Frame) {
        self.lines.push_back(Line { wait: 0, direction, frame });
    }
}

impl Iterator for Conversation {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        self.lines.pop_front()
    }
}

impl Ends {
    fn new(random: &mut Rng, pool: &Pool) -> Self {
        let local = pool.locals[random.usize(..pool.locals.len())];
        let family: Vec<_> = pool.peers.iter().filter(|peer| peer.is_ipv4() == local.is_ipv4()).collect();
        let peer = *family[random.usize(..family.len())];
        let (client, service) = (random.u16(CLIENTS), pool.services[random.usize(..pool.services.len())]);
        let began = either(random);
        // Now and then a server calls: active FTP's data comes from its port.
        let (client, service) = if random.u8(..12) == 0 { (service, client) } else { (client, service) };
        let (local_port, peer_port) = match began {
            Direction::Ingress => (service, client),
            Direction::Egress => (client, service),
        };
        let vlan = (random.u8(..8) == 0).then(|| random.u16(1..4095));
        let next = [random.u32(..), random.u32(..)];
        Self { local: (local, local_port), peer: (peer, peer_port), began, vlan, next }
    }

    fn frame(&self, direction: Direction) -> Frame {
        let frame = match direction {
            Direction::Ingress => frame().from(self.peer).to(self.local),
            Direction::Egress => frame().from(self.local).to(self.peer).outbound(),
        };
        match self.vlan {
            Some(id) => frame.vlan(id),
            None => frame,
        }
    }
}

fn either(random: &mut Rng) -> Direction {
    if random.bool() { Direction::Ingress } else { Direction::Egress }
}

fn reversed() -> (Direction, Direction) {
    (Direction::ALL[1], Direction::ALL[0])
}

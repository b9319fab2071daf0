//! Questions to resolvers, what comes in place of their answers, and connections to what was told.

use std::net::IpAddr;

use fastrand::Rng;
use portreeve_common::Direction;

use super::{ACK, CLIENTS, Conversation, Ends, PSH, SYN};
use crate::{
    answer::{Reply, over_tcp, question},
    generator::{Named, Pool},
};

/// Transactions' numbers: few, so that some are used again.
const TRANSACTIONS: std::ops::Range<u16> = 0..16;
/// Lifetimes around the shortest one and the waits, and two that mean none.
const LIVES: [u32; 8] = [0, 30, 61, 90, 300, 3_600, 1 << 31, u32::MAX];
/// Before an answer: mostly none, else around what questions wait for.
const BEFORE_ANSWERS: [u64; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 29, 30, 31];
/// Before a connection: mostly none, else around the lifetimes.
const BEFORE_CONNECTIONS: [u64; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 59, 60, 62, 91, 301];
/// Others that may answer.
const STRANGERS: [&str; 2] = ["192.0.2.54", "2001:db8:1::54"];
/// What names are aliases of.
const ALIASES: [&str; 3] = ["edge.example.org", "n.cdn.example.org", "api.example.com"];

/// A question, as it was asked.
struct Asked<'p> {
    id: u16,
    of: &'p Named,
    /// Its letters in any case.
    text: String,
    v4: bool,
}

impl Conversation {
    /// The host asks, somebody answers, and the host connects.
    pub(super) fn names(&mut self, random: &mut Rng, pool: &Pool) {
        let by_tcp = random.u8(..4) == 0;
        let resolver = *any(random, &pool.resolvers);
        self.meet(random, pool, (resolver, 53), Direction::Egress);
        if by_tcp {
            self.segment(Direction::Egress, SYN, 0);
            self.segment(Direction::Ingress, SYN | ACK, 0);
            self.segment(Direction::Egress, ACK, 0);
        }
        let mut addresses = Vec::new();
        for _ in 0..random.u8(1..4) {
            let asked = Asked::new(random, pool);
            if by_tcp && random.u8(..4) == 0 {
                addresses.extend(self.two_at_once(random, pool, &asked));
                continue;
            }
            for _ in 0..1 + u8::from(random.u8(..12) == 0) {
                self.message(random, Direction::Egress, question(asked.id, &asked.text, asked.v4), by_tcp);
            }
            let told = asked.addresses(random);
            let first = self.lines.len();
            self.answers(random, pool, &asked, &told, by_tcp);
            if let Some(line) = self.lines.get_mut(first) {
                line.wait = *any(random, &BEFORE_ANSWERS);
            }
            addresses.extend(told);
        }
        for _ in 0..random.u8(..4) {
            if !addresses.is_empty() {
                let to = *any(random, &addresses);
                self.connects(random, pool, to);
            }
        }
    }

    /// Two questions in one segment, and an answer to each.
    fn two_at_once(&mut self, random: &mut Rng, pool: &Pool, first: &Asked<'_>) -> Vec<IpAddr> {
        let second = Asked::new(random, pool);
        let both = [first, &second].map(|asked| over_tcp(&question(asked.id, &asked.text, asked.v4)));
        self.carry(Direction::Egress, PSH | ACK, both.concat());
        let mut addresses = Vec::new();
        for asked in [first, &second] {
            let told = asked.addresses(random);
            self.answers(random, pool, asked, &told, true);
            addresses.extend(told);
        }
        addresses
    }

    /// Puts others in place of the ends; the host's own address is mostly of the peer's family.
    fn meet(&mut self, random: &mut Rng, pool: &Pool, peer: (IpAddr, u16), began: Direction) {
        let family: Vec<_> = pool.locals.iter().filter(|local| local.is_ipv4() == peer.0.is_ipv4()).collect();
        let (local, client) = (**any(random, &family), random.u16(CLIENTS));
        let next = [random.u32(..), random.u32(..)];
        let (local, peer) = match began {
            Direction::Ingress => ((local, peer.1), (peer.0, client)),
            Direction::Egress => ((local, client), peer),
        };
        self.ends = Ends { local, peer, began, next, vlan: self.ends.vlan };
    }

    fn connects(&mut self, random: &mut Rng, pool: &Pool, to: IpAddr) {
        let first = self.lines.len();
        let began = if random.u8(..6) == 0 { Direction::Ingress } else { Direction::Egress };
        let service = *any(random, &pool.named_services);
        self.meet(random, pool, (to, service), began);
        if random.u8(..3) == 0 {
            self.udp(random);
        } else {
            self.tcp(random);
        }
        if let Some(line) = self.lines.get_mut(first) {
            line.wait = *any(random, &BEFORE_CONNECTIONS);
        }
    }

    /// The answer, or something that is none; then the answer all the same, now and then.
    fn answers(&mut self, random: &mut Rng, pool: &Pool, asked: &Asked<'_>, told: &[IpAddr], by_tcp: bool) {
        let Asked { id, of: _, text, v4 } = asked;
        let reply = Reply::to(*id, text, *v4).addresses(told).life(*any(random, &LIVES));
        let right = reply.bytes();
        let wrong = match random.u8(..24) {
            0..9 => return self.message(random, Direction::Ingress, right, by_tcp),
            9..12 => {
                let by = reply.clone().by(&ALIASES[..random.usize(1..=ALIASES.len())]);
                return self.message(random, Direction::Ingress, by.bytes(), by_tcp);
            }
            12 => Reply::to(random.u16(TRANSACTIONS), text, *v4).addresses(told).bytes(),
            13 => Reply::to(*id, any(random, &pool.named).name, *v4).addresses(told).bytes(),
            14 => reply.clone().aside().bytes(),
            15 => reply.clone().truncated().bytes(),
            16 => reply.clone().refused().bytes(),
            17 => spoiled(random, right.clone()),
            18 => right[..random.usize(..right.len())].to_vec(),
            19 => led_astray(random, right.clone(), question(*id, text, *v4).len()),
            20 if random.bool() => {
                // With something behind the answer that makes it too long.
                let long = [right, vec![0; random.usize(2_000..2_500)]].concat();
                return self.message(random, Direction::Ingress, long, by_tcp);
            }
            20 => {
                let many = asked.many(random);
                return self.message(random, Direction::Ingress, reply.addresses(&many).bytes(), by_tcp);
            }
            21 => return self.elsewhere(random, right),
            22 => return self.in_parts(random, &right, by_tcp),
            _ => right.clone(),
        };
        self.message(random, Direction::Ingress, wrong, by_tcp);
        if random.u8(..3) == 0 {
            self.message(random, Direction::Ingress, right, by_tcp);
        }
    }

    /// A message of its own; by TCP its length may go ahead, or another message come behind it.
    fn message(&mut self, random: &mut Rng, direction: Direction, message: Vec<u8>, by_tcp: bool) {
        if !by_tcp {
            return self.say(direction, self.ends.frame(direction).udp().payload(message));
        }
        let whole = over_tcp(&message);
        match random.u8(..8) {
            0 => {
                self.carry(direction, PSH | ACK, whole[..2].to_vec());
                self.carry(direction, PSH | ACK, message);
            }
            1 => self.carry(direction, PSH | ACK, [whole, over_tcp(&[0; 14])].concat()),
            _ => self.carry(direction, PSH | ACK, whole),
        }
    }

    /// Somebody else answers, or the resolver does so to another port.
    fn elsewhere(&mut self, random: &mut Rng, message: Vec<u8>) {
        let frame = self.ends.frame(Direction::Ingress).udp().payload(message);
        let (stranger, source) = (STRANGERS[usize::from(!frame.is_ipv4())], frame.source.port);
        let frame = match random.u8(..3) {
            0 => frame.clone().to((frame.destination.address, frame.destination.port ^ 1)),
            1 => frame.clone().from((frame.source.address, source + 5_300)),
            _ => frame.from((stranger.parse::<IpAddr>().expect("an address"), source)),
        };
        self.say(Direction::Ingress, frame);
    }

    /// In fragments, or in segments.
    fn in_parts(&mut self, random: &mut Rng, message: &[u8], by_tcp: bool) {
        if by_tcp {
            let whole = over_tcp(message);
            let (first, second) = whole.split_at(random.usize(1..whole.len()));
            self.carry(Direction::Ingress, PSH | ACK, first.to_vec());
            self.carry(Direction::Ingress, PSH | ACK, second.to_vec());
        } else {
            let whole = self.ends.frame(Direction::Ingress).udp().payload(message);
            self.in_pieces(random, Direction::Ingress, &whole);
        }
    }
}

impl<'p> Asked<'p> {
    fn new(random: &mut Rng, pool: &'p Pool) -> Self {
        let of = any(random, &pool.named);
        let mut any_case = |letter: char| if random.bool() { letter.to_ascii_uppercase() } else { letter };
        let text = of.name.chars().map(&mut any_case).collect();
        Self { id: random.u16(TRANSACTIONS), of, text, v4: random.u8(..3) != 0 }
    }

    /// Some that the name may have, and not always of the family that was asked for.
    fn addresses(&self, random: &mut Rng) -> Vec<IpAddr> {
        let mixed = random.u8(..16) == 0;
        let fitting: Vec<IpAddr> =
            self.of.addresses.iter().copied().filter(|one| mixed || one.is_ipv4() == self.v4).collect();
        let count = random.usize(..5).min(fitting.len());
        (0..count).map(|_| *any(random, &fitting)).collect()
    }

    /// More than are read.
    fn many(&self, random: &mut Rng) -> Vec<IpAddr> {
        let v6: Vec<_> = self.of.addresses.iter().filter(|one| one.is_ipv6()).copied().collect();
        let all = if self.v4 || v6.is_empty() { &self.of.addresses } else { &v6 };
        (0..random.usize(60..100)).map(|_| *any(random, all)).collect()
    }
}

/// A few bits are others.
fn spoiled(random: &mut Rng, mut message: Vec<u8>) -> Vec<u8> {
    for _ in 0..random.u8(1..4) {
        let at = random.usize(..message.len());
        message[at] ^= 1 << random.u8(..8);
    }
    message
}

/// The first record's owner is a pointer to anywhere around it.
fn led_astray(random: &mut Rng, mut message: Vec<u8>, owner: usize) -> Vec<u8> {
    let target = random.usize(..owner + 4);
    if let (Some(place), Ok(low)) = (message.get_mut(owner..owner + 2), u8::try_from(target)) {
        place.copy_from_slice(&[0xc0, low]);
    }
    message
}

fn any<'a, T>(random: &mut Rng, all: &'a [T]) -> &'a T {
    &all[random.usize(..all.len())]
}

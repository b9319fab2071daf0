//! What is read of resolvers' traffic: a question leaves its key, and the answer to it tells addresses, before the packet
//! goes on to who asked.
//!
//! The kernel programs keep all of it in one per-CPU value: a [`Dns`]. A step over a name and one over a record are
//! functions of their own there, so that the verifier proves each once.

mod answer;
mod name;
mod outcome;
mod question;

pub use answer::{MAX_RECORDS, answer, begin, record, turn};
pub use name::{MAX_STEPS, Walked, read, step};
pub use outcome::Outcome;
pub use question::{PATIENCE, Query, QueryKey, ask};

use crate::{
    Address, Decision, Direction, Packet,
    flow::FlowKey,
    names::{KEY_BYTES, LearnedName, NameId, NameKey},
    number::protocol,
    parse::{Fragment, Headers},
    settings::{Settings, flag},
};

/// The port that resolvers answer at (RFC 1035, section 4.2).
pub const PORT: u16 = 53;
/// Bytes of a message that are read: more than any whole packet of an Ethernet network without jumbo frames has.
pub const MAX_MESSAGE: usize = 2_048;
/// Bytes in front of the question.
const HEADER: u32 = 12;
/// An address lives at least as long, in seconds: clients keep what they resolved for a while.
pub const SHORTEST_LIFE: u32 = 60;
/// And at most as long: what a resolver is wrong about, or somebody in its place, is not believed for ever.
pub const LONGEST_LIFE: u32 = 86_400;
/// Class IN.
const INTERNET: u16 = 1;

/// A message that is being read, and where the reader stands.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Dns {
    message: [u8; MAX_MESSAGE],
    /// The name that was asked for.
    pub hint: Hint,
    /// The same as a key.
    pub key: NameKey,
    /// Bytes of the message that are there.
    length: u32,
    /// What is missing of it, as an [`Outcome`]'s number; 0 where it is whole.
    cut: u32,
    /// Offset in the frame of what stands behind it in its segment; 0 where nothing does.
    behind: u32,
    reserved: u32,
    walk: name::Walk,
    found: answer::Found,
    /// What the key of a question is put together in: in the kernel there is no room for it on the stack.
    query: QueryKey,
    /// As above, for what is learned.
    name: LearnedName,
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            message: [0; MAX_MESSAGE],
            hint: Hint::default(),
            key: NameKey::default(),
            length: 0,
            cut: 0,
            behind: 0,
            reserved: 0,
            walk: name::Walk::default(),
            found: answer::Found::default(),
            query: QueryKey::default(),
            name: LearnedName::default(),
        }
    }
}

/// A name that was asked for, and by whom it was answered.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint {
    /// Tick of the answer.
    pub seen: u64,
    /// The pattern that it belongs to, or 0.
    pub id: u64,
    /// Who answered.
    pub resolver: Address,
    /// Bytes of the name; 0 where it is none of a host.
    length: u32,
    reserved: u32,
    /// Lower case, its labels with dots between them.
    text: [u8; KEY_BYTES],
}

const _: () = assert!(size_of::<Hint>() == 296);

impl Hint {
    /// The name, if it is one of a host.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        let text = self.text.get(..self.length as usize)?;
        core::str::from_utf8(text).ok().filter(|name| !name.is_empty())
    }
}

/// What learning needs besides the message: maps in the kernel, plain collections in user space.
pub trait Learning {
    /// Secret of the names' hashes.
    fn secret(&self) -> u64;

    /// The clock in ticks.
    fn now(&self) -> u64;

    /// The generation in force.
    fn generation(&self) -> u16;

    /// Ticks in a second.
    fn ticks_per_second(&self) -> u64;

    /// The pattern of the generation in force that a name belongs to: the longest.
    fn wanted(&self, key: &NameKey) -> NameId;

    /// A question is on its way. Those for wanted names are kept apart: who asks for thousands of others must not push
    /// them out.
    fn remember(&self, key: &QueryKey, query: Query, wanted: bool);

    /// A question that was not answered yet.
    fn outstanding(&self, key: &QueryKey) -> Option<Query>;

    /// It is answered now.
    fn forget(&self, key: &QueryKey);

    /// An address of a name that the policy wants.
    fn learn(&self, name: &LearnedName);

    /// The name that an address was answered for, wanted or not.
    fn hint(&self, address: &Address, hint: &Hint);

    /// A wanted name, with its hash, whose answer could not be read whole: for the agent to ask for.
    fn hand_over(&self, question: u64, hint: &Hint);

    /// One step over a name. In the kernel this is a function of its own.
    fn step(&self, dns: &mut Dns) -> u32 {
        step(dns)
    }

    /// A name, see [`read`]. In the kernel this is a function of its own.
    fn read(&self, dns: &mut Dns, at: u32, keeps: u32) -> u32
    where
        Self: Sized,
    {
        read(dns, at, keeps, self)
    }

    /// The name that was asked for, back to front. In the kernel this is a function of its own.
    fn turn(&self, dns: &mut Dns)
    where
        Self: Sized,
    {
        turn(dns, self);
    }

    /// An answer before its records, see [`begin`]. In the kernel this is a function of its own.
    fn begin(&self, dns: &mut Dns, flow: &FlowKey) -> u32
    where
        Self: Sized,
    {
        begin(dns, flow, self)
    }

    /// One record. In the kernel this is a function of its own.
    fn record(&self, dns: &mut Dns) -> u32
    where
        Self: Sized,
    {
        record(dns, self)
    }
}

/// How long an address lives, in seconds, that was answered with this lifetime.
#[inline(always)]
#[must_use]
pub const fn life(told: u32) -> u32 {
    // A lifetime with its highest bit set is none (RFC 2181, section 8).
    if told < SHORTEST_LIFE || told >> 31 != 0 {
        SHORTEST_LIFE
    } else if told > LONGEST_LIFE {
        LONGEST_LIFE
    } else {
        told
    }
}

/// Whether a packet with this verdict may hold a question to a resolver or its answer.
#[inline(always)]
#[must_use]
pub fn concerns(headers: &Headers, decision: Decision, settings: &Settings) -> bool {
    headers.transport().is_some() && headers.key.remote_port() == PORT && listens(decision, settings)
}

/// Whether a verdict is that of a resolver's rule, and names are wanted.
#[inline(always)]
#[must_use]
pub(crate) fn listens(decision: Decision, settings: &Settings) -> bool {
    let Some(rule) = decision.rule() else { return false };
    settings.has(flag::NAMES) && decision.passes() && settings.is_resolvers(rule)
}

/// Messages that are read of one packet: clients ask for addresses of both families at once.
pub const MESSAGES: usize = 2;

/// Reads a message off a packet, the first one or that which stands at `from` in the frame: see [`Dns::next`]. `None` where
/// there is nothing to read, as in a bare acknowledgement.
#[inline(always)]
pub fn load<P: Packet + ?Sized>(packet: &P, headers: &Headers, dns: &mut Dns, from: u32) -> Option<()> {
    dns.behind = 0;
    dns.cut = match headers.fragment {
        Fragment::First => Outcome::Fragmented as u32,
        Fragment::Whole | Fragment::Only | Fragment::Later => 0,
    };
    let (begin, length) = if headers.protocol == protocol::TCP {
        let [words] = packet.read::<1>(headers.offset + 12)?;
        let first = headers.offset + u32::from(words >> 4) * 4;
        let payload = if from == 0 { first } else { from };
        let there = headers.end.checked_sub(payload + 2)?;
        let announced = u32::from(u16::from_be_bytes(packet.read(payload)?));
        if announced != there {
            dns.cut = Outcome::Segmented as u32;
        }
        if announced != there && stands_alone(packet, payload) {
            (payload, there + 2)
        } else if announced < there {
            dns.behind = payload + 2 + announced;
            (payload + 2, announced)
        } else {
            (payload + 2, there)
        }
    } else {
        (headers.offset + 8, headers.end.checked_sub(headers.offset + 8)?)
    };
    if length < HEADER {
        return None;
    }
    let length = if length > MAX_MESSAGE as u32 {
        dns.cut = Outcome::TooLong as u32;
        MAX_MESSAGE as u32
    } else {
        length
    };
    dns.length = if packet.copy(begin, length, &mut dns.message) { length } else { 0 };
    (dns.length != 0).then_some(())
}

/// Whether a segment begins with a message itself: some send its length ahead, in a segment of its own. Behind a length
/// there would be a query with an error, which nobody sends.
#[inline(always)]
fn stands_alone<P: Packet + ?Sized>(packet: &P, payload: u32) -> bool {
    let Some([high, low, first, second]) = packet.read(payload + 2) else { return false };
    u16::from_be_bytes([high, low]) & question::OPCODE == 0 && u16::from_be_bytes([first, second]) == 1
}

/// What a message that was [`load`]ed comes to, from a packet of `flow` in `direction`.
#[inline(always)]
pub fn follow<L: Learning>(dns: &mut Dns, flow: &FlowKey, direction: Direction, learning: &L) -> Outcome {
    match direction {
        Direction::Egress => ask(dns, flow, learning),
        Direction::Ingress => answer(dns, flow, learning),
    }
}

impl Dns {
    /// Where in the frame the next question stands that is to be [`load`]ed; 0 where there is none. Of several answers the
    /// agent asks for those behind the first.
    #[inline(always)]
    #[must_use]
    pub const fn next(&self, direction: Direction) -> u32 {
        match direction {
            Direction::Ingress => 0,
            Direction::Egress => self.behind,
        }
    }

    #[inline(always)]
    fn byte(&self, at: u32) -> Option<u8> {
        if at < self.length { Some(self.message[at as usize & (MAX_MESSAGE - 1)]) } else { None }
    }

    #[inline(always)]
    fn number(&self, at: u32) -> Option<u16> {
        Some(u16::from_be_bytes([self.byte(at)?, self.byte(at + 1)?]))
    }

    #[inline(always)]
    fn long(&self, at: u32) -> Option<u32> {
        Some(u32::from(self.number(at)?) << 16 | u32::from(self.number(at + 2)?))
    }

    /// What a message comes to that can't be read further: it is broken, or cut.
    #[inline(always)]
    const fn ended(&self) -> Outcome {
        Outcome::cut(self.cut)
    }
}

impl Default for Hint {
    fn default() -> Self {
        let resolver = Address::UNSPECIFIED;
        Self { seen: 0, id: 0, resolver, length: 0, reserved: 0, text: [0; KEY_BYTES] }
    }
}

#[cfg(feature = "user")]
// SAFETY: `repr(C)` of integers and an address, its padding spelled out; every bit pattern is a value.
unsafe impl aya::Pod for Hint {}

#[cfg(test)]
mod tests;

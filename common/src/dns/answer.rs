//! A resolver's answer: the addresses in its answer section that belong to the name that was asked for, by way of CNAMEs
//! too.

use core::hint::black_box;

use super::{
    Dns, INTERNET, Learning, Outcome, PATIENCE, Query, QueryKey,
    question::{header, question},
};
use crate::{
    Address,
    flow::FlowKey,
    names::{KEY_BYTES, NameId, NameKey},
    page::half,
};

/// Records of one answer that are read.
pub const MAX_RECORDS: u32 = 64;
/// Truncated (RFC 1035, section 4.1.1).
const TRUNCATED: u16 = 0x0200;
/// Where the reason is why there is no answer.
const RCODE: u16 = 0x000f;
/// Types of records (RFC 1035, RFC 3596).
const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;

/// What is known of an answer while its records are read.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    /// Hash of the name that was asked for.
    pub(super) question: u64,
    /// Hash of the name that the next address has to be of.
    chain: u64,
    /// Where the next record is.
    at: u32,
    /// Addresses so far.
    addresses: u32,
    /// Where the first record is.
    begin: u32,
    /// 1 where addresses are learned, and not only looked at.
    teaches: u32,
}

/// A record was read, or the message ends within it.
const READ: u32 = 0;
const BROKEN: u32 = 1;

/// Learns from an answer, if it is one to a question that was asked.
#[inline(always)]
pub fn answer<L: Learning>(dns: &mut Dns, flow: &FlowKey, learning: &L) -> Outcome {
    let outcome = judge(dns, flow, learning);
    if outcome.is_partial() && dns.hint.id != NameId::NONE.word() {
        learning.hand_over(dns.found.question, &dns.hint);
    }
    outcome
}

#[inline(always)]
fn judge<L: Learning>(dns: &mut Dns, flow: &FlowKey, learning: &L) -> Outcome {
    let begun = Outcome::of(learning.begin(dns, flow));
    if matches!(begun, Outcome::Learned) { records(dns, learning) } else { begun }
}

/// Reads an answer as far as its records: the number of [`Outcome::Learned`] where they are to be read.
#[inline(always)]
pub fn begin<L: Learning>(dns: &mut Dns, flow: &FlowKey, learning: &L) -> u32 {
    dns.found = Found::default();
    dns.hint.text = [0; KEY_BYTES];
    (dns.hint.seen, dns.hint.id, dns.hint.resolver) = (learning.now(), NameId::NONE.word(), *flow.remote());
    expected(dns, flow, learning) as u32
}

#[inline(always)]
fn expected<L: Learning>(dns: &mut Dns, flow: &FlowKey, learning: &L) -> Outcome {
    let Some(asked) = header(dns) else { return dns.ended() };
    if !asked.is_answer() {
        return dns.ended();
    }
    dns.query = QueryKey { flow: *flow, id: asked.id.into() };
    let Some(query) = learning.outstanding(&dns.query) else { return dns.unasked() };
    if learning.now() > query.asked.saturating_add(PATIENCE * learning.ticks_per_second()) {
        return dns.unasked();
    }
    let Some(kind) = question(dns, 1, learning) else { return dns.ended() };
    let Query { name, kind: wanted, asked: _ } = query;
    if dns.walk.hash != name || u64::from(kind) != wanted {
        return Outcome::OtherQuestion;
    }
    learning.forget(&dns.query);
    if asked.flags & TRUNCATED != 0 {
        return Outcome::Truncated;
    }
    dns.name_it(learning);
    if asked.flags & RCODE != 0 { dns.nothing() } else { Outcome::Learned }
}

#[inline(always)]
fn records<L: Learning>(dns: &mut Dns, learning: &L) -> Outcome {
    let Some(count) = dns.number(6) else { return dns.ended() };
    // Nothing of a broken message is learned; of one that goes on elsewhere, what is here.
    if !all(dns, count, learning) && dns.cut == 0 {
        return Outcome::Malformed;
    }
    dns.found.teaches = 1;
    if !all(dns, count, learning) {
        return dns.ended();
    }
    if u32::from(count) > MAX_RECORDS {
        return Outcome::TooMany;
    }
    if dns.cut != 0 {
        return dns.ended();
    }
    if dns.found.addresses == 0 || dns.hint.id == NameId::NONE.word() {
        dns.nothing()
    } else {
        Outcome::Learned
    }
}

/// Reads the records from the first one on; whether none is broken.
#[inline(always)]
fn all<L: Learning>(dns: &mut Dns, count: u16, learning: &L) -> bool {
    dns.found.chain = dns.found.question;
    dns.found.at = dns.found.begin;
    for done in 0..MAX_RECORDS {
        // Asked anew each time: from the lesser of both the compiler counts down, and Linux 6.1 sees no end of that.
        if done >= black_box(u32::from(count)) {
            break;
        }
        if learning.record(dns) != READ {
            return false;
        }
    }
    true
}

/// Reads one record, and learns its address if it is one of the name that was asked for.
#[inline(always)]
pub fn record<L: Learning>(dns: &mut Dns, learning: &L) -> u32 {
    match try_record(dns, learning) {
        Some(()) => READ,
        None => BROKEN,
    }
}

#[inline(always)]
fn try_record<L: Learning>(dns: &mut Dns, learning: &L) -> Option<()> {
    let end = dns.name_at(dns.found.at, learning)?;
    let owned = dns.walk.hash == dns.found.chain;
    let (kind, class) = (dns.number(end)?, dns.number(end + 2)?);
    let (life, length) = (dns.long(end + 4)?, u32::from(dns.number(end + 8)?));
    let data = end + 10;
    if data + length > dns.length {
        return None;
    }
    dns.found.at = data + length;
    if !owned || class != INTERNET {
        return Some(());
    }
    match (kind, length) {
        (A, 4) => {
            dns.name.address = Address::v4(dns.long(data)?.to_be_bytes());
            dns.learn(life, learning);
        }
        (AAAA, 16) => {
            let high = dns.quad(data)?;
            dns.name.address = Address::v6(high, dns.quad(data + 8)?);
            // An IPv4 address in its IPv6 form is that of no host.
            if !dns.name.address.is_v4() {
                dns.learn(life, learning);
            }
        }
        (CNAME, _) => {
            if dns.name_at(data, learning)? != data + length {
                return None;
            }
            dns.found.chain = dns.walk.hash;
        }
        (A | AAAA, _) => return None,
        (_, _) => {}
    }
    Some(())
}

impl Dns {
    /// An answer that nobody waits for; one in pieces may be the rest of another.
    #[inline(always)]
    const fn unasked(&self) -> Outcome {
        if self.cut == 0 { Outcome::Unasked } else { self.ended() }
    }

    #[inline(always)]
    const fn nothing(&self) -> Outcome {
        if self.hint.id == NameId::NONE.word() { Outcome::NotListed } else { Outcome::NoAddress }
    }

    /// Which pattern the name that was asked for belongs to, if it is one that a host may have.
    #[inline(always)]
    pub(super) fn name_it<L: Learning>(&mut self, learning: &L) {
        self.hint.length = self.walk.length;
        self.found.question = self.walk.hash;
        // Behind the name come its type and class.
        self.found.begin = self.walk.end + 4;
        if self.walk.odd != 0 {
            self.hint.length = 0;
            return;
        }
        learning.turn(self);
        self.hint.id = learning.wanted(&self.key).word();
    }

    /// Where the name at `at` ends, if it is one.
    #[inline(always)]
    fn name_at<L: Learning>(&mut self, at: u32, learning: &L) -> Option<u32> {
        match learning.read(self, at, 0) {
            0 => None,
            end => Some(end),
        }
    }

    #[inline(always)]
    fn quad(&self, at: u32) -> Option<[u8; 8]> {
        let [a, b, c, d] = self.long(at)?.to_be_bytes();
        let [e, f, g, h] = self.long(at + 4)?.to_be_bytes();
        Some([a, b, c, d, e, f, g, h])
    }

    /// An address of the name that was asked for.
    #[inline(always)]
    fn learn<L: Learning>(&mut self, life: u32, learning: &L) {
        if self.found.teaches == 0 {
            return;
        }
        let life = super::life(life);
        let now = learning.now();
        self.found.addresses += 1;
        self.name.id = self.hint.id;
        self.name.resolver = self.hint.resolver;
        self.name.since = now;
        self.name.until = now.saturating_add(u64::from(life) * learning.ticks_per_second());
        if self.hint.id != NameId::NONE.word() {
            learning.learn(&self.name);
        }
        learning.hint(&self.name.address, &self.hint);
    }
}

/// Writes the key of the name that was asked for. Behind the name its text is zero, so that the verifier sees one way
/// through.
#[inline(always)]
pub fn turn<L: Learning>(dns: &mut Dns, learning: &L) {
    let length = dns.hint.length as usize & (KEY_BYTES - 1);
    dns.key.bits = NameKey::WHOLE;
    dns.key.data[0] = half(learning.generation()) as u8;
    for at in 0..KEY_BYTES - 1 {
        dns.key.data[at + 1] = dns.hint.text[length.wrapping_sub(1).wrapping_sub(at) & (KEY_BYTES - 1)];
    }
}

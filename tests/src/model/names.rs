//! Names that a policy wants, and the addresses that answers tell of them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    net::IpAddr,
};

use portreeve_common::dns::Outcome;

use super::{
    ends::Ends,
    message::{Carried, End, Name, Question},
    rules::is_below,
};

/// An answer is waited for so long, in milliseconds.
const PATIENCE: u64 = 30_000;
/// An address lives at least so long, in seconds.
const SHORTEST: u32 = 60;
/// And at most.
const LONGEST: u32 = 86_400;
/// Addresses of one pattern.
const MOST: usize = 64;

/// Questions, answers, and what came of them.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// By the transaction's number, and when.
    questions: HashMap<(Ends, u16), (Question, u64)>,
    /// The patterns of each address, and until when.
    learned: HashMap<IpAddr, BTreeMap<String, u64>>,
    /// Each pattern's addresses, the first that was learned first.
    order: HashMap<String, VecDeque<IpAddr>>,
    outcomes: BTreeMap<Outcome, u64>,
}

/// For whom names are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// A peer to which a flow begins: they hold for their time.
    New,
    /// One to which a flow lives: they hold as long as they are remembered.
    Lives,
}

impl Names {
    /// The patterns that an address' names belonged to.
    pub(super) fn of(&self, address: IpAddr, peer: Peer, now: u64) -> Vec<&str> {
        let all = self.learned.get(&address).into_iter().flatten();
        let held = all.filter(|(_, until)| peer == Peer::Lives || now <= **until);
        held.map(|(pattern, _)| pattern.as_str()).collect()
    }

    pub(super) fn learned(&self) -> Vec<(IpAddr, String, u64)> {
        let of = |(address, patterns): (&IpAddr, &BTreeMap<String, u64>)| {
            let address = *address;
            patterns.clone().into_iter().map(move |(pattern, until)| (address, pattern, until))
        };
        let mut all: Vec<_> = self.learned.iter().flat_map(of).collect();
        all.sort();
        all
    }

    pub(super) const fn outcomes(&self) -> &BTreeMap<Outcome, u64> {
        &self.outcomes
    }

    /// A packet on its way to a resolver.
    pub(super) fn ask(&mut self, ends: Ends, carried: &Carried<'_>, now: u64) {
        let outcome = match (carried.header(), carried.question()) {
            (None, _) => carried.ended(),
            (Some(header), _) if !header.is_query() => Outcome::Malformed,
            (Some(_), None) => carried.ended(),
            (Some(header), Some(question)) => {
                self.questions.insert((ends, header.id), (question, now));
                Outcome::Asked
            }
        };
        self.count(outcome);
    }

    /// A packet from a resolver.
    pub(super) fn answer(
        &mut self,
        ends: Ends,
        carried: &Carried<'_>,
        patterns: &BTreeSet<String>,
        now: u64,
    ) {
        let outcome = self.answered(ends, carried, patterns, now);
        self.count(outcome);
    }

    fn answered(
        &mut self,
        ends: Ends,
        carried: &Carried<'_>,
        patterns: &BTreeSet<String>,
        now: u64,
    ) -> Outcome {
        let Some(header) = carried.header().filter(|header| header.is_answer()) else {
            return carried.ended();
        };
        let waiting = self.questions.get(&(ends, header.id)).filter(|(_, asked)| now <= asked + PATIENCE);
        let Some((asked, _)) = waiting else { return carried.cut.unwrap_or(Outcome::Unasked) };
        let Some(question) = carried.question() else { return carried.ended() };
        if question != *asked {
            return Outcome::OtherQuestion;
        }
        self.questions.remove(&(ends, header.id));
        if header.is_truncated() {
            return Outcome::Truncated;
        }
        let pattern = wanted(&question.name, patterns);
        let nothing = if pattern.is_some() { Outcome::NoAddress } else { Outcome::NotListed };
        if header.is_refusal() {
            return nothing;
        }
        let Some(told) = carried.told() else { return carried.ended() };
        // Of a broken message nothing is believed; of one that goes on elsewhere, what is here.
        let broken = told.ends == Some(End::Broken);
        if broken && carried.cut.is_none() {
            return Outcome::Malformed;
        }
        for (address, life) in &told.addresses {
            if let Some(pattern) = pattern {
                self.learn(*address, pattern, now + lifetime(*life));
            }
        }
        match (told.ends, carried.cut) {
            (Some(End::Broken), _) => carried.ended(),
            (Some(End::Many), _) => Outcome::TooMany,
            (None, Some(cut)) => cut,
            (None, None) if told.addresses.is_empty() || pattern.is_none() => nothing,
            (None, None) => Outcome::Learned,
        }
    }

    /// The oldest address of a pattern makes way.
    fn learn(&mut self, address: IpAddr, pattern: &str, until: u64) {
        if let Some(held) = self.learned.entry(address).or_default().get_mut(pattern) {
            *held = until.max(*held);
            return;
        }
        self.learned.entry(address).or_default().insert(pattern.to_owned(), until);
        let order = self.order.entry(pattern.to_owned()).or_default();
        order.push_back(address);
        if order.len() <= MOST {
            return;
        }
        if let Some(patterns) = order.pop_front().and_then(|oldest| self.learned.get_mut(&oldest)) {
            patterns.remove(pattern);
        }
    }

    fn count(&mut self, outcome: Outcome) {
        *self.outcomes.entry(outcome).or_default() += 1;
    }
}

/// In milliseconds; a day at most. With its highest bit set it is none (RFC 2181, section 8).
fn lifetime(seconds: u32) -> u64 {
    let seconds = if seconds >> 31 == 1 { 0 } else { seconds };
    u64::from(seconds.clamp(SHORTEST, LONGEST)) * 1_000
}

/// The pattern that a name belongs to: its own, else the longest wildcard above it. A name that no host can have belongs
/// to none.
fn wanted<'p>(name: &Name, patterns: &'p BTreeSet<String>) -> Option<&'p str> {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(byte);
    if !name.iter().flatten().all(plain) {
        return None;
    }
    let labels: Vec<_> = name.iter().map(|label| String::from_utf8_lossy(label)).collect();
    let text = labels.join(".");
    let above =
        patterns.iter().filter(|pattern| is_below(&text, pattern)).max_by_key(|pattern| pattern.len());
    patterns.get(&text).or(above).map(String::as_str)
}

use std::{cell::RefCell, collections::HashMap};

use super::*;

const CLIENT: Address = Address::v4([192, 0, 2, 10]);
const RESOLVER: Address = Address::v4([192, 0, 2, 53]);
const HZ: u64 = 100;
const NOW: u64 = 1_000;

/// Plain collections in place of maps.
#[derive(Default)]
struct World {
    patterns: Vec<&'static str>,
    now: u64,
    queries: RefCell<HashMap<QueryKey, Query>>,
    learned: RefCell<Vec<LearnedName>>,
    hints: RefCell<Vec<(Address, String)>>,
    handed: RefCell<u32>,
}

impl Learning for World {
    fn secret(&self) -> u64 {
        7
    }
    fn now(&self) -> u64 {
        self.now
    }
    fn generation(&self) -> u16 {
        1
    }
    fn ticks_per_second(&self) -> u64 {
        HZ
    }
    fn wanted(&self, key: &NameKey) -> NameId {
        let of = |pattern: &&str| (NameKey::of(1, pattern), NameId::of(pattern));
        let longest = self.patterns.iter().map(of).filter(|(pattern, _)| pattern.matches(key));
        longest.max_by_key(|(pattern, _)| pattern.bits).map_or(NameId::NONE, |(_, id)| id)
    }
    fn remember(&self, key: &QueryKey, query: Query, _wanted: bool) {
        self.queries.borrow_mut().insert(*key, query);
    }
    fn outstanding(&self, key: &QueryKey) -> Option<Query> {
        self.queries.borrow().get(key).copied()
    }
    fn forget(&self, key: &QueryKey) {
        self.queries.borrow_mut().remove(key);
    }
    fn learn(&self, name: &LearnedName) {
        self.learned.borrow_mut().push(*name);
    }
    fn hint(&self, address: &Address, hint: &Hint) {
        self.hints.borrow_mut().push((*address, hint.name().unwrap_or("?").to_owned()));
    }
    fn hand_over(&self, _question: u64, _hint: &Hint) {
        *self.handed.borrow_mut() += 1;
    }
}

fn flow() -> FlowKey {
    FlowKey::new(CLIENT, RESOLVER, 40_000, PORT, protocol::UDP)
}

fn name(text: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        wire.push(label.len() as u8);
        wire.extend(label.bytes());
    }
    wire.push(0);
    wire
}

fn message(flags: u16, counts: [u16; 4], rest: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34];
    bytes.extend(flags.to_be_bytes());
    counts.iter().for_each(|count| bytes.extend(count.to_be_bytes()));
    rest.iter().for_each(|part| bytes.extend(*part));
    bytes
}

fn question(of: &str) -> Vec<u8> {
    [name(of), vec![0, 1, 0, 1]].concat()
}

fn query(of: &str) -> Vec<u8> {
    message(0x0100, [1, 0, 0, 0], &[&question(of)])
}

fn rr(owner: &[u8], kind: u16, life: u32, data: &[u8]) -> Vec<u8> {
    let length = data.len() as u16;
    let fixed: [&[u8]; 4] = [&kind.to_be_bytes(), &[0, 1], &life.to_be_bytes(), &length.to_be_bytes()];
    [owner, &fixed.concat(), data].concat()
}

fn answered(of: &str, records: &[Vec<u8>]) -> Vec<u8> {
    let parts: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
    let question = question(of);
    message(0x8180, [1, records.len() as u16, 0, 0], &[&[question.as_slice()], parts.as_slice()].concat())
}

/// A pointer to the question's name.
const TOP: &[u8] = &[0xc0, 12];
const A: u16 = 1;
const CNAME: u16 = 5;

fn world() -> World {
    let patterns = vec!["api.example.com", "*.example.com", "*.balena-cloud.com"];
    World { patterns, now: NOW, ..World::default() }
}

fn read(world: &World, direction: Direction, bytes: &[u8]) -> Outcome {
    let mut dns = Dns::default();
    dns.message[..bytes.len()].copy_from_slice(bytes);
    dns.length = bytes.len() as u32;
    follow(&mut dns, &flow(), direction, world)
}

fn exchange(world: &World, of: &str, bytes: &[u8]) -> Outcome {
    assert_eq!(read(world, Direction::Egress, &query(of)), Outcome::Asked);
    read(world, Direction::Ingress, bytes)
}

#[test]
fn addresses_of_a_wanted_name_are_learned_for_their_time() {
    let world = world();
    let bytes = answered(
        "API.example.com",
        &[
            rr(TOP, A, 300, &[203, 0, 113, 1]),
            rr(&name("api.EXAMPLE.com"), A, 5, &[203, 0, 113, 2]),
            rr(
                TOP,
                28,
                90,
                &Address::v6([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 9]).octets(),
            ),
        ],
    );
    assert_eq!(exchange(&world, "api.example.com", &bytes), Outcome::Learned);
    let learned = world.learned.borrow();
    let until: Vec<u64> = learned.iter().map(|name| name.until).collect();
    assert_eq!(until, [NOW + 300 * HZ, NOW + 60 * HZ, NOW + 90 * HZ]);
    assert!(learned.iter().all(|name| name.id == NameId::of("api.example.com").word()));
    assert!(learned.iter().all(|name| name.resolver == RESOLVER && name.since == NOW));
    assert_eq!(world.hints.borrow()[0].1, "api.example.com");
}

#[test]
fn a_cname_leads_on_and_nothing_else_does() {
    let world = world();
    let bytes = answered(
        "a.b.balena-cloud.com",
        &[
            rr(TOP, CNAME, 60, &name("edge.example.net")),
            rr(&name("edge.example.net"), A, 60, &[203, 0, 113, 3]),
            rr(&name("other.example.net"), A, 60, &[203, 0, 113, 4]),
        ],
    );
    assert_eq!(exchange(&world, "a.b.balena-cloud.com", &bytes), Outcome::Learned);
    let learned = world.learned.borrow();
    assert_eq!(learned.len(), 1);
    assert_eq!(learned[0].address, Address::v4([203, 0, 113, 3]));
    assert_eq!(learned[0].id, NameId::of("*.balena-cloud.com").word());
}

#[test]
fn a_name_that_merely_ends_alike_is_not_wanted() {
    for other in ["evilbalena-cloud.com", "balena-cloud.com", "example.org", "api.example.com.example.org"] {
        let world = world();
        let bytes = answered(other, &[rr(TOP, A, 60, &[203, 0, 113, 3])]);
        assert_eq!(exchange(&world, other, &bytes), Outcome::NotListed, "{other}");
        assert!(world.learned.borrow().is_empty());
        assert_eq!(world.hints.borrow()[0].1, other);
    }
}

#[test]
fn a_length_hidden_in_a_label_makes_no_boundary() {
    let world = world();
    // One label: `x`, a byte that looks like a dot or a length, `example`.
    for odd in [b'.', 7] {
        let label = [&[9, b'x', odd][..], b"example", &[3], b"com", &[0]].concat();
        let question = [&label[..], &[0, 1, 0, 1]].concat();
        let asks = message(0x0100, [1, 0, 0, 0], &[&question]);
        assert_eq!(read(&world, Direction::Egress, &asks), Outcome::Asked);
        let record = rr(TOP, A, 60, &[203, 0, 113, 3]);
        let answers = message(0x8180, [1, 1, 0, 0], &[&question, &record]);
        assert_eq!(read(&world, Direction::Ingress, &answers), Outcome::NotListed);
    }
    assert!(world.learned.borrow().is_empty());
}

#[test]
fn only_what_was_asked_for_is_learned_and_once() {
    let world = world();
    let bytes = answered("api.example.com", &[rr(TOP, A, 60, &[203, 0, 113, 1])]);
    assert_eq!(read(&world, Direction::Ingress, &bytes), Outcome::Unasked);
    let other = answered("www.example.com", &[rr(TOP, A, 60, &[203, 0, 113, 1])]);
    assert_eq!(exchange(&world, "api.example.com", &other), Outcome::OtherQuestion);
    let mut number = bytes.clone();
    number[1] ^= 1;
    assert_eq!(read(&world, Direction::Ingress, &number), Outcome::Unasked);
    assert!(world.learned.borrow().is_empty());
    assert_eq!(read(&world, Direction::Ingress, &bytes), Outcome::Learned);
    assert_eq!(read(&world, Direction::Ingress, &bytes), Outcome::Unasked);
}

#[test]
fn an_answer_that_comes_too_late_is_none() {
    let mut world = world();
    let bytes = answered("api.example.com", &[rr(TOP, A, 60, &[203, 0, 113, 1])]);
    assert_eq!(read(&world, Direction::Egress, &query("api.example.com")), Outcome::Asked);
    world.now = NOW + PATIENCE * HZ + 1;
    assert_eq!(read(&world, Direction::Ingress, &bytes), Outcome::Unasked);
}

#[test]
fn the_additional_section_says_nothing() {
    let world = world();
    let record = rr(TOP, A, 60, &[203, 0, 113, 1]);
    let bytes = message(0x8180, [1, 0, 0, 1], &[&question("api.example.com"), &record]);
    assert_eq!(exchange(&world, "api.example.com", &bytes), Outcome::NoAddress);
    assert!(world.learned.borrow().is_empty());
}

#[test]
fn refusals_and_truncated_answers_say_so() {
    let world = world();
    let refused = message(0x8183, [1, 0, 0, 0], &[&question("api.example.com")]);
    assert_eq!(exchange(&world, "api.example.com", &refused), Outcome::NoAddress);
    let record = rr(TOP, A, 60, &[203, 0, 113, 1]);
    let truncated = message(0x8380, [1, 1, 0, 0], &[&question("api.example.com"), &record]);
    assert_eq!(exchange(&world, "api.example.com", &truncated), Outcome::Truncated);
    assert!(world.learned.borrow().is_empty());
}

#[test]
fn pointers_that_do_not_lead_back_are_broken() {
    let world = world();
    for owner in [&[0xc0, 33][..], &[0xc0, 34], &[0xff, 0xff], &[1, b'x', 0xc0, 33], &[0x41, 0], &[0x80, 0]] {
        let bytes = answered("api.example.com", &[rr(owner, A, 60, &[203, 0, 113, 1])]);
        assert_eq!(exchange(&world, "api.example.com", &bytes), Outcome::Malformed, "{owner:?}");
    }
    assert!(world.learned.borrow().is_empty());
}

#[test]
fn every_prefix_of_an_answer_is_read_without_harm() {
    let records =
        [rr(TOP, CNAME, 60, &name("e.example.net")), rr(&name("e.example.net"), A, 60, &[203, 0, 113, 3])];
    let whole = answered("api.example.com", &records);
    for length in 0..whole.len() {
        let world = world();
        let outcome = exchange(&world, "api.example.com", &whole[..length]);
        assert_eq!(outcome, Outcome::Malformed, "{length}");
        assert!(world.learned.borrow().is_empty());
    }
}

#[test]
fn more_records_than_are_read_go_to_the_agent() {
    let world = world();
    let records: Vec<_> = (0..=MAX_RECORDS as u8).map(|n| rr(TOP, A, 60, &[203, 0, 113, n])).collect();
    let bytes = answered("api.example.com", &records);
    assert_eq!(exchange(&world, "api.example.com", &bytes), Outcome::TooMany);
    assert_eq!((world.learned.borrow().len(), *world.handed.borrow()), (64, 1));
}

#[test]
fn names_longer_than_names_are_broken() {
    let label = [&[63][..], &[b'a'; 63]].concat();
    let long = [label.clone(), label.clone(), label.clone(), label, vec![0, 0, 1, 0, 1]].concat();
    let world = world();
    let bytes = message(0x0100, [1, 0, 0, 0], &[&long]);
    assert_eq!(read(&world, Direction::Egress, &bytes), Outcome::Malformed);
}

#[test]
fn an_address_lives_a_minute_at_least_and_a_day_at_most() {
    for (told, lives) in [(0, 60), (59, 60), (61, 61), (86_400, 86_400), (86_401, 86_400), (1 << 31, 60)] {
        assert_eq!(life(told), lives, "{told}");
    }
}

//! Questions to resolvers and their answers, as a well-kept library writes them.

use std::net::IpAddr;

use simple_dns::{
    CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, ResourceRecord, TYPE,
    rdata::{A, AAAA, CNAME, RData},
};

/// How long the addresses of an [`answer`] hold, in seconds.
pub const LIFE: u32 = 300;

/// The question for a name's addresses of one family.
#[must_use]
pub fn question(id: u16, name: &str, v4: bool) -> Vec<u8> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    packet.questions.push(asks(name, v4));
    written(&packet)
}

/// The answer to that question: the addresses of the family.
#[must_use]
pub fn answer(id: u16, name: &str, v4: bool, addresses: &[IpAddr]) -> Vec<u8> {
    let mut packet = reply(id, name, v4);
    packet.answers = addresses.iter().map(|address| record(name, *address)).collect();
    written(&packet)
}

/// The same by way of other names, each the alias of the next.
#[must_use]
pub fn answer_by(id: u16, names: &[&str], v4: bool, addresses: &[IpAddr]) -> Vec<u8> {
    let (Some(first), Some(last)) = (names.first(), names.last()) else { return Vec::new() };
    let mut packet = reply(id, first, v4);
    for pair in names.windows(2) {
        let [owner, target] = pair else { continue };
        packet.answers.push(of(owner, RData::CNAME(CNAME(Name::new_unchecked(target)))));
    }
    packet.answers.extend(addresses.iter().map(|address| record(last, *address)));
    written(&packet)
}

/// An answer whose addresses stand in the additional section only.
#[must_use]
pub fn aside(id: u16, name: &str, v4: bool, addresses: &[IpAddr]) -> Vec<u8> {
    let mut packet = reply(id, name, v4);
    packet.additional_records = addresses.iter().map(|address| record(name, *address)).collect();
    written(&packet)
}

/// An answer that says it is cut.
#[must_use]
pub fn truncated(id: u16, name: &str, v4: bool) -> Vec<u8> {
    let mut packet = reply(id, name, v4);
    packet.set_flags(PacketFlag::TRUNCATION);
    written(&packet)
}

/// As TCP carries it: behind its length (RFC 1035, section 4.2.2).
#[must_use]
pub fn over_tcp(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), message].concat()
}

fn reply<'a>(id: u16, name: &'a str, v4: bool) -> Packet<'a> {
    let mut packet = Packet::new_reply(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED | PacketFlag::RECURSION_AVAILABLE);
    packet.questions.push(asks(name, v4));
    packet
}

fn asks(name: &str, v4: bool) -> Question<'_> {
    let kind = if v4 { TYPE::A } else { TYPE::AAAA };
    Question::new(Name::new_unchecked(name), QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN), false)
}

fn record(name: &str, address: IpAddr) -> ResourceRecord<'_> {
    of(
        name,
        match address {
            IpAddr::V4(v4) => RData::A(A::from(v4)),
            IpAddr::V6(v6) => RData::AAAA(AAAA::from(v6)),
        },
    )
}

fn of<'a>(name: &'a str, data: RData<'a>) -> ResourceRecord<'a> {
    ResourceRecord::new(Name::new_unchecked(name), CLASS::IN, LIFE, data)
}

/// Names of tests always fit; an empty message fails every test that would read it.
fn written(packet: &Packet<'_>) -> Vec<u8> {
    packet.build_bytes_vec_compressed().unwrap_or_default()
}

//! Questions to resolvers and their answers, as a well-kept library writes them.

use std::net::IpAddr;

use simple_dns::{
    CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, ResourceRecord, TYPE,
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
    Reply::to(id, name, v4).addresses(addresses).bytes()
}

/// An answer, to be made what it is.
#[derive(Clone, Debug)]
pub struct Reply<'a> {
    id: u16,
    name: &'a str,
    v4: bool,
    aliases: Vec<&'a str>,
    addresses: &'a [IpAddr],
    life: u32,
    /// In the additional section.
    aside: bool,
    truncated: bool,
    code: RCODE,
}

impl<'a> Reply<'a> {
    /// To a question for a name's addresses of one family; it knows none.
    #[must_use]
    pub const fn to(id: u16, name: &'a str, v4: bool) -> Self {
        Self {
            id,
            name,
            v4,
            aliases: Vec::new(),
            addresses: &[],
            life: LIFE,
            aside: false,
            truncated: false,
            code: RCODE::NoError,
        }
    }

    /// With these addresses.
    #[must_use]
    pub fn addresses(self, addresses: &'a [IpAddr]) -> Self {
        Self { addresses, ..self }
    }

    /// By way of other names, each the alias of the one before.
    #[must_use]
    pub fn by(self, aliases: &[&'a str]) -> Self {
        Self { aliases: aliases.to_vec(), ..self }
    }

    /// They hold so many seconds.
    #[must_use]
    pub fn life(self, life: u32) -> Self {
        Self { life, ..self }
    }

    /// Its addresses stand in the additional section only.
    #[must_use]
    pub fn aside(self) -> Self {
        Self { aside: true, ..self }
    }

    /// It says that it is cut.
    #[must_use]
    pub fn truncated(self) -> Self {
        Self { truncated: true, ..self }
    }

    /// There is no such name.
    #[must_use]
    pub fn refused(self) -> Self {
        Self { code: RCODE::NameError, ..self }
    }

    /// The message.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let Self { id, name, v4, ref aliases, addresses, life, aside, truncated, code } = *self;
        let mut packet = Packet::new_reply(id);
        packet.set_flags(PacketFlag::RECURSION_DESIRED | PacketFlag::RECURSION_AVAILABLE);
        if truncated {
            packet.set_flags(PacketFlag::TRUNCATION);
        }
        *packet.rcode_mut() = code;
        packet.questions.push(asks(name, v4));
        let mut owner = name;
        for alias in aliases {
            packet.answers.push(of(owner, life, RData::CNAME(CNAME(Name::new_unchecked(alias)))));
            owner = alias;
        }
        let records = addresses.iter().map(|address| of(owner, life, data(*address)));
        let section = if aside { &mut packet.additional_records } else { &mut packet.answers };
        section.extend(records);
        written(&packet)
    }
}

/// As TCP carries it: behind its length (RFC 1035, section 4.2.2).
#[must_use]
pub fn over_tcp(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), message].concat()
}

fn asks(name: &str, v4: bool) -> Question<'_> {
    let kind = if v4 { TYPE::A } else { TYPE::AAAA };
    Question::new(Name::new_unchecked(name), QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN), false)
}

const fn data<'a>(address: IpAddr) -> RData<'a> {
    match address {
        IpAddr::V4(v4) => RData::A(A { address: v4.to_bits() }),
        IpAddr::V6(v6) => RData::AAAA(AAAA { address: v6.to_bits() }),
    }
}

fn of<'a>(name: &'a str, life: u32, data: RData<'a>) -> ResourceRecord<'a> {
    ResourceRecord::new(Name::new_unchecked(name), CLASS::IN, life, data)
}

/// Names of tests always fit; an empty message fails every test that would read it.
fn written(packet: &Packet<'_>) -> Vec<u8> {
    packet.build_bytes_vec_compressed().unwrap_or_default()
}

//! The agent's own questions to resolvers, and what their answers say.

use std::net::IpAddr;

use simple_dns::{
    CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, SimpleDnsError, TYPE, rdata::RData,
};

/// Aliases that are followed.
const MAX_ALIASES: usize = 16;

/// Why an answer says nothing.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// It can't be written or read.
    #[error("the message is not one of DNS")]
    Form(#[from] SimpleDnsError),
    /// It is to something else.
    #[error("the answer is to another question")]
    Other,
}

/// What an answer says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Addresses, each with its lifetime in seconds.
    pub(super) addresses: Vec<(IpAddr, u32)>,
    /// There is more, over TCP.
    pub(super) truncated: bool,
}

/// The question for a name's addresses of one family.
pub(super) fn question(id: u16, name: &str, v4: bool) -> Result<Vec<u8>, MessageError> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let kind = if v4 { TYPE::A } else { TYPE::AAAA };
    packet.questions.push(Question::new(Name::new(name)?, kind.into(), CLASS::IN.into(), false));
    Ok(packet.build_bytes_vec()?)
}

/// Reads the answer to that question: addresses of the name, by way of aliases too.
pub(super) fn told(bytes: &[u8], id: u16, name: &str, v4: bool) -> Result<Told, MessageError> {
    let packet = Packet::parse(bytes)?;
    let kind = QTYPE::TYPE(if v4 { TYPE::A } else { TYPE::AAAA });
    let class = QCLASS::CLASS(CLASS::IN);
    let asked = |question: &Question<'_>| {
        is(&question.qname, name) && question.qtype == kind && question.qclass == class
    };
    let is_answer = packet.has_flags(PacketFlag::RESPONSE) && packet.id() == id;
    let answers = matches!(packet.rcode(), RCODE::NoError | RCODE::NameError);
    if !is_answer || !answers || packet.questions.len() != 1 || !packet.questions.iter().all(asked) {
        return Err(MessageError::Other);
    }
    let mut owner = name.to_owned();
    for _ in 0..MAX_ALIASES {
        let alias = packet.answers.iter().find_map(|record| {
            let RData::CNAME(target) = &record.rdata else { return None };
            is(&record.name, &owner).then(|| target.0.to_string())
        });
        let Some(alias) = alias else { break };
        owner = alias;
    }
    let of_owner =
        packet.answers.iter().filter(|record| record.class == CLASS::IN && is(&record.name, &owner));
    let address = |data: &RData<'_>| {
        if let (RData::A(a), true) = (data, v4) {
            Some(IpAddr::V4(a.address.into()))
        } else if let (RData::AAAA(aaaa), false) = (data, v4) {
            Some(IpAddr::V6(aaaa.address.into()))
        } else {
            None
        }
    };
    let addresses = of_owner.filter_map(|record| Some((address(&record.rdata)?, record.ttl))).collect();
    Ok(Told { addresses, truncated: packet.has_flags(PacketFlag::TRUNCATION) })
}

fn is(name: &Name<'_>, text: &str) -> bool {
    name.to_string().trim_end_matches('.').eq_ignore_ascii_case(text.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use simple_dns::{
        ResourceRecord,
        rdata::{A, CNAME},
    };

    use super::*;

    fn answer(id: u16, name: &str) -> Vec<u8> {
        let mut packet = Packet::new_reply(id);
        let class = QCLASS::CLASS(CLASS::IN);
        packet.questions.push(Question::new(Name::new(name).unwrap(), TYPE::A.into(), class, false));
        let record = |owner, data| ResourceRecord::new(Name::new(owner).unwrap(), CLASS::IN, 90, data);
        let address = |last| RData::A(A::from(std::net::Ipv4Addr::new(203, 0, 113, last)));
        packet.answers = vec![
            record(name, RData::CNAME(CNAME(Name::new("edge.example.net").unwrap()))),
            record("edge.example.net", address(1)),
            record("other.example.net", address(2)),
        ];
        packet.build_bytes_vec_compressed().unwrap()
    }

    #[test]
    fn an_answer_tells_what_was_asked_for_and_no_more() {
        let told = |id, name, v4| told(&answer(7, "api.example.com"), id, name, v4);
        let wanted = vec![("203.0.113.1".parse().unwrap(), 90)];
        assert_eq!(told(7, "API.example.com", true).unwrap().addresses, wanted);
        for (id, name, v4) in
            [(8, "api.example.com", true), (7, "api.example.org", true), (7, "api.example.com", false)]
        {
            assert!(matches!(told(id, name, v4), Err(MessageError::Other)), "{id} {name} {v4}");
        }
    }

    #[test]
    fn a_refusal_is_no_answer() {
        for (code, answers) in [(RCODE::NoError, true), (RCODE::NameError, true), (RCODE::Refused, false)] {
            let bytes = answer(7, "api.example.com");
            let mut packet = Packet::parse(&bytes).unwrap();
            *packet.rcode_mut() = code;
            let bytes = packet.build_bytes_vec().unwrap();
            assert_eq!(told(&bytes, 7, "api.example.com", true).is_ok(), answers, "{code:?}");
        }
    }

    #[test]
    fn a_question_is_one_that_the_library_reads() {
        let bytes = question(9, "api.example.com", false).unwrap();
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!((packet.id(), packet.questions.len()), (9, 1));
        assert!(is(&packet.questions[0].qname, "api.example.com"));
    }
}

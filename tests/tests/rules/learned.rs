//! Names that are learned while packets pass: by answers to questions that were asked of the policy's resolvers, and by
//! nothing else.

use std::sync::LazyLock;

use portreeve_tests::{
    answer::{Reply, answer, over_tcp, question},
    frame::{Frame, frame},
    policy::RESOLVER,
};

use crate::ways::{Step, inbound, judged, outbound};

const RULES: &str = r#"
[[allow]]
id = "ANY-DNS"
direction = "egress"
protocol = "udp"
port = 5353
peers = "any"
reason = "answers of these are not believed"
[[allow]]
id = "API"
direction = "egress"
protocol = "tcp"
port = 443
peers = ["api.example.com"]
reason = "an exact name"
[[allow]]
id = "CLOUD"
direction = "egress"
protocol = "tcp"
port = [443, 8443]
peers = ["*.example.com", "*.example.net"]
reason = "wildcards"
"#;

static HOST: LazyLock<String> = LazyLock::new(|| format!("{RESOLVER}{RULES}"));

const ID: u16 = 0x1234;
const NAME: &str = "api.example.com";
const ADDRESS: &str = "203.0.113.20";
const HERE: &str = "192.0.2.10:50053";
const THERE: &str = "192.0.2.53:53";

fn asks(message: Vec<u8>) -> Step {
    outbound(frame().from(HERE).to(THERE).udp().payload(message))
}

fn answers(message: Vec<u8>) -> Step {
    answers_from(THERE, HERE, message)
}

fn answers_from(there: &str, here: &str, message: Vec<u8>) -> Step {
    inbound(frame().from(there).to(here).udp().payload(message))
}

fn syn(to: &str) -> Frame {
    let from = if to.starts_with('[') { "[2001:db8:1::10]:50000" } else { "192.0.2.10:50000" };
    frame().from(from).to(to).tcp("S")
}

fn told(name: &str, address: &str) -> Vec<u8> {
    let address: std::net::IpAddr = address.parse().expect("an address");
    answer(ID, name, address.is_ipv4(), &[address])
}

fn aside(id: u16) -> Vec<u8> {
    Reply::to(id, NAME, true).addresses(&[ADDRESS.parse().expect("an address")]).aside().bytes()
}

#[test]
fn an_address_is_a_peer_from_its_answer_on() {
    judged(
        &HOST,
        vec![
            (outbound(syn("203.0.113.20:443")), "wrong-peer API"),
            (asks(question(ID, NAME, true)), "rule DNS"),
            (outbound(syn("203.0.113.20:443")), "wrong-peer API"),
            (answers(told("API.Example.COM", ADDRESS)), "established DNS"),
            (outbound(syn("203.0.113.20:443")), "rule API"),
            (outbound(syn("203.0.113.21:443")), "wrong-peer API"),
            (outbound(syn("203.0.113.20:80")), "no-rule"),
            (inbound(frame().from("203.0.113.20:50000").to("192.0.2.10:443").tcp("S")), "no-rule"),
        ],
    );
}

#[test]
fn a_wildcard_is_for_what_lies_below_and_around_exact_names() {
    judged(
        &HOST,
        vec![
            (asks(question(ID, NAME, true)), "rule DNS"),
            (answers(told(NAME, ADDRESS)), "established DNS"),
            // The wildcard's rule has another port for it.
            (outbound(syn("203.0.113.20:8443")), "rule CLOUD"),
            (asks(question(ID, "a.b.example.net", false)), "established DNS"),
            (answers(told("a.b.example.net", "2001:db8:7::9")), "established DNS"),
            (outbound(syn("[2001:db8:7::9]:443")), "rule CLOUD"),
            (outbound(syn("[2001:db8:7::8]:443")), "wrong-peer API"),
        ],
    );
}

#[test]
fn names_that_merely_end_alike_teach_nothing() {
    let mut sequence = vec![(asks(question(ID, "example.com", true)), "rule DNS")];
    sequence.push((answers(told("example.com", "203.0.113.30")), "established DNS"));
    for other in ["badexample.com", "example.org", "api.example.com.example.org"] {
        sequence.push((asks(question(ID, other, true)), "established DNS"));
        sequence.push((answers(told(other, "203.0.113.30")), "established DNS"));
    }
    sequence.push((outbound(syn("203.0.113.30:443")), "wrong-peer API"));
    judged(&HOST, sequence);
}

#[test]
fn aliases_lead_on() {
    let address = ["203.0.113.40".parse().expect("one")];
    let by = Reply::to(ID, NAME, true).by(&["edge.example.org", "node.example.org"]).addresses(&address);
    judged(
        &HOST,
        vec![
            (asks(question(ID, NAME, true)), "rule DNS"),
            (answers(by.bytes()), "established DNS"),
            (outbound(syn("203.0.113.40:443")), "rule API"),
        ],
    );
}

#[test]
fn answers_that_nobody_asked_for_teach_nothing() {
    let told = || told(NAME, ADDRESS);
    let other_id = answer(ID ^ 1, NAME, true, &[ADDRESS.parse().expect("one")]);
    judged(
        &HOST,
        vec![
            // A flow to the resolver lives, for another question.
            (asks(question(ID ^ 2, "www.example.org", true)), "rule DNS"),
            (answers(told()), "established DNS"),
            (outbound(syn("203.0.113.20:443")), "wrong-peer API"),
            (asks(question(ID, NAME, true)), "established DNS"),
            (answers(other_id), "established DNS"),
            (answers_from("192.0.2.54:53", HERE, told()), "no-rule"),
            (answers_from(THERE, "192.0.2.10:50054", told()), "no-rule"),
            (answers_from("192.0.2.53:5353", HERE, told()), "no-rule"),
            (answers(aside(ID ^ 3)), "established DNS"),
            (outbound(syn("203.0.113.20:443")), "wrong-peer API"),
            // The right one still counts, and once.
            (answers(told()), "established DNS"),
            (outbound(syn("203.0.113.20:443")), "rule API"),
        ],
    );
}

#[test]
fn what_stands_aside_is_cut_or_loops_teaches_nothing() {
    let address = [ADDRESS.parse().expect("an address")];
    let whole = told(NAME, ADDRESS);
    let mut looping = whole.clone();
    // The record's owner: a pointer to itself, then one behind it.
    let owner = question(ID, NAME, true).len();
    looping[owner..owner + 2].copy_from_slice(&[0xc0, u8::try_from(owner).expect("short")]);
    let mut ahead = whole.clone();
    ahead[owner..owner + 2].copy_from_slice(&[0xc0, u8::try_from(owner + 2).expect("short")]);
    let mut sequence = vec![(asks(question(ID, NAME, true)), "rule DNS")];
    let marked = Reply::to(ID, NAME, true).addresses(&address).truncated().bytes();
    let bad = [aside(ID), marked, looping, ahead];
    let cut = [owner - 1, owner + 1, whole.len() - 1].map(|length| whole[..length].to_vec());
    for message in bad.into_iter().chain(cut) {
        sequence.push((answers(message), "established DNS"));
        sequence.push((outbound(syn("203.0.113.20:443")), "wrong-peer API"));
        sequence.push((asks(question(ID, NAME, true)), "established DNS"));
    }
    judged(&HOST, sequence);
}

#[test]
fn an_address_lives_its_time_and_at_least_a_minute() {
    let asked = || {
        vec![(asks(question(ID, NAME, true)), "rule DNS"), (answers(told(NAME, ADDRESS)), "established DNS")]
    };
    let mut within = asked();
    within.push((outbound(syn("203.0.113.20:443")).after(299), "rule API"));
    judged(&HOST, within);
    let mut over = asked();
    over.push((outbound(syn("203.0.113.20:443")).after(301), "wrong-peer API"));
    judged(&HOST, over);
}

#[test]
fn answers_come_by_tcp_and_over_ipv6_too() {
    let (here, there) = ("192.0.2.10:50055", THERE);
    let out = |flags| frame().from(here).to(there).tcp(flags);
    let back = |flags| frame().from(there).to(here).tcp(flags);
    let (here6, there6) = ("[2001:db8:1::10]:50056", "[2001:db8:1::53]:53");
    judged(
        &HOST,
        vec![
            (outbound(out("S")), "rule DNS-TCP"),
            (inbound(back("SA")), "established DNS-TCP"),
            (outbound(out("A")), "established DNS-TCP"),
            (outbound(out("PA").payload(over_tcp(&question(ID, NAME, true)))), "established DNS-TCP"),
            (inbound(back("PA").payload(over_tcp(&told(NAME, "203.0.113.50")))), "established DNS-TCP"),
            (outbound(syn("203.0.113.50:443")), "rule API"),
            (outbound(frame().from(here6).to(there6).udp().payload(question(ID, NAME, false))), "rule DNS"),
            (answers_from(there6, here6, told(NAME, "2001:db8:7::50")), "established DNS"),
            (outbound(syn("[2001:db8:7::50]:443")), "rule API"),
        ],
    );
}

/// A connection to the resolver.
fn over_a_connection(here: &str) -> Vec<(Step, &'static str)> {
    let (out, back) = (|| frame().from(here).to(THERE), || frame().from(THERE).to(here));
    vec![
        (outbound(out().tcp("S")), "rule DNS-TCP"),
        (inbound(back().tcp("SA")), "established DNS-TCP"),
        (outbound(out().tcp("A")), "established DNS-TCP"),
    ]
}

#[test]
fn a_length_may_go_ahead_in_a_segment_of_its_own() {
    let here = "192.0.2.10:50057";
    let out = |payload: &[u8]| outbound(frame().from(here).to(THERE).tcp("PA").payload(payload));
    let back = |payload: &[u8]| inbound(frame().from(THERE).to(here).tcp("PA").payload(payload));
    let mut sequence = over_a_connection(here);
    for (message, step) in [
        (over_tcp(&question(ID, NAME, true)), &out as &dyn Fn(&[u8]) -> Step),
        (over_tcp(&told(NAME, "203.0.113.51")), &back),
    ] {
        let (length, message) = message.split_at(2);
        sequence.push((step(length), "established DNS-TCP"));
        sequence.push((step(message), "established DNS-TCP"));
    }
    sequence.push((outbound(syn("203.0.113.51:443")), "rule API"));
    judged(&HOST, sequence);
}

#[test]
fn nothing_of_a_broken_answer_is_learned() {
    let addresses = ["203.0.113.52", "203.0.113.53"].map(|text| text.parse().expect("an address"));
    let mut bytes = answer(ID, NAME, true, &addresses);
    // The second record's owner points to itself.
    let second = question(ID, NAME, true).len() + 16;
    bytes[second..second + 2].copy_from_slice(&[0xc0, u8::try_from(second).expect("short")]);
    judged(
        &HOST,
        vec![
            (asks(question(ID, NAME, true)), "rule DNS"),
            (answers(bytes), "established DNS"),
            (outbound(syn("203.0.113.52:443")), "wrong-peer API"),
        ],
    );
}

#[test]
fn what_is_too_long_is_learned_as_far_as_it_is_read() {
    let many: Vec<_> = (100..170).map(|last| [203, 0, 113, last].into()).collect();
    let answered = answer(ID, NAME, true, &many);
    let (here, whole) = ("192.0.2.10:50058", over_tcp(&answered));
    let in_pieces = || frame().from(THERE).to(HERE).udp().payload(answered.clone());
    let first_segment = inbound(frame().from(THERE).to(here).tcp("PA").payload(&whole[..90]));
    for answers in [
        vec![(answers(answered.clone()), "established DNS")],
        vec![
            (inbound(in_pieces().fragment(0, true, 9).fragment_bytes(88)), "established DNS"),
            (inbound(in_pieces().fragment(11, false, 9)), "related DNS"),
        ],
    ] {
        let cut = answers.len() > 1;
        let mut sequence = vec![(asks(question(ID, NAME, true)), "rule DNS")];
        sequence.extend(answers);
        sequence.push((outbound(syn("203.0.113.100:443")), "rule API"));
        sequence.push((outbound(syn("203.0.113.163:443")), if cut { "wrong-peer API" } else { "rule API" }));
        sequence.push((outbound(syn("203.0.113.164:443")), "wrong-peer API"));
        judged(&HOST, sequence);
    }
    let mut sequence = over_a_connection(here);
    let asked = frame().from(here).to(THERE).tcp("PA").payload(over_tcp(&question(ID, NAME, true)));
    sequence.push((outbound(asked), "established DNS-TCP"));
    sequence.push((first_segment, "established DNS-TCP"));
    sequence.push((outbound(syn("203.0.113.101:443")), "rule API"));
    sequence.push((outbound(syn("203.0.113.163:443")), "wrong-peer API"));
    judged(&HOST, sequence);
}

#[test]
fn a_rule_for_anybody_does_not_hide_the_resolver() {
    let anybody = |protocol: &str| {
        format!(
            "[[allow]]\nid = \"ALL-{protocol}\"\ndirection = \"egress\"\nprotocol = \"{protocol}\"\nport = [53, 853]\n\
             peers = \"any\"\nreason = \"any resolver may be asked\"\n"
        )
    };
    let host = format!("{}{}{}", anybody("udp"), *HOST, anybody("tcp"));
    let other = |message| outbound(frame().from(HERE).to("198.51.100.53:53").udp().payload(message));
    let mut sequence = over_a_connection("192.0.2.10:50059");
    sequence.extend([
        (other(question(ID, NAME, true)), "rule ALL-udp"),
        (answers_from("198.51.100.53:53", HERE, told(NAME, ADDRESS)), "established ALL-udp"),
        (outbound(syn("203.0.113.20:443")), "wrong-peer API"),
        (asks(question(ID, NAME, true)), "rule DNS"),
        (answers(told(NAME, ADDRESS)), "established DNS"),
        (outbound(syn("203.0.113.20:443")), "rule API"),
        (outbound(frame().from("[2001:db8:1::10]:50060").to("[2001:db8:9::53]:53").udp()), "rule ALL-udp"),
    ]);
    judged(&host, sequence);
}

#[test]
fn without_a_resolver_nothing_is_learned() {
    let host = HOST.replace("port = 53\n", "port = 54\n");
    judged(
        &host,
        vec![
            (asks(question(ID, NAME, true)), "no-rule"),
            (answers(told(NAME, ADDRESS)), "no-rule"),
            (outbound(syn("203.0.113.20:443")), "wrong-peer API"),
        ],
    );
}

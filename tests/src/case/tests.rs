use etherparse::{NetSlice, SlicedPacket, TransportSlice};

use super::*;
use crate::frame::HOST_MAC;

#[test]
fn there_are_298_cases_with_ids_of_their_own() {
    let cases = Case::all().unwrap();
    let ids: std::collections::BTreeSet<_> = cases.iter().map(|case| &case.id).collect();
    assert_eq!((cases.len(), ids.len()), (298, 298));
    assert_eq!(cases.iter().filter(|case| case.expect == Expect::Pass).count(), 127);
}

#[test]
fn every_judged_frame_has_the_fields_of_its_case() {
    for case in Case::all().unwrap() {
        let step = case.frames().pop().unwrap();
        assert_eq!(step.direction, case.packet.direction, "{}", case.id);
        let parsed = SlicedPacket::from_ethernet(&step.bytes);
        if case.packet.malformed.is_some() {
            assert!(parsed.is_err(), "{}", case.id);
            continue;
        }
        let parsed = parsed.unwrap_or_else(|error| panic!("{}: {error}", case.id));
        assert_network(&case, &parsed);
        assert_transport(&case, &parsed);
    }
}

#[test]
fn every_prior_frame_parses() {
    for case in Case::all().unwrap() {
        for step in case.prior.iter().flat_map(Prior::steps) {
            let parsed = SlicedPacket::from_ethernet(&step.bytes).unwrap();
            assert!(parsed.transport.is_some(), "{}", case.id);
            let from_host = step.bytes[6..12] == HOST_MAC;
            assert_eq!(from_host, step.direction == portreeve_common::Direction::Egress, "{}", case.id);
        }
    }
}

#[test]
fn a_tcp_flow_opens_with_the_handshake() {
    let steps = case("ie-publisher-11").frames();
    let words: Vec<_> = steps.iter().map(|step| (step.direction.name(), flags(&step.bytes))).collect();
    assert_eq!(words, [("egress", "S"), ("ingress", "SA"), ("egress", "A"), ("ingress", "A")]);
}

#[test]
fn an_echo_reply_has_the_identifier_of_its_request() {
    let steps = case("dmz-permanent-standby-07").frames();
    let [request, reply] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!((request.bytes[34], reply.bytes[34]), (8, 0));
    assert_eq!(request.bytes[38..42], reply.bytes[38..42]);
    assert_eq!(request.bytes[38..40], ECHO_ID.to_be_bytes());
}

#[test]
fn a_fragment_follows_its_first_as_the_case_says() {
    assert_eq!(case("any-24").frames().len(), 1);
    let passed = case("any-25").frames();
    assert_eq!(passed.len(), 3);
    assert_eq!(passed[1].bytes[34..38], [0, 53, 0xc0, 0x30], "the answer to the prior query");
    let dropped = case("any-26").frames();
    assert_eq!(dropped[0].bytes[34..38], [0, 9, 0, 9]);
    for steps in [&passed[1..], &dropped] {
        let [first, second] = steps else { panic!("{steps:?}") };
        assert_eq!(first.bytes[18..20], second.bytes[18..20], "one datagram");
        assert_eq!((&first.bytes[20..22], &second.bytes[20..22]), (&[0x20, 0][..], &[0, 185][..]));
        assert_eq!(first.bytes.len(), 14 + 20 + 1480);
    }
}

#[test]
fn an_error_quotes_the_packet_of_its_case() {
    let bytes = case("any-18").frames().pop().unwrap().bytes;
    assert_eq!((bytes[34], &bytes[54..62]), (11, &[192, 0, 2, 10, 203, 0, 113, 10][..]));
    assert_eq!(bytes[62..66], [0xc0, 0x30, 1, 0xbb]);
    let bytes = case("any-20").frames().pop().unwrap().bytes;
    assert_eq!((bytes[54], &bytes[102..106]), (2, &[0, 1, 1, 0xbb][..]));
}

#[test]
fn malformed_packets_are_so_in_the_one_way() {
    let bytes = case("any-27").frames().pop().unwrap().bytes;
    assert_eq!((bytes[14], bytes.len()), (0x44, 54));
    let bytes = case("any-28").frames().pop().unwrap().bytes;
    assert_eq!((&bytes[16..18], bytes.len()), (&[0, 30][..], 44));
}

#[test]
fn a_report_alerts_routers() {
    let bytes = case("any-08").frames().pop().unwrap().bytes;
    assert_eq!((bytes[20], bytes[21], &bytes[54..62]), (0, 1, &[58, 0, 5, 2, 0, 0, 1, 0][..]));
}

#[test]
fn tags_stand_outermost_first() {
    let mut case = case("any-33");
    case.packet.vlan = vec![7, 5];
    let bytes = case.frames().pop().unwrap().bytes;
    assert_eq!(bytes[12..22], [0x81, 0, 0, 7, 0x81, 0, 0, 5, 0x88, 0xcc]);
}

#[test]
fn a_host_file_says_what_the_case_says() {
    for case in Case::all().unwrap() {
        let file: toml::Table = case.host_toml().unwrap().parse().unwrap();
        let count = |key: &str| file.get(key).map_or(0, |list| list.as_array().unwrap().len());
        assert_eq!(
            (count("role"), count("allow")),
            (case.host.roles.len(), case.host.allow.len()),
            "{}",
            case.id
        );
        assert!(file.get("names").is_none(), "{}", case.id);
        assert_eq!(file["host"]["name"].as_str(), Some(case.id.as_str()));
        assert_eq!(file["host"]["addresses"].as_array().unwrap().len(), case.host.addresses.len());
    }
}

#[test]
fn a_host_file_reads_like_those_of_users() {
    let text = case("mm-edge-01").host_toml().unwrap();
    for line in [
        "[host]\nname = \"mm-edge-01\"\naddresses = [\"192.0.2.10\", \"2001:db8:1::10\"]\n",
        "[enforcement]\ningress = \"enforce\"\negress = \"enforce\"\n",
        "[[role]]\npack = \"machinemetrics-edge\"\nrole = \"mm-edge\"\n",
        "google_dns = true\n",
        "ip = \"198.51.100.31\"\ncontroller = \"FANUC FOCAS\"\n",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    let text = case("any-01").host_toml().unwrap();
    assert!(text.contains("[baseline]\ndhcp = true\n") && text.contains("port = 443\n"), "{text}");
}

#[test]
fn words_that_are_not_known_are_errors() {
    let known = serde_json::json!({
        "direction": "ingress", "protocol": "tcp", "src": "192.0.2.1", "dst": "192.0.2.10",
    });
    assert!(serde_json::from_value::<Packet>(known.clone()).is_ok());
    for (key, value) in [
        ("direction", "sideways"),
        ("protocol", "tpc"),
        ("src", "192.0.2"),
        ("dst", "02:00"),
        ("ethertype", "8892"),
        ("malformed", "somehow"),
        ("ip_options", "record-route"),
        ("colour", "red"),
    ] {
        let mut packet = known.clone();
        packet[key] = value.into();
        assert!(serde_json::from_value::<Packet>(packet).is_err(), "{key} = {value}");
    }
}

fn assert_network(case: &Case, parsed: &SlicedPacket<'_>) {
    let packet = &case.packet;
    let addresses = match &parsed.net {
        Some(NetSlice::Ipv4(ip)) => {
            let options = if packet.ip_options.is_some() { 4 } else { 0 };
            assert_eq!(ip.header().options().len(), options, "{}", case.id);
            assert!(packet.hop_limit.is_none_or(|limit| limit == ip.header().ttl()), "{}", case.id);
            (IpAddr::from(ip.header().source_addr()), IpAddr::from(ip.header().destination_addr()))
        }
        Some(NetSlice::Ipv6(ip)) => {
            assert_eq!(ip.extensions().slice().len(), 8 * packet.ext_headers.len(), "{}", case.id);
            assert!(packet.hop_limit.is_none_or(|limit| limit == ip.header().hop_limit()), "{}", case.id);
            (ip.header().source_addr().into(), ip.header().destination_addr().into())
        }
        Some(NetSlice::Arp(arp)) => {
            assert_eq!(packet.protocol, Protocol::Arp);
            let address = |bytes: &[u8]| IpAddr::from(<[u8; 4]>::try_from(bytes).unwrap());
            (address(arp.sender_protocol_addr()), address(arp.target_protocol_addr()))
        }
        None => {
            assert_eq!(packet.protocol, Protocol::L2);
            let payload = parsed.ether_payload().unwrap();
            assert_eq!(
                Some(payload.ether_type),
                packet.ethertype.map(|number| etherparse::EtherType(number.0))
            );
            return;
        }
    };
    assert_eq!((Place::Ip(addresses.0), Place::Ip(addresses.1)), (packet.src, packet.dst), "{}", case.id);
}

fn assert_transport(case: &Case, parsed: &SlicedPacket<'_>) {
    let packet = &case.packet;
    let ports = match &parsed.transport {
        Some(TransportSlice::Tcp(tcp)) => {
            assert_eq!(packet.protocol, Protocol::Tcp, "{}", case.id);
            let letters = packet.tcp_flags.as_deref().unwrap();
            assert_eq!((tcp.syn(), tcp.ack()), (letters.contains('S'), letters.contains('A')), "{}", case.id);
            (Some(tcp.source_port()), Some(tcp.destination_port()))
        }
        Some(TransportSlice::Udp(udp)) => {
            assert_eq!(packet.protocol, Protocol::Udp, "{}", case.id);
            (Some(udp.source_port()), Some(udp.destination_port()))
        }
        Some(TransportSlice::Icmpv4(icmp)) => {
            assert_eq!(packet.protocol, Protocol::Icmp, "{}", case.id);
            let message = packet.icmp.as_ref().unwrap();
            assert_eq!((icmp.type_u8(), icmp.code_u8()), (message.kind, message.code), "{}", case.id);
            (None, None)
        }
        Some(TransportSlice::Icmpv6(icmp)) => {
            assert_eq!(packet.protocol, Protocol::Icmpv6, "{}", case.id);
            let message = packet.icmp.as_ref().unwrap();
            assert_eq!((icmp.type_u8(), icmp.code_u8()), (message.kind, message.code), "{}", case.id);
            (None, None)
        }
        Some(TransportSlice::Igmp(igmp)) => {
            assert_eq!(packet.protocol, Protocol::Igmp, "{}", case.id);
            assert_eq!(igmp.slice()[0], packet.igmp.unwrap().kind, "{}", case.id);
            (None, None)
        }
        None => {
            let plain = matches!(packet.protocol, Protocol::Arp | Protocol::L2 | Protocol::Number(_));
            assert!(plain || packet.fragment.is_some(), "{}", case.id);
            return;
        }
    };
    assert_eq!(ports, (packet.sport, packet.dport), "{}", case.id);
}

fn flags(bytes: &[u8]) -> &'static str {
    match bytes[47] {
        0x02 => "S",
        0x12 => "SA",
        0x10 => "A",
        _ => "other",
    }
}

fn case(id: &str) -> Case {
    Case::all().unwrap().into_iter().find(|case| case.id == id).unwrap()
}

#[test]
fn every_name_of_a_case_is_asked_for_and_answered() {
    for case in Case::all().unwrap() {
        let families = |addresses: &Vec<IpAddr>| {
            usize::from(addresses.iter().any(IpAddr::is_ipv4))
                + usize::from(addresses.iter().any(IpAddr::is_ipv6))
        };
        let messages: usize = case.resolved.values().map(families).sum();
        assert_eq!(resolved::steps(&case.host, &case.resolved).len(), 2 * messages, "{}", case.id);
    }
}

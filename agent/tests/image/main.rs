//! The compiled policy against a plain reading of its rules, and how it is laid out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod packets;
mod rules;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
    time::Instant,
};

use ipnet::IpNet;
use portreeve::{
    image::{Image, ImageError, Slots, simulation::Simulation},
    policy::{
        Rule,
        rule::{Local, Peers, Ports, Service},
    },
};
use portreeve_common::{
    Direction, Reason,
    class::{Allows, Class, MAX_LENGTHS},
};
use proptest::{collection::vec, prelude::*};

use self::{
    packets::{First, first_packet, rule},
    rules::{bare, compile, numbered, own, plainly, policy_of, syn, tcp},
};

/// Rule sets, times packets judged by each: 25,600.
const RULE_SETS: u32 = 400;
const PACKETS: usize = 64;

proptest! {
    #![proptest_config(ProptestConfig { cases: RULE_SETS, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn first_packets_are_judged_as_the_rules_read(
        rules in vec(rule(), 1..9),
        packets in vec(first_packet(), PACKETS),
    ) {
        let rules = numbered(rules);
        let simulation = Simulation::new(compile(&rules).unwrap());
        for (n, packet) in (1_u64..).zip(packets) {
            // Each packet is a first one: whatever came before is long over.
            simulation.set_now(n << 40);
            let decision = simulation.judge(packet.frame().as_slice(), packet.direction);
            let flow = decision.rule().and_then(|slot| simulation.image().flow(slot));
            let judged = (decision.reason(), flow.map(|flow| flow.flow.clone()));
            prop_assert_eq!(judged, plainly(&rules, &packet), "{:?} by {:#?}", packet, rules);
            prop_assert!(decision.passes() == (decision.reason() == Reason::Rule));
        }
    }
}

#[test]
fn many_prefix_lengths_become_eight_without_widening() {
    for (of, address) in [(32_u8, "10.9.8.7"), (32, "10.255.255.254")] {
        let address: IpAddr = address.parse().unwrap();
        let nested = (0..=of).map(|length| (IpNet::new(address, length).unwrap().trunc(), length));
        let rules = numbered(nested.map(|(net, _)| tcp(443, &[net])).collect());
        let simulation = Simulation::new(compile(&rules).unwrap());
        for bit in 0..27 {
            let IpAddr::V4(v4) = address else { unreachable!("the addresses are IPv4") };
            let packet = syn(443, IpAddr::from(Ipv4Addr::from(u32::from(v4) ^ 1 << bit)));
            assert_judged(&simulation, &rules, &packet);
        }
        assert_judged(&simulation, &rules, &syn(443, address));
        assert_judged(&simulation, &rules, &syn(443, "2001:db8::1".parse().unwrap()));
    }
}

#[test]
fn disjoint_prefixes_of_all_ipv4_lengths_stay_apart() {
    // The address that no prefix has is left out, and nothing else.
    let left_out = u32::from(Ipv4Addr::new(10, 9, 8, 7));
    let beside = |length: u8| {
        let bits = left_out ^ 1 << (32 - u32::from(length));
        IpNet::new(Ipv4Addr::from(bits).into(), length).unwrap().trunc()
    };
    let rules = numbered((6..=32).map(|length| tcp(443, &[beside(length)])).collect());
    let simulation = Simulation::new(compile(&rules).unwrap());
    for bit in 0..28 {
        let packet = syn(443, Ipv4Addr::from(left_out ^ 1 << bit).into());
        assert_judged(&simulation, &rules, &packet);
    }
    assert_judged(&simulation, &rules, &syn(443, Ipv4Addr::from(left_out).into()));
}

#[test]
fn all_ipv6_lengths_of_one_rule_are_the_widest() {
    let nets: Vec<IpNet> =
        (0..=128).map(|length| IpNet::new("2001:db8::1".parse().unwrap(), length).unwrap().trunc()).collect();
    let rules = numbered(vec![tcp(443, &nets)]);
    let simulation = Simulation::new(compile(&rules).unwrap());
    for remote in ["2001:db8::1", "2001:db8::2", "fd00::1", "9::1", "10.0.0.1"] {
        assert_judged(&simulation, &rules, &syn(443, remote.parse().unwrap()));
    }
}

#[test]
fn ipv6_lengths_that_cannot_be_brought_down_are_refused() {
    let beside = |length: u8| {
        let bits = (0x2001_0db8_u128 << 96) ^ 1 << (128 - u32::from(length));
        IpNet::new(Ipv6Addr::from(bits).into(), length).unwrap().trunc()
    };
    let nets: Vec<IpNet> = (1..=128).map(beside).collect();
    let error = compile(&numbered(vec![tcp(443, &nets)])).unwrap_err();
    assert!(matches!(error, ImageError::Lengths { lengths: 128 }), "{error}");
}

#[test]
fn all_of_one_family_is_nothing_of_the_other() {
    for (net, inside, outside) in [
        ("::/0", "2001:db8::9", "10.0.0.1"),
        ("0.0.0.0/0", "10.0.0.1", "2001:db8::9"),
        ("::/0", "9::1", "8.8.8.8"),
    ] {
        let rules = numbered(vec![tcp(443, &[net.parse().unwrap()])]);
        let simulation = Simulation::new(compile(&rules).unwrap());
        let reason = |remote: &str| {
            let packet = syn(443, remote.parse().unwrap());
            simulation.judge(packet.frame().as_slice(), packet.direction).reason()
        };
        assert_eq!((reason(inside), reason(outside)), (Reason::Rule, Reason::WrongPeer), "{net}");
    }
    let mapped = numbered(vec![tcp(443, &["::ffff:10.0.0.0/104".parse().unwrap()])]);
    let simulation = Simulation::new(compile(&mapped).unwrap());
    let packet = syn(443, "10.0.0.1".parse().unwrap());
    assert_eq!(simulation.judge(packet.frame().as_slice(), packet.direction).reason(), Reason::WrongPeer);
}

#[test]
fn a_split_ipv6_prefix_says_nothing_of_ipv4() {
    // Nine lengths, of which 92 is split into 104: among its parts is the IPv6 form of 10.0.0.0/8.
    let beside = |length: u8| {
        let bits = (0x2001_0db8_u128 << 96) ^ 1 << (128 - u32::from(length));
        IpNet::new(Ipv6Addr::from(bits).into(), length).unwrap().trunc()
    };
    let around: IpNet = "::fff0:0:0/92".parse().unwrap();
    let v4: IpNet = "11.0.0.0/8".parse().unwrap();
    let mut nets: Vec<IpNet> = [1, 14, 27, 40, 53, 66, 79, 104].map(beside).to_vec();
    nets.extend([around, v4]);
    let rules = numbered(vec![tcp(443, &nets)]);
    let simulation = Simulation::new(compile(&rules).unwrap());
    for remote in ["11.0.0.1", "10.0.0.1", "::fff1:0:1", "::fffe:a00:1", "::ffe0:0:1"] {
        assert_judged(&simulation, &rules, &syn(443, remote.parse().unwrap()));
    }
}

#[test]
fn equal_peers_are_one_set_and_equal_classes_one_class() {
    let nets: Vec<IpNet> = ["198.51.100.0/24", "2001:db8:2::/48"].map(|net| net.parse().unwrap()).to_vec();
    let ranged = Service::Tcp(Ports { destination: vec![8000..=8999], source: None });
    let listed = Peers::Listed { prefixes: nets.clone(), names: Vec::new() };
    let rules = vec![tcp(443, &nets), tcp(444, &nets), bare(Direction::Ingress, ranged, listed)];
    let image = compile(&numbered(rules)).unwrap();
    assert_eq!(image.peerings.len(), 1 + 3);
    assert!(image.peerings[1..].iter().all(|peering| peering.set() == 1));
    assert_eq!((image.shared.len(), &image.shared[..]), (3, &[0, 1, 2][..]));
    let numbered = |port| {
        let service = portreeve_common::Service { direction: Direction::Ingress, protocol: 6, number: port };
        match Class::from_word(image.classes[service.slot() as usize]).allows() {
            Allows::Peers(number) => number,
            Allows::Nobody | Allows::Anybody(_) | Allows::Particular(_) => 0,
        }
    };
    assert_eq!([443, 444, 8000, 8999, 7999, 9000].map(numbered), [1, 2, 3, 3, 0, 0]);
    assert!(image.peerings.iter().all(|peering| peering.lengths(true).len() == MAX_LENGTHS));
}

#[test]
fn a_flow_keeps_its_slot_when_rules_come_and_go() {
    let net: IpNet = "198.51.100.0/24".parse().unwrap();
    let (a, b, c) = (tcp(1, &[net]), tcp(2, &[net]), tcp(3, &[net]));
    let named = |name: &str, rule: &Rule| Rule { flow: name.into(), ..rule.clone() };
    let mut slots = Slots::default();
    let mut slot_of = |rules: Vec<Rule>, flow: &str| {
        let image = Image::compile(&policy_of(&rules), &own(), &mut slots, 250).unwrap();
        image.flows.iter().find(|meta| meta.flow == flow).unwrap().slot
    };
    assert_eq!(slot_of(vec![named("A", &a), named("B", &b)], "B"), 1);
    assert_eq!(slot_of(vec![named("C", &c), named("B", &b)], "C"), 2);
    assert_eq!(slot_of(vec![named("C", &c), named("A", &a)], "A"), 0);
}

#[test]
fn what_waits_for_addresses_is_said() {
    let data = Service::Tcp(Ports { destination: vec![1024..=65_535], source: Some(20) });
    let named = Peers::Listed { prefixes: Vec::new(), names: vec!["api.example.com".into()] };
    let mut group = bare(Direction::Egress, Service::Igmp, Peers::Any);
    group.local = Local::Group("224.10.10.25".parse().unwrap());
    let data = bare(Direction::Egress, data, Peers::Any);
    let image = compile(&numbered(vec![data, group, Rule { peers: named, ..tcp(443, &[]) }])).unwrap();
    let why: Vec<(&str, &str)> =
        image.deferred.iter().map(|deferred| (deferred.flow.as_str(), deferred.why.as_str())).collect();
    assert_eq!(
        why,
        [(
            "F2",
            "the addresses of api.example.com are not known, and no resolver is listed by its address to learn them from"
        )]
    );
    let simulation = Simulation::new(image);
    let packet = syn(443, "198.51.100.1".parse().unwrap());
    let decision = simulation.judge(packet.frame().as_slice(), packet.direction);
    assert_eq!(decision.reason(), Reason::WrongPeer);
}

#[test]
fn clauses_are_stored_once_and_counted() {
    let from = |source: u16, ports: RangeInclusive<u16>| {
        let service = Service::Udp(Ports { destination: vec![ports], source: Some(source) });
        bare(Direction::Ingress, service, Peers::Any)
    };
    let image = compile(&numbered(vec![from(20, 1024..=65_535), from(514, 600..=700)])).unwrap();
    assert_eq!(image.clauses.len(), 2);
    let mut same_flow = vec![from(20, 1..=9), from(20, 20..=29)];
    same_flow.iter_mut().for_each(|rule| rule.flow = "F".into());
    assert_eq!(compile(&same_flow).unwrap().clauses.len(), 1);
    let many = |count: u16| numbered((1..=count).map(|port| from(port, 500..=500)).collect());
    assert_eq!(compile(&many(16)).unwrap().clauses.len(), 16);
    assert_eq!(compile(&many(17)).unwrap_err(), ImageError::Alternatives { manners: 17 });
    let spread = |n: u16| from(20 + n % 2, n..=n);
    let separate = |count: u16| numbered((1..=count).map(spread).collect());
    assert_eq!(compile(&separate(2_048)).unwrap().clauses.len(), 2_048);
    assert_eq!(compile(&separate(2_049)).unwrap_err(), ImageError::Clauses);
    let beside = |control: u16| Rule { control_port: Some(control), ..from(20, control..=control) };
    let control = |count: u16| numbered((1..=count).map(beside).collect());
    assert!(compile(&control(6)).is_ok());
    assert_eq!(compile(&control(7)).unwrap_err(), ImageError::ControlPorts { ports: 7 });
}

#[test]
fn ten_thousand_rules_are_compiled() {
    let nth = |n: u32| IpNet::new(Ipv4Addr::from(0x0a00_0000 + n * 7).into(), 32).unwrap();
    let port = |n: u32| u16::try_from(1 + n % 60_000).unwrap();
    let rules = numbered((0..10_000).map(|n| tcp(port(n), &[nth(n), nth(n + 3)])).collect());
    let policy = policy_of(&rules);
    let mut slots = Slots::default();
    let began = Instant::now();
    let image = Image::compile(&policy, &own(), &mut slots, 250).unwrap();
    println!("10,000 rules compiled in {:?}", began.elapsed());
    let simulation = Simulation::new(image);
    for n in (0..10_000).step_by(97) {
        for remote in [nth(n), nth(n + 1)] {
            assert_judged(&simulation, &rules, &syn(port(n), remote.addr()));
        }
    }
}

fn assert_judged(simulation: &Simulation, rules: &[Rule], packet: &First) {
    let decision = simulation.judge(packet.frame().as_slice(), packet.direction);
    let flow = decision.rule().and_then(|slot| simulation.image().flow(slot));
    let judged = (decision.reason(), flow.map(|flow| flow.flow.clone()));
    assert_eq!(judged, plainly(rules, packet), "{packet:?}");
}

//! The compiled policy against a plain reading of its rules, and how it is laid out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
    time::Instant,
};

use etherparse::{IpNumber, PacketBuilder};
use ipnet::IpNet;
use portreeve::{
    image::{Image, ImageError, Slots, simulation::Simulation},
    policy::{
        self, Catalogue, Policy, Rule,
        rule::{Kind, Local, Need, Origin, Peers, Ports, Service},
    },
};
use portreeve_common::{
    Direction, Reason,
    class::{Allows, Class, MAX_LENGTHS},
};
use proptest::{collection::vec, prelude::*, sample::select};

const OWN: [&str; 2] = ["192.0.2.10/24", "2001:db8:1::10/64"];

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

/// A packet that begins a flow.
#[derive(Clone, Debug)]
struct First {
    direction: Direction,
    kind: Carried,
    remote: IpAddr,
    source_port: u16,
}

#[derive(Clone, Copy, Debug)]
enum Carried {
    Tcp(u16),
    Udp(u16),
    Echo,
    Protocol(u8),
}

/// The rules one after the other: any peer first, else the longest prefix, else the first rule.
fn plainly(rules: &[Rule], packet: &First) -> (Reason, Option<String>) {
    let mut about = Vec::new();
    for rule in rules {
        let same_way = rule.direction == packet.direction;
        let same_service = match (&rule.service, packet.kind) {
            (Service::Tcp(ports), Carried::Tcp(port)) | (Service::Udp(ports), Carried::Udp(port)) => {
                ports.destination.iter().any(|range| range.contains(&port))
            }
            (Service::Echo, Carried::Echo) => match &rule.peers {
                Peers::Any => true,
                Peers::Listed { prefixes, .. } => {
                    prefixes.iter().any(|net| net.addr().is_ipv4() == packet.remote.is_ipv4())
                }
            },
            (Service::Protocol(number), Carried::Protocol(carried)) => *number == carried,
            _ => false,
        };
        if same_way && same_service {
            about.push(rule);
        }
    }
    for rule in &about {
        if rule.peers == Peers::Any {
            return (Reason::Rule, Some(rule.flow.clone()));
        }
    }
    let mut longest: Option<(u8, &str)> = None;
    for rule in &about {
        let Peers::Listed { prefixes, .. } = &rule.peers else { continue };
        for net in prefixes {
            if net.contains(&packet.remote) && longest.is_none_or(|(length, _)| net.prefix_len() > length) {
                longest = Some((net.prefix_len(), &rule.flow));
            }
        }
    }
    match (longest, about.first(), packet.kind) {
        (Some((_, flow)), _, _) => (Reason::Rule, Some(flow.to_owned())),
        (None, Some(first), _) => (Reason::WrongPeer, Some(first.flow.clone())),
        (None, None, Carried::Protocol(_)) => (Reason::Protocol, None),
        (None, None, _) => (Reason::NoRule, None),
    }
}

impl First {
    fn frame(&self) -> Vec<u8> {
        let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let builder = match self.remote {
            IpAddr::V4(remote) => {
                let ends = ordered(self.direction, Ipv4Addr::new(192, 0, 2, 10), remote);
                builder.ipv4(ends[0].octets(), ends[1].octets(), 64)
            }
            IpAddr::V6(remote) => {
                let ends = ordered(self.direction, "2001:db8:1::10".parse().unwrap(), remote);
                builder.ipv6(ends[0].octets(), ends[1].octets(), 64)
            }
        };
        let mut bytes = Vec::new();
        match self.kind {
            Carried::Tcp(port) => builder.tcp(self.source_port, port, 1, 1024).syn().write(&mut bytes, &[]),
            Carried::Udp(port) => builder.udp(self.source_port, port).write(&mut bytes, &[1, 2]),
            Carried::Echo if self.remote.is_ipv4() => {
                builder.icmpv4_echo_request(self.source_port, 1).write(&mut bytes, &[])
            }
            Carried::Echo => builder.icmpv6_echo_request(self.source_port, 1).write(&mut bytes, &[]),
            Carried::Protocol(number) => builder.write(&mut bytes, IpNumber(number), &[0; 20]),
        }
        .unwrap();
        bytes
    }
}

/// Source and destination.
fn ordered<A>(direction: Direction, own: A, remote: A) -> [A; 2] {
    match direction {
        Direction::Ingress => [remote, own],
        Direction::Egress => [own, remote],
    }
}

fn direction() -> impl Strategy<Value = Direction> {
    select(Direction::ALL.to_vec())
}

/// Few, so that rules and packets meet.
fn port() -> impl Strategy<Value = u16> {
    select(vec![1, 5, 6, 7, 9, 443, 444, 65_535])
}

/// Close to one address of each family, so that prefixes overlap.
fn remote() -> impl Strategy<Value = IpAddr> {
    let v4 = vec(0_u32..27, 0..3).prop_map(|flips| {
        let bits = flips.iter().fold(0x0a00_0001, |bits, at| bits ^ 1 << at);
        IpAddr::from(Ipv4Addr::from(bits))
    });
    let v6 = vec(0_u32..124, 0..3).prop_map(|flips| {
        let bits = flips.iter().fold(0x2001_0db8 << 96 | 1, |bits: u128, at| bits ^ 1 << at);
        IpAddr::from(Ipv6Addr::from(bits))
    });
    prop_oneof![v4, v6]
}

fn prefix() -> impl Strategy<Value = IpNet> {
    let lengths = vec![0, 1, 3, 16, 32, 33, 48, 52, 56, 60, 64, 112, 120, 124, 126, 127, 128];
    (remote(), 0_u8..=32, select(lengths)).prop_map(|(address, short, long)| {
        IpNet::new(address, if address.is_ipv4() { short } else { long }).unwrap().trunc()
    })
}

fn peers() -> impl Strategy<Value = Peers> {
    let listed = vec(prefix(), 1..7).prop_map(|prefixes| Peers::Listed { prefixes, names: Vec::new() });
    prop_oneof![1 => Just(Peers::Any), 9 => listed]
}

fn service() -> impl Strategy<Value = Service> {
    let ports = || {
        vec((port(), port()), 1..3).prop_map(|ends| {
            let ranges = ends.into_iter().map(|(a, b)| a.min(b)..=a.max(b)).collect();
            Ports { destination: policy::ports::PortSet::new(ranges).ranges().to_vec(), source: None }
        })
    };
    prop_oneof![
        4 => ports().prop_map(Service::Tcp),
        2 => ports().prop_map(Service::Udp),
        2 => Just(Service::Echo),
        1 => select(vec![47, 132]).prop_map(Service::Protocol),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    (direction(), service(), peers()).prop_map(|(direction, service, peers)| bare(direction, service, peers))
}

fn first_packet() -> impl Strategy<Value = First> {
    let kind = prop_oneof![
        4 => port().prop_map(Carried::Tcp),
        2 => port().prop_map(Carried::Udp),
        2 => Just(Carried::Echo),
        1 => select(vec![47, 50, 132]).prop_map(Carried::Protocol),
    ];
    (direction(), kind, remote(), 30_000_u16..).prop_map(|(direction, kind, remote, source_port)| First {
        direction,
        kind,
        remote,
        source_port,
    })
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

fn syn(port: u16, remote: IpAddr) -> First {
    First { direction: Direction::Ingress, kind: Carried::Tcp(port), remote, source_port: 40_000 }
}

fn tcp(port: u16, nets: &[IpNet]) -> Rule {
    let service = Service::Tcp(Ports { destination: vec![port..=port], source: None });
    bare(Direction::Ingress, service, Peers::Listed { prefixes: nets.to_vec(), names: Vec::new() })
}

fn bare(direction: Direction, service: Service, peers: Peers) -> Rule {
    Rule {
        flow: String::new(),
        aliases: Vec::new(),
        role: "site".into(),
        direction,
        service,
        local: Local::Own,
        peers,
        interfaces: Vec::new(),
        control_port: None,
        origin: Origin {
            pack: "site".into(),
            document: String::new(),
            row: String::new(),
            purpose: String::new(),
            kind: Kind::Site,
            need: Need::Optional,
        },
        why: String::new(),
    }
}

/// Each rule is a flow of its own.
fn numbered(mut rules: Vec<Rule>) -> Vec<Rule> {
    rules.iter_mut().enumerate().for_each(|(n, rule)| rule.flow = format!("F{n}"));
    rules
}

fn own() -> Vec<IpNet> {
    OWN.map(|net| net.parse().unwrap()).to_vec()
}

fn compile(rules: &[Rule]) -> Result<Image, ImageError> {
    Image::compile(&policy_of(rules), &own(), &mut Slots::default(), 250)
}

/// A policy of exactly these rules.
fn policy_of(rules: &[Rule]) -> Policy {
    const HOST: &str = "[[allow]]\nid = \"S\"\ndirection = \"egress\"\nprotocol = \"tcp\"\nport = 1\n\
                        peers = \"any\"\nreason = \"none\"\n";
    let catalogue = Catalogue::built_in().unwrap();
    let mut policy = policy::compile("host.toml", HOST, &catalogue, "2026-11-21".parse().unwrap()).unwrap();
    policy.rules = rules.to_vec();
    policy
}

//! Whose answers are believed: resolvers that are listed by address, wherever other rules for port 53 stand.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::civil::date;
use portreeve::{
    image::{Deferred, Image, Slots, simulation::Simulation},
    policy::{Catalogue, Policy, compile},
};
use portreeve_common::{Direction, flow::FlowKey, number::protocol};

const HOST: &str = "[host]\ninterfaces = [\"enp2s0\", \"enp3s0\"]\naddresses = [\"192.0.2.10\"]\n";
const BROKER: &str = "[[allow]]\nid = \"BROKER\"\ndirection = \"egress\"\nprotocol = \"tcp\"\nport = 8883\n\
                      peers = [\"broker.example.com\"]\nreason = \"r\"\n";

fn policy(text: &str) -> Policy {
    let catalogue = Catalogue::built_in().unwrap();
    compile("host.toml", text, &catalogue, date(2026, 11, 21)).map_err(|report| report.render(false)).unwrap()
}

fn resolver(id: &str, peers: &str, rest: &str) -> String {
    format!(
        "[[allow]]\nid = \"{id}\"\ndirection = \"egress\"\nprotocol = \"udp\"\nport = 53\npeers = {peers}\n\
         reason = \"r\"\n{rest}"
    )
}

/// The flow under which packets to this resolver go on.
fn lives_under(policy: &Policy, resolver: &str) -> String {
    let protected: [IpNet; 1] = ["192.0.2.10/24".parse().unwrap()];
    let image = Image::compile(policy, &protected, &mut Slots::default(), 1_000).unwrap();
    let simulation = Simulation::new(image);
    let ip = |text: &str| text.parse::<IpAddr>().unwrap().into();
    let key = FlowKey::new(ip("192.0.2.10"), ip(resolver), 40_000, 53, protocol::UDP);
    let slot = simulation.allows(&key, Direction::Egress).unwrap();
    simulation.image().flow(slot).unwrap().flow.clone()
}

#[test]
fn only_those_that_are_listed_by_address_are_believed() {
    for (peers, believed) in [
        ("[\"192.0.2.53\", \"2001:db8::53\"]", true),
        ("[\"192.0.2.53/32\"]", true),
        ("\"any\"", false),
        ("[\"0.0.0.0/0\"]", false),
        ("[\"192.0.2.53\", \"198.51.100.0/24\"]", false),
        ("[\"192.0.2.53\", \"dns.example.net\"]", false),
    ] {
        let policy = policy(&format!("{HOST}{BROKER}{}", resolver("DNS", peers, "")));
        let asks: Vec<_> =
            policy.rules.iter().filter(|rule| rule.asks_resolvers()).map(|rule| rule.flow.as_str()).collect();
        assert_eq!(!asks.is_empty(), believed, "{peers}");
        let closed = Deferred::of(&policy);
        assert_eq!(closed.iter().any(|deferred| deferred.flow == "BROKER"), !believed, "{peers}: {closed:?}");
    }
}

#[test]
fn no_rule_hides_a_resolver_from_its_answers() {
    let listed = resolver("LISTED", "[\"192.0.2.53\"]", "interfaces = [\"enp2s0\"]\n");
    for other in [
        resolver("ANYBODY", "\"any\"", "interfaces = [\"enp3s0\"]\n"),
        resolver("NETWORK", "[\"192.0.2.0/24\"]", "interfaces = [\"enp3s0\"]\n"),
        resolver("ANYBODY", "\"any\"", ""),
    ] {
        for rules in [format!("{other}{listed}"), format!("{listed}{other}")] {
            let policy = policy(&format!("{HOST}{rules}{BROKER}"));
            assert_eq!(lives_under(&policy, "192.0.2.53"), "LISTED", "{rules}");
        }
    }
}

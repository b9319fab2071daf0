//! What a host file says where it says something, and what holds where it is silent.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use jiff::civil::date;
use portreeve::policy::{
    Catalogue, HostFile, Policy, compile,
    host::{EtherTypes, Hook, Mode, OnStop},
    rule::{Peers, Service},
};

const ROLE: &str = r#"
[[role]]
pack = "siemens-industrial-edge"
role = "ied"
options = { offering = "IEM OS" }
peers = { iem = ["iem.example.com", "2001:db8::20"], dns_servers = ["198.51.100.53"], ntp_servers = "any" }
"#;

fn policy(text: &str) -> Policy {
    let catalogue = Catalogue::built_in().unwrap();
    let policy = compile("host.toml", text, &catalogue, date(2026, 11, 21));
    policy.unwrap_or_else(|report| panic!("{}", report.render(false)))
}

#[test]
fn silence_means_the_defaults() {
    let HostFile { name, interfaces, addresses, enforcement, baseline, state, roles, allows, names } =
        policy(ROLE).host;
    assert_eq!((name, interfaces.len(), addresses.len()), (None, 0, 0));
    assert_eq!((enforcement.ingress, enforcement.egress), (Mode::Observe, Mode::Observe));
    assert_eq!((enforcement.on_stop, enforcement.hook), (OnStop::Keep, Hook::Auto));
    assert!(!baseline.dhcp && baseline.ping_from.is_none() && baseline.ethertypes == EtherTypes::Any);
    assert_eq!((state.established, state.embryonic), (65_536, 16_384));
    assert_eq!((state.tcp_idle, state.udp_idle), (Duration::from_hours(24), Duration::from_mins(3)));
    assert_eq!(state.adoption, Duration::from_mins(1));
    assert_eq!((roles.len(), allows.len(), names.len()), (1, 0, 0));
}

#[test]
fn every_section_is_read() {
    let host = policy(&format!(
        r#"names = {{ "API.example.com" = ["203.0.113.20", "2001:db8::1"] }}
[host]
name = "line4-edge"
interfaces = ["enp2s0", "eth*"]
addresses = ["192.0.2.10", "2001:db8:1::10"]
[enforcement]
ingress = "enforce"
on_stop = "open"
hook = "tc"
[baseline]
dhcp = true
ethertypes = ["lldp", "0x8892", 0x88f7, "lldp"]
[state]
embryonic = 4_096
tcp_idle = "48h"
udp_idle = "1m30s"
adoption = "0s"
{ROLE}"#
    ))
    .host;
    assert_eq!(host.interfaces, ["enp2s0", "eth*"]);
    assert_eq!(host.addresses.len(), 2);
    assert_eq!((host.enforcement.ingress, host.enforcement.egress), (Mode::Enforce, Mode::Observe));
    assert_eq!((host.enforcement.on_stop, host.enforcement.hook), (OnStop::Open, Hook::Tc));
    assert!(host.enforcement.drops() && host.baseline.dhcp);
    assert_eq!(host.baseline.ethertypes, EtherTypes::Listed(vec![0x8892, 0x88cc, 0x88f7]));
    assert_eq!((host.state.embryonic, host.state.adoption), (4096, Duration::ZERO));
    assert_eq!(
        (host.state.tcp_idle, host.state.udp_idle),
        (Duration::from_hours(48), Duration::from_secs(90))
    );
    assert_eq!(host.names["api.example.com"].len(), 2);
}

#[test]
fn names_and_addresses_stand_side_by_side() {
    let policy = policy(ROLE);
    let rule = |id: &str| policy.rules.iter().find(|rule| rule.flow == id).unwrap();
    let Peers::Listed { prefixes, names } = &rule("SIE-IED-01").peers else { panic!("any") };
    assert_eq!((prefixes.len(), names.as_slice()), (1, &["iem.example.com".to_owned()][..]));
    assert_eq!(rule("SIE-IED-02").peers, Peers::Any);
}

#[test]
fn a_ping_rule_stands_apart() {
    let policy = policy(&format!("[baseline]\nping_from = [\"198.51.100.0/24\", \"2001:db8::/32\"]\n{ROLE}"));
    let ping = policy.rules.iter().find(|rule| rule.flow == "BASELINE-PING").unwrap();
    assert_eq!((ping.service.clone(), ping.role.as_str()), (Service::Echo, "site"));
    assert_eq!(ping.peers.to_string(), "198.51.100.0/24, 2001:db8::/32");
}

#[test]
fn a_site_alone_is_a_host() {
    let allow = "[[allow]]\nid = \"A\"\ndirection = \"ingress\"\nprotocol = \"icmpv6\"\npeers = [\"2001:db8::/32\"]\n";
    let policy = policy(allow);
    assert_eq!(policy.rules[0].service, Service::Echo);
    assert_eq!(policy.report.diagnostics.len(), 1, "the missing reason");
}

#[test]
fn messages_carry_no_control_characters() {
    let catalogue = Catalogue::built_in().unwrap();
    let text = "[[role]]\npack = \"\\u001b[2Jclear\"\nrole = \"x\"\n";
    let report = compile("host.toml", text, &catalogue, date(2026, 11, 21)).unwrap_err();
    assert!(!report.render(false).contains('\u{1b}'), "{:?}", report.render(false));
}

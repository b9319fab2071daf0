//! Roles that are only observed on a host that enforces: what that opens, and what it never opens.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::IpAddr;

use jiff::civil::date;
use portreeve::{
    image::{Image, Slots, simulation::Simulation},
    policy::{Catalogue, compile},
};
use portreeve_common::{Address, Direction, flow::FlowKey};

const OWN: &str = "192.0.2.10";
const KNOWN: &str = "198.51.100.20";
const STRANGER: &str = "203.0.113.66";

fn host(stage: &str, more: &str) -> String {
    format!(
        "[enforcement]\ningress = \"enforce\"\negress = \"enforce\"\n[[role]]\npack = \"siemens-industrial-edge\"\n\
         role = \"ied\"\n{stage}\noptions = {{ offering = \"IEM OS\" }}\n[role.peers]\niem = [\"{KNOWN}\"]\n\
         dns_servers = [\"{KNOWN}\"]\nntp_servers = [\"{KNOWN}\"]\nui_clients = [\"{KNOWN}\"]\n{more}"
    )
}

/// The flow by which a TCP connection may begin, and how many warnings the host file has.
struct Judge {
    simulation: Simulation,
    warnings: usize,
}

impl Judge {
    fn of(text: &str) -> Self {
        let catalogue = Catalogue::built_in().unwrap();
        let policy = compile("host.toml", text, &catalogue, date(2026, 11, 21));
        let policy = policy.unwrap_or_else(|report| panic!("{}", report.render(false)));
        let own = [format!("{OWN}/24").parse().unwrap()];
        let image = Image::compile(&policy, &own, &mut Slots::default(), 250).unwrap();
        Self { simulation: Simulation::new(image), warnings: policy.report.diagnostics.len() }
    }

    fn flow(&self, direction: Direction, protocol: u8, remote: &str, port: u16) -> Option<String> {
        let ip = |text: &str| Address::from(text.parse::<IpAddr>().unwrap());
        let (local, far) = match direction {
            Direction::Ingress => (port, 40_000),
            Direction::Egress => (40_000, port),
        };
        let key = FlowKey::new(ip(OWN), ip(remote), local, far, protocol);
        let slot = self.simulation.allows(&key, direction)?;
        Some(self.simulation.image().flow(slot).unwrap().flow.clone())
    }

    fn ingress(&self, remote: &str, port: u16) -> Option<String> {
        self.flow(Direction::Ingress, 6, remote, port)
    }

    fn egress_dns(&self, remote: &str) -> Option<String> {
        self.flow(Direction::Egress, 17, remote, 53)
    }
}

#[test]
fn an_observed_role_lets_strangers_use_its_own_ports_only() {
    let strict = Judge::of(&host("", ""));
    let documented = strict.ingress(KNOWN, 443);
    assert!(documented.is_some());
    assert_eq!((strict.ingress(STRANGER, 443), strict.egress_dns(STRANGER)), (None, None));
    let observed = Judge::of(&host("stage = \"observe\"", ""));
    assert_eq!(observed.ingress(KNOWN, 443), documented, "its own peers count as they did");
    assert_eq!(observed.ingress(STRANGER, 443).as_deref(), Some("observed:ied:ingress"));
    assert_eq!(observed.egress_dns(STRANGER).as_deref(), Some("observed:ied:egress"));
    assert_eq!(observed.ingress(STRANGER, 22), None, "what nothing documents belongs to no role");
}

#[test]
fn each_direction_has_its_own_stage() {
    let judge = Judge::of(&host("stage = { egress = \"observe\" }", ""));
    assert_eq!(judge.ingress(STRANGER, 443), None);
    assert!(judge.egress_dns(STRANGER).is_some());
}

#[test]
fn observing_one_role_opens_nothing_that_the_site_closes() {
    let allow = "[[allow]]\nid = \"SITE-1\"\ndirection = \"ingress\"\nprotocol = \"tcp\"\nport = \"440-450\"\n\
                 peers = [\"198.51.100.7\"]\nreason = \"r\"\n";
    let judge = Judge::of(&host("stage = \"observe\"", allow));
    assert_eq!(judge.ingress(STRANGER, 443), None);
    assert_eq!(judge.ingress("198.51.100.7", 443).as_deref(), Some("SITE-1"));
    assert!(judge.egress_dns(STRANGER).is_some());
    assert_eq!(judge.warnings, Judge::of(&host("", allow)).warnings + 1, "and a warning says so");
}

#[test]
fn a_wrong_stage_says_what_would_be_right() {
    for (stage, says) in [
        ("stage = \"observing\"", "did you mean `observe`?"),
        ("stage = { ingres = \"observe\" }", "did you mean `ingress`?"),
        ("stage = 1", "`stage` must be a string"),
    ] {
        let catalogue = Catalogue::built_in().unwrap();
        let report = compile("host.toml", &host(stage, ""), &catalogue, date(2026, 11, 21)).unwrap_err();
        let said = report.render(false);
        assert!(said.contains(says), "{stage}: {said}");
    }
}

//! Any valid host file reads back as what was written.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{net::IpAddr, time::Duration};

use ipnet::IpNet;
use jiff::civil::date;
use portreeve::policy::{
    Catalogue, Policy, compile,
    host::{HostFile, Mode, PeerList},
    rule::{Peers, Service},
};
use proptest::{collection::vec, prelude::*};

#[derive(Clone, Debug)]
struct Written {
    name: String,
    enforce: [bool; 2],
    established: u32,
    adoption: u64,
    addresses: Vec<IpAddr>,
    ping_from: Vec<IpNet>,
    offering: &'static str,
    relay_port: u16,
    peers: [Vec<IpNet>; 3],
    ports: Vec<(u16, u16)>,
}

fn net() -> impl Strategy<Value = IpNet> {
    let v4 = (any::<u32>(), 0..=32u8).prop_map(|(bits, length)| (IpAddr::V4(bits.into()), length));
    let v6 = (any::<u128>(), 0..=128u8).prop_map(|(bits, length)| (IpAddr::V6(bits.into()), length));
    prop_oneof![v4, v6]
        .prop_map(|(address, length)| IpNet::new(address, length).unwrap().trunc())
        .prop_filter("a prefix of hosts", |net| {
            net.to_string().parse::<portreeve::policy::address::Remote>().is_ok()
        })
}

fn address() -> impl Strategy<Value = IpAddr> {
    let unicast = |address: &IpAddr| !address.is_multicast() && !address.is_unspecified();
    prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::V4(bits.into())),
        any::<u128>().prop_map(|bits| IpAddr::V6(bits.into()))
    ]
    .prop_filter("unicast", unicast)
}

fn written() -> impl Strategy<Value = Written> {
    let offerings = proptest::sample::select(vec!["IEM OS", "IEM Pro", "IEM Virtual", "IEM Cloud"]);
    let identity = ("[a-z][a-z0-9-]{0,20}", vec(address(), 0..3), vec(net(), 0..4));
    let limits = (any::<[bool; 2]>(), 1024..=1_048_576u32, 0..=3600u64);
    let lists = [vec(net(), 1..5), vec(net(), 1..5), vec(net(), 1..5)];
    let role = (offerings, 1..=65535u16, lists);
    let ports = vec((1..=65535u16, 0..100u16), 1..5);
    (identity, limits, role, ports).prop_map(|(identity, limits, role, ports)| Written {
        name: identity.0,
        addresses: identity.1,
        ping_from: identity.2,
        enforce: limits.0,
        established: limits.1,
        adoption: limits.2,
        offering: role.0,
        relay_port: role.1,
        peers: role.2,
        ports: ports.into_iter().map(|(first, more)| (first, first.saturating_add(more))).collect(),
    })
}

fn quoted<T: ToString>(items: &[T]) -> String {
    format!(
        "[{}]",
        items.iter().map(|item| format!("\"{}\"", item.to_string())).collect::<Vec<_>>().join(", ")
    )
}

impl Written {
    fn text(&self) -> String {
        let mode = |enforce| if enforce { "enforce" } else { "observe" };
        let ports: Vec<_> = self.ports.iter().map(|(first, last)| format!("{first}-{last}")).collect();
        format!(
            r#"[host]
name = "{}"
addresses = {}
[enforcement]
ingress = "{}"
egress = "{}"
[state]
established = {}
adoption = "{}s"
[baseline]
ping_from = {}
[[role]]
pack = "siemens-industrial-edge"
role = "ied"
options = {{ offering = "{}", remote_access = true, remote_access_port = {} }}
peers = {{ iem = {}, dns_servers = {}, ntp_servers = {}, relay = "any" }}
[[allow]]
id = "SITE-1"
direction = "egress"
protocol = "udp"
port = {}
peers = "any"
reason = "r"
"#,
            self.name,
            quoted(&self.addresses),
            mode(self.enforce[0]),
            mode(self.enforce[1]),
            self.established,
            self.adoption,
            quoted(&self.ping_from),
            self.offering,
            self.relay_port,
            quoted(&self.peers[0]),
            quoted(&self.peers[1]),
            quoted(&self.peers[2]),
            quoted(&ports),
        )
    }

    fn same(&self, host: &HostFile) {
        assert_eq!(host.name.as_deref(), Some(self.name.as_str()));
        assert_eq!(host.addresses, self.addresses);
        let modes = [host.enforcement.ingress, host.enforcement.egress].map(|mode| mode == Mode::Enforce);
        assert_eq!(modes, self.enforce);
        assert_eq!(host.state.established, self.established);
        assert_eq!(host.state.adoption, Duration::from_secs(self.adoption));
        assert_eq!(prefixes(host.baseline.ping_from.as_ref().unwrap()), self.ping_from);
        for (peer, nets) in ["iem", "dns_servers", "ntp_servers"].into_iter().zip(&self.peers) {
            assert_eq!(prefixes(&host.roles[0].peers[peer]), *nets);
        }
    }
}

fn prefixes(list: &PeerList) -> Vec<IpNet> {
    list.prefixes().copied().collect()
}

/// Every port of a rule, one by one.
fn ports(policy: &Policy, flow: &str) -> Vec<u16> {
    let rule = policy.rules.iter().find(|rule| rule.flow == flow).unwrap();
    match &rule.service {
        Service::Tcp(ports) | Service::Udp(ports) => {
            ports.destination.iter().flat_map(Clone::clone).collect()
        }
        Service::Echo | Service::Igmp | Service::Protocol(_) => Vec::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_valid_host_file_reads_back(written in written()) {
        let catalogue = Catalogue::built_in().unwrap();
        let policy = compile("host.toml", &written.text(), &catalogue, date(2026, 11, 21));
        let policy = policy.unwrap_or_else(|report| panic!("{}\n{}", written.text(), report.render(false)));
        written.same(&policy.host);
        let mut all: Vec<u16> = written.ports.iter().flat_map(|(first, last)| *first..=*last).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(ports(&policy, "SITE-1"), all);
        if written.offering == "IEM OS" {
            assert_eq!(ports(&policy, "SIE-IED-05"), [written.relay_port]);
        }
        let iem = policy.rules.iter().find(|rule| rule.flow == "SIE-IED-01").unwrap();
        let Peers::Listed { prefixes, names } = &iem.peers else { panic!("{:?}", iem.peers) };
        assert!(names.is_empty() && written.peers[0].iter().all(|net| prefixes.contains(net)));
    }

    #[test]
    fn no_text_breaks_the_reader(text in "\\PC{0,200}") {
        let catalogue = Catalogue::built_in().unwrap();
        if let Err(report) = compile("host.toml", &text, &catalogue, date(2026, 11, 21)) {
            prop_assert!(!report.render(false).is_empty());
        }
    }

    #[test]
    fn no_cut_breaks_the_reader(written in written(), from in 0..1000usize, length in 0..40usize) {
        let mut text = written.text();
        let from = text.floor_char_boundary(from);
        let to = text.floor_char_boundary(from + length);
        text.replace_range(from..to, "é\"");
        let catalogue = Catalogue::built_in().unwrap();
        if let Err(report) = compile("host.toml", &text, &catalogue, date(2026, 11, 21)) {
            prop_assert!(!report.render(false).is_empty());
        }
    }
}

//! Which cloud a MachineMetrics Edge reaches, by tenancy and by where its time comes from.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, fs, process::Command};

use jiff::civil::date;
use portreeve::policy::{Catalogue, Policy, compile};

const FACTS: &str = include_str!("facts/flows.json");

fn host(options: &str) -> String {
    format!(
        "[host]\naddresses = [\"192.0.2.10\", \"2001:db8:1::10\"]\n[[role]]\npack = \"machinemetrics-edge\"\n\
         role = \"mm-edge\"\noptions = {{ {options} }}\n\
         peers = {{ dns_servers = [\"192.0.2.53\"], ntp_servers = [\"192.0.2.123\"] }}\n"
    )
}

fn policy(options: &str) -> Policy {
    let text = host(options);
    compile("host.toml", &text, &Catalogue::built_in().unwrap(), date(2026, 11, 21))
        .unwrap_or_else(|report| panic!("{text}\n{}", report.render(false)))
}

/// The flows of a policy towards the clouds; a rule may stand for several rows.
fn clouds(policy: &Policy) -> BTreeSet<String> {
    let all = policy.rules.iter().flat_map(|rule| rule.aliases.iter().chain([&rule.flow]));
    all.filter(|id| id.starts_with("MM-WEB-") || id.starts_with("MM-NATS-")).cloned().collect()
}

/// What the document says of a tenancy.
fn documented(tenancy: &str) -> BTreeSet<String> {
    let facts: Vec<serde_json::Value> = serde_json::from_str(FACTS).unwrap();
    let of = facts.iter().filter(|fact| fact["condition"]["opt"]["tenancy"] == tenancy);
    of.map(|fact| fact["id"].as_str().unwrap().to_owned()).collect()
}

/// The verdict on a packet: `pass FLOW`, or `drop reason`.
fn verdict(options: &str, packet: &str) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), host(options)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_portreeve"));
    let output = command.args(["explain", "--json"]).arg(file.path()).arg(packet).output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{packet}: {error}: {}", String::from_utf8_lossy(&output.stderr)));
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("nothing").to_owned();
    let by = if json["flow"].is_null() { &json["reason"] } else { &json["flow"]["id"] };
    format!("{} {}", text(&json["verdict"]), text(by))
}

#[test]
fn a_tenancy_opens_its_own_cloud_and_both_open_both() {
    let (commercial, govcloud) = (documented("commercial"), documented("govcloud"));
    assert_eq!((commercial.len(), govcloud.len()), (15, 19));
    assert_eq!(clouds(&policy("tenancy = \"commercial\"")), commercial);
    assert_eq!(clouds(&policy("google_dns = false")), commercial, "the default");
    assert_eq!(clouds(&policy("tenancy = \"govcloud\"")), govcloud);
    assert_eq!(clouds(&policy("tenancy = \"both\"")), &commercial | &govcloud);
}

#[test]
fn names_and_static_addresses_are_those_of_the_tenancy() {
    let [commercial, govcloud, both] =
        ["tenancy = \"commercial\"", "tenancy = \"govcloud\"", "tenancy = \"both\""];
    for (options, packet, wanted) in [
        (commercial, "out tcp -> api.machinemetrics.com:443", "pass MM-WEB-C01"),
        (both, "out tcp -> api.machinemetrics.com:443", "pass MM-WEB-C01"),
        (govcloud, "out tcp -> api.machinemetrics.com:443", "drop wrong-peer"),
        // The wildcard covers every depth below it and not its name; what it contains keeps its own flow.
        (commercial, "out tcp -> a.b.balena-cloud.com:443", "pass MM-WEB-C03"),
        (commercial, "out tcp -> cloudlink.balena-cloud.com:443", "pass MM-WEB-C04"),
        (commercial, "out tcp -> balena-cloud.com:443", "drop wrong-peer"),
        (commercial, "out tcp -> evil-balena-cloud.com:443", "drop wrong-peer"),
        (commercial, "out tcp -> 54.218.103.126:7422", "pass MM-NATS-C01"),
        (commercial, "out tcp -> 54.218.103.126:443", "drop wrong-peer"),
        (commercial, "out tcp -> 18.252.129.108:443", "drop wrong-peer"),
        (commercial, "out tcp -> 18.252.129.108:7422", "drop wrong-peer"),
        (govcloud, "out tcp -> 18.252.129.108:443", "pass MM-WEB-G01"),
        (govcloud, "out tcp -> 182.30.131.220:443", "pass MM-WEB-G01"),
        (govcloud, "out tcp -> 18.253.182.20:443", "pass MM-WEB-G04"),
        (govcloud, "out tcp -> 18.253.182.20:7422", "drop wrong-peer"),
        (govcloud, "out tcp -> tunnel.balena.machinemetrics-us-gov.com:443", "pass MM-WEB-G11"),
        (govcloud, "out tcp -> stream.machinemetrics-us-gov.com:7422", "pass MM-NATS-G03"),
        (govcloud, "out tcp -> stream.machinemetrics-us-gov.com:443", "drop wrong-peer"),
        (govcloud, "out tcp -> 18.254.70.116:7422", "pass MM-NATS-GI02"),
        (govcloud, "out tcp -> 54.218.103.126:7422", "drop wrong-peer"),
        (both, "out tcp -> 54.218.103.126:7422", "pass MM-NATS-C01"),
        (both, "out tcp -> 18.254.70.116:7422", "pass MM-NATS-GI02"),
        (both, "in tcp 18.253.182.20 -> 443", "drop no-rule"),
    ] {
        assert_eq!(verdict(options, packet), wanted, "{options}: {packet}");
    }
}

#[test]
fn time_comes_from_where_the_mode_says() {
    let [any, learned, servers] = ["ntp_mode = \"any\"", "ntp_mode = \"learned\"", "ntp_mode = \"servers\""];
    for (options, packet, wanted) in [
        (any, "out udp -> 203.0.113.9:123", "pass MM-NTP-01"),
        (learned, "out udp -> 203.0.113.9:123", "drop wrong-peer"),
        (learned, "out udp -> 0.resinio.pool.ntp.org:123", "pass MM-NTP-01"),
        (learned, "out udp -> resinio.pool.ntp.org:123", "drop wrong-peer"),
        (learned, "out udp -> 0.pool.ntp.org:123", "drop wrong-peer"),
        (learned, "out udp -> 192.0.2.123:123", "pass MM-NTP-02"),
        (servers, "out udp -> 0.resinio.pool.ntp.org:123", "drop wrong-peer"),
        (servers, "out udp -> 192.0.2.123:123", "pass MM-NTP-02"),
    ] {
        assert_eq!(verdict(options, packet), wanted, "{options}: {packet}");
    }
}

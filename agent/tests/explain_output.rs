//! What `explain` says of packets, word by word, and how it exits.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fmt::Write as _, fs, path::Path, process::Command};

/// Passes; and drops for each of the things in which the nearest flow can differ.
const PACKETS: [&str; 15] = [
    "in tcp 198.51.100.7:40000 -> 443",
    "in tcp [2001:db8::7]:40000 -> 443",
    "out udp -> 198.51.100.53:53",
    "out tcp -> [2001:db8:2::20]:9444",
    "in icmp 198.51.100.9 ->",
    "out udp -> 8.8.8.8:53",
    "in icmp 203.0.113.9 ->",
    "out tcp -> 203.0.113.10:8884",
    "out udp -> 203.0.113.10:8883",
    "in tcp 203.0.113.10 -> 8883",
    "out tcp -> 198.51.100.20:32500",
    "in 47 198.51.100.9 ->",
    "in tcp 224.0.0.1 -> 443",
    "in tcp 198.51.100.7 -> 192.0.2.11:443",
    "out igmp -> 224.0.0.22",
];

#[test]
fn packets_are_explained() {
    let mut shown = String::new();
    for packet in PACKETS {
        let (code, stdout, stderr) = explain(&[packet]);
        assert_eq!(stderr, "", "{packet}");
        assert_eq!(code, Some(i32::from(stdout.starts_with("drop"))), "{packet}");
        writeln!(shown, "$ portreeve explain line4-edge.toml '{packet}'\n{stdout}").unwrap();
    }
    let wanted = fs::read_to_string(golden().join("line4-edge.explain.txt")).unwrap_or_default();
    assert_eq!(shown, wanted, "shown:\n{shown}");
}

#[test]
fn json_says_the_same() {
    let json = |packet: &str| -> serde_json::Value {
        serde_json::from_str(&explain(&["--json", packet]).1).unwrap()
    };
    let passed = json(PACKETS[0]);
    assert_eq!((&passed["verdict"], &passed["reason"]), (&"pass".into(), &"rule".into()));
    assert_eq!((&passed["flow"]["id"], &passed["nearest"]), (&"SIE-IED-03".into(), &().into()));
    assert_eq!(passed["flow"]["source"]["row"], "T3.3, Edge Device");
    for (packet, flow, differs) in [
        ("out udp -> 8.8.8.8:53", "SIE-IED-07", "peer"),
        ("out tcp -> 203.0.113.10:8884", "SITE-1", "port"),
        ("out udp -> 203.0.113.10:8883", "SITE-1", "protocol"),
        ("in tcp 203.0.113.10 -> 8883", "SITE-1", "direction"),
        ("out tcp -> 198.51.100.20:32500", "SIE-IED-05", "option"),
    ] {
        let dropped = json(packet);
        assert_eq!((&dropped["verdict"], &dropped["flow"]), (&"drop".into(), &().into()), "{packet}");
        let nearest = &dropped["nearest"];
        assert_eq!((&nearest["flow"], &nearest["differs"]), (&flow.into(), &differs.into()), "{packet}");
    }
}

#[test]
fn names_and_groups_are_explained() {
    let host = tempfile::NamedTempFile::new().unwrap();
    let text = "[host]\naddresses = [\"192.0.2.10\"]\n[names]\n\"api.example.com\" = [\"203.0.113.5\"]\n\
                [[allow]]\nid = \"N\"\ndirection = \"egress\"\nprotocol = \"udp\"\nport = 5000\n\
                peers = [\"224.10.10.25\", \"*.example.com\", \"other.example.org\"]\nreason = \"test\"\n";
    fs::write(host.path(), text).unwrap();
    for (packet, wanted) in [
        ("out udp -> api.example.com:5000", "flow     N, egress udp 5000"),
        ("out udp -> 224.10.10.25:5000", "flow     N, egress udp 5000"),
        ("out udp -> 224.10.10.26:5000", "it is for 224.10.10.25, not for 224.10.10.26"),
        ("out udp -> 203.0.113.9:5000", "not for 203.0.113.9; "),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portreeve"));
        let output = command.arg("explain").arg(host.path()).arg(packet).output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(stdout.contains(wanted), "{packet}: {stdout}");
    }
}

#[test]
fn what_a_packet_needs_beside_its_peer_is_explained() {
    let packs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/tests/rules/packs");
    let host = tempfile::NamedTempFile::new().unwrap();
    let text = "[host]\naddresses = [\"192.0.2.10\"]\n[[role]]\npack = \"plant\"\nrole = \"edge\"\n\
                peers = { panels = [\"192.0.2.60\"], files = [\"192.0.2.70\"] }\n";
    fs::write(host.path(), text).unwrap();
    for (packet, verdict, wanted) in [
        ("in udp 192.0.2.60 -> 255.255.255.255:8001", "pass (rule)", "flow     P-CAST, ingress udp 8001"),
        ("in udp 192.0.2.60:514 -> 514", "pass (rule)", "flow     P-SYSLOG, ingress udp 514 from port 514"),
        ("in udp 192.0.2.60:515 -> 514", "drop (no-rule)", "it is for udp 514 from port 514"),
        (
            "out tcp 20 -> 192.0.2.70:40001",
            "drop (no-state)",
            "it passes only beside a live flow to port 21 between the two",
        ),
        ("in igmp 0.0.0.0 -> 224.0.0.1", "pass (baseline)", "flow     P-QUERY, ingress igmp"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portreeve"));
        let output = command.arg("--packs").arg(&packs).arg("explain").arg(host.path()).arg(packet).output();
        let stdout = String::from_utf8(output.unwrap().stdout).unwrap();
        assert!(stdout.starts_with(verdict) && stdout.contains(wanted), "{packet}: {stdout}");
    }
}

#[test]
fn what_is_no_packet_is_an_error() {
    for (packet, wanted) in [
        ("in tcp gateway -> 443", "`gateway` is neither an address nor a name in [names] of the host file"),
        ("in sctp 198.51.100.7 -> 443", "`sctp` is not a protocol"),
        ("tcp", "`tcp` is not a packet: write it like 'in tcp 198.51.100.7:40000 -> 443'"),
    ] {
        let (code, stdout, stderr) = explain(&[packet]);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{packet}");
        assert!(stderr.contains(wanted), "{packet}: {stderr}");
    }
}

fn golden() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn explain(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portreeve"));
    let output =
        command.args(["explain", "line4-edge.toml"]).args(arguments).current_dir(golden()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn names_that_answers_teach_are_explained() {
    let host = tempfile::NamedTempFile::new().unwrap();
    let allow = |id: &str, protocol: &str, port: u16, peers: &str| {
        format!(
            "[[allow]]\nid = \"{id}\"\ndirection = \"egress\"\nprotocol = \"{protocol}\"\nport = {port}\n\
             peers = [{peers}]\nreason = \"test\"\n"
        )
    };
    let own = "[host]\naddresses = [\"192.0.2.10\"]\n";
    let resolver = allow("DNS", "udp", 53, "\"192.0.2.53\"");
    let named = allow("API", "tcp", 443, "\"api.example.com\", \"*.example.net\"");
    fs::write(host.path(), format!("{own}{resolver}{named}")).unwrap();
    for (packet, wanted) in [
        ("out tcp -> api.example.com:443", "pass (rule)"),
        ("out tcp -> API.example.com:443", "flow     API, egress tcp 443"),
        ("out tcp -> a.b.example.net:443", "flow     API, egress tcp 443"),
        ("out tcp -> example.net:443", "drop (wrong-peer)"),
        ("out tcp -> evilexample.net:443", "drop (wrong-peer)"),
        ("out tcp -> www.example.com:443", "drop (wrong-peer)"),
        ("out tcp -> api.example.com:444", "drop (no-rule)"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portreeve"));
        let output = command.arg("explain").arg(host.path()).arg(packet).output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(stdout.contains(wanted), "{packet}: {stdout}");
    }
}

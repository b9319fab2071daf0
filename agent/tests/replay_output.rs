//! What `replay --simulate` says of the captures in `captures/`, and how it exits.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::Path, process::Command};

/// A TCP handshake's SYN to the device's web interface and its SYN-ACK, DNS both ways without a flow, an echo
/// request that nothing documents, ARP both ways.
const ETHERNET: &str = r#"{"n": 1, "direction": "ingress", "verdict": "pass", "reason": "rule", "flow": "SIE-IED-03"}
{"n": 2, "direction": "egress", "verdict": "pass", "reason": "established", "flow": "SIE-IED-03"}
{"n": 3, "direction": "ingress", "verdict": "drop", "reason": "no-rule", "flow": null}
{"n": 4, "direction": "egress", "verdict": "drop", "reason": "no-rule", "flow": null}
{"n": 5, "direction": "egress", "verdict": "drop", "reason": "no-rule", "flow": null}
{"n": 6, "direction": "egress", "verdict": "pass", "reason": "baseline", "flow": null}
{"n": 7, "direction": "ingress", "verdict": "pass", "reason": "baseline", "flow": null}
"#;

#[test]
fn every_form_of_the_same_capture_is_judged_the_same() {
    for name in [
        "ethernet-micro-le.pcap",
        "ethernet-micro-be.pcap",
        "ethernet-nano-le.pcap",
        "ethernet-nano-be.pcap",
        "ethernet.pcapng",
    ] {
        assert_eq!(replay(name, &["--json"]), (Some(0), ETHERNET.into(), String::new()), "{name}");
    }
    let four: String = ETHERNET.split_inclusive('\n').take(4).collect();
    assert_eq!(replay("raw-ip.pcap", &["--json"]).1, four);
}

#[test]
fn other_captures_are_judged() {
    for (name, wanted) in [
        ("cooked.pcap", "rule established baseline"),
        ("loopback.pcap", "no-rule no-state"),
        (
            "veth-cut-nano.pcap",
            "baseline baseline no-rule no-state no-rule no-state baseline no-rule no-state wrong-peer no-state",
        ),
        (
            "cooked-v2.pcap",
            "baseline baseline no-rule no-state no-rule no-state baseline no-rule no-state wrong-peer no-state \
             wrong-peer no-state",
        ),
    ] {
        let (code, stdout, _) = replay(name, &["--json"]);
        let lines: Vec<serde_json::Value> =
            stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let reasons: Vec<&str> = lines.iter().map(|line| line["reason"].as_str().unwrap()).collect();
        assert_eq!((code, reasons.join(" ").as_str()), (Some(0), wanted), "{name}");
    }
}

#[test]
fn a_summary_counts_by_flow_port_and_reason() {
    let (code, stdout, _) = replay("ethernet-micro-le.pcap", &[]);
    assert_eq!(code, Some(0));
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = stdout.lines().map(words).collect();
    for wanted in [
        "7 packets, 373 bytes: 4 pass, 3 would be dropped",
        "SIE-IED-03 ied ingress 2 108 web interface of the device",
        "ingress udp 53 no-rule 1 67",
        "egress icmp 8 no-rule 1 46",
        "no-rule egress drop 2 114 nothing documents this port",
    ] {
        assert!(lines.iter().any(|line| line == wanted), "{wanted} in\n{stdout}");
    }
    let (_, cut, _) = replay("veth-cut-nano.pcap", &[]);
    assert!(cut.contains("9 packets were captured in part"), "{cut}");
}

#[test]
fn what_cannot_be_judged_is_named() {
    let (code, stdout, stderr) = replay("other-link.pcap", &[]);
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert!(stderr.contains("link type 105"), "{stderr}");
    let (code, _, stderr) = replay("none.pcap", &["--json"]);
    assert!(code == Some(2) && stderr.contains("can't open"), "{stderr}");
}

#[test]
fn a_host_without_addresses_is_asked_for_them() {
    let host = tempfile::NamedTempFile::new().unwrap();
    let text = "[host]\ninterfaces = [\"none0\"]\n[[allow]]\nid = \"S\"\ndirection = \"ingress\"\n\
                protocol = \"tcp\"\nport = 1\npeers = \"any\"\nreason = \"test\"\n";
    std::fs::write(host.path(), text).unwrap();
    let capture = folder("captures").join("cooked.pcap");
    let output = Command::new(env!("CARGO_BIN_EXE_portreeve"))
        .args(["replay", "--simulate"])
        .args([host.path(), &capture])
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains("set `addresses` in [host]"), "{stderr}");
}

fn folder(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

fn replay(capture: &str, flags: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_portreeve"))
        .args(["replay", "--simulate", "line4-edge.toml"])
        .arg(folder("captures").join(capture))
        .args(flags)
        .current_dir(folder("golden"))
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

//! Flows that are off: `rules --all` says what keeps them so, `explain` names the one thing that differs.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, process::Command};

use serde_json::Value;

/// A product with versions and options, and every way for its flows to be off.
const PACK: &str = r#"
name = "product"
vendor = "Vendor"
title = "Ports"
document = "ports.txt"

[[role]]
name = "server"
help = "the server"

[[role.option]]
name = "version"
type = "version"
required = true
help = "what runs"

[[role.option]]
name = "secure"
type = "flag"
default = false
help = "whether clients come over TLS"

[[role.peer]]
name = "clients"
help = "who uses it"

[[role.peer]]
name = "agents"
help = "who reports to it"

[[flow]]
id = "P-1"
role = "server"
row = "1"
direction = "ingress"
protocol = "tcp"
ports = [80]
peers = ["clients"]
when = { secure = false }
purpose = "clients"

[[flow]]
id = "P-2"
role = "server"
row = "2"
direction = "ingress"
protocol = "tcp"
ports = [443]
peers = ["clients"]
when = { secure = true }
purpose = "clients over TLS"

[[flow]]
id = "P-3"
role = "server"
row = "3"
direction = "ingress"
protocol = "tcp"
ports = [9000]
peers = ["clients"]
when = { version = { at_least = "10.3.6" } }
purpose = "the new interface"

[[flow]]
id = "P-4"
role = "server"
row = "4"
direction = "ingress"
protocol = "udp"
ports = [162]
peers = ["agents"]
purpose = "reports"

[[flow]]
id = "P-5"
role = "server"
row = "5"
direction = "ingress"
protocol = "tcp"
ports = [9001]
peers = ["clients"]
when = { version = { at_least = "10.3.6" }, secure = true }
purpose = "the new interface over TLS"
"#;

const HOST: &str = r#"
[host]
addresses = ["192.0.2.10"]
[[role]]
pack = "product"
role = "server"
options = { version = "10.3.5" }
peers = { clients = ["198.51.100.0/24"] }
[[allow]]
id = "SITE-1"
direction = "egress"
protocol = "tcp"
port = 25
peers = ["203.0.113.25"]
reason = "mail"
expires = 2020-01-31
"#;

fn json(arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("packs")).unwrap();
    fs::write(folder.path().join("packs/product.toml"), PACK).unwrap();
    fs::write(folder.path().join("host.toml"), HOST).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_portreeve"));
    command.current_dir(folder.path()).args(["--packs", "packs"]).args(arguments).arg("--json");
    let output = command.output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn all_rules_say_what_turns_them_on_or_off() {
    let rules = json(&["rules", "host.toml", "--all"]);
    let row = |flow: &str| rules.as_array().unwrap().iter().find(|rule| rule["flow"] == flow).unwrap();
    for (flow, off, why) in [
        ("P-1", None, "secure = false"),
        ("P-2", Some("option"), "needs secure true; it is false"),
        ("P-3", Some("version"), "needs version from 10.3.6; it is \"10.3.5\""),
        ("P-4", Some("peer"), "peer `agents` is unset"),
        ("SITE-1", Some("expired"), "expired on 2020-01-31"),
    ] {
        let off: Value = off.into();
        assert_eq!((&row(flow)["off"], &row(flow)["why"]), (&off, &why.into()), "{flow}");
        assert_eq!(row(flow)["on"], off.is_null());
    }
    assert_eq!(row("P-5")["off"], "option");
    assert_eq!(row("P-3")["peers"]["prefixes"][0], "198.51.100.0/24");
    assert_eq!(row("P-4")["peers"], Value::Null);
}

#[test]
fn the_one_thing_that_differs_is_named() {
    for (packet, flow, differs) in [
        ("in tcp 198.51.100.7 -> 443", "P-2", "option"),
        ("in tcp 198.51.100.7 -> 9000", "P-3", "version"),
        ("in udp 198.51.100.7 -> 162", "P-4", "peer"),
        ("out tcp -> 203.0.113.25:25", "SITE-1", "expired"),
        ("in tcp 203.0.113.7 -> 80", "P-1", "peer"),
        ("in tcp 198.51.100.7 -> 81", "P-1", "port"),
        ("in udp 198.51.100.7 -> 80", "P-1", "protocol"),
        ("out tcp -> 198.51.100.7:80", "P-1", "direction"),
    ] {
        let nearest = json(&["explain", "host.toml", packet])["nearest"].take();
        assert_eq!(
            (&nearest["flow"], &nearest["differs"]),
            (&flow.into(), &differs.into()),
            "{packet}: {nearest}"
        );
    }
}

#[test]
fn two_things_that_differ_are_not_one() {
    for packet in ["in tcp 203.0.113.7 -> 443", "in udp 203.0.113.7 -> 9000"] {
        assert_eq!(json(&["explain", "host.toml", packet])["nearest"], Value::Null, "{packet}");
    }
}

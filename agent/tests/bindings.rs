//! `interfaces` of roles and `[[allow]]`: which are taken, which are refused, and what commands say of them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, process::Command};

use jiff::civil::date;
use portreeve::policy::{Catalogue, Policy, compile};
use serde_json::Value as Json;

const HOST: &str = r#"[host]
interfaces = ["enp2s0", "enp3*"]
addresses = ["192.0.2.10"]
"#;
const ROLE: &str = r#"[[role]]
pack = "machinemetrics-edge"
role = "mm-edge"
peers = { dns_servers = ["192.0.2.53"] }
machines = [{ ip = "198.51.100.31", controller = "FANUC FOCAS" }]
"#;
const ALLOW: &str = r#"[[allow]]
id = "SITE"
direction = "ingress"
protocol = "tcp"
port = 22
peers = "any"
reason = "r"
"#;

fn try_compile(text: &str) -> Result<Policy, String> {
    let catalogue = Catalogue::built_in().unwrap();
    compile("host.toml", text, &catalogue, date(2026, 11, 21)).map_err(|report| report.render(false))
}

/// Where a flow may begin.
fn bound(policy: &Policy, flow: &str) -> Vec<String> {
    policy.rules.iter().find(|rule| rule.flow == flow).unwrap().interfaces.clone()
}

#[test]
fn a_table_binds_by_the_networks_of_the_pack() {
    let both = "interfaces = { company = [\"enp2s0\"], machine = [\"enp3s0\", \"enp3s1\"] }\n";
    let policy = try_compile(&format!("{HOST}{ROLE}{both}")).unwrap();
    assert_eq!(bound(&policy, "MM-MACH-01"), ["enp3s0", "enp3s1"]);
    for company in ["MM-WEB-C01", "MM-NATS-C01", "MM-DNS-01", "MM-NTP-01"] {
        assert_eq!(bound(&policy, company), ["enp2s0"], "{company}");
    }
    assert!(bound(&policy, "MM-DNS-03").is_empty(), "the site's resolvers may be in either network");
    let one = try_compile(&format!("{HOST}{ROLE}interfaces = {{ machine = [\"enp3s0\"] }}\n")).unwrap();
    assert_eq!((bound(&one, "MM-MACH-01").len(), bound(&one, "MM-WEB-C01").len()), (1, 0));
}

#[test]
fn a_list_binds_all_flows_and_nothing_binds_none() {
    let policy = try_compile(&format!("{HOST}{ROLE}interfaces = [\"enp2s0\"]\n{ALLOW}")).unwrap();
    let of_role = |rule: &&portreeve::policy::Rule| rule.role == "mm-edge";
    assert!(policy.rules.iter().filter(of_role).all(|rule| rule.interfaces == ["enp2s0"]));
    assert!(bound(&policy, "SITE").is_empty());
    let policy = try_compile(&format!("{HOST}{ROLE}{ALLOW}interfaces = [\"enp3s0\"]\n")).unwrap();
    assert_eq!(bound(&policy, "SITE"), ["enp3s0"]);
    assert!(policy.rules.iter().filter(of_role).all(|rule| rule.interfaces.is_empty()));
    // Without a list of the host's any name may come to be one of its interfaces.
    assert!(try_compile(&format!("{ALLOW}interfaces = [\"eth7\"]\n")).is_ok());
}

#[test]
fn what_no_flow_could_begin_by_is_refused() {
    for (line, error) in [
        ("interfaces = { machines = [\"enp3s0\"] }", "did you mean `machine`?"),
        ("interfaces = { machine = [\"enp3*\"] }", "`enp3*` may mean several interfaces"),
        ("interfaces = { machine = [] }", "`interfaces` lists none"),
        ("interfaces = [\"eth0\"]", "`eth0` is not among the interfaces of [host]"),
        ("interfaces = [\"a/b\"]", "`a/b` can't be an interface's name"),
        ("interfaces = [7]", "`interfaces` must be a string, not a number"),
        ("interfaces = \"enp2s0\"", "`interfaces` must be a list, not a string"),
    ] {
        let report = try_compile(&format!("{HOST}{ROLE}{line}\n")).map(|policy| policy.rules).unwrap_err();
        assert!(report.contains(error), "{line}: {report}");
        assert_eq!(report.matches("error").count(), 1, "{line}: {report}");
        assert!(report.contains("host.toml:9:"), "{line}: {report}");
    }
    let report = try_compile(&format!("{HOST}{ALLOW}interfaces = {{ machine = [\"enp3s0\"] }}\n"));
    assert!(report.unwrap_err().contains("`interfaces` must be a list, not a table"));
    let ied = "[[role]]\npack = \"clearscada\"\nrole = \"main\"\npeers = { partners = [\"192.0.2.11\"] }\n\
               interfaces = { machine = [\"enp3s0\"] }\n";
    let report = try_compile(&format!("{HOST}{ied}")).unwrap_err();
    assert!(report.contains("write a list of interfaces for all flows of the role"), "{report}");
}

#[test]
fn commands_show_where_a_flow_may_begin() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("host.toml");
    fs::write(&path, format!("{HOST}{ALLOW}interfaces = [\"enp3s0\"]\n")).unwrap();
    let host = path.to_str().unwrap();
    let say = |words: &[&str]| {
        let done = Command::new(env!("CARGO_BIN_EXE_portreeve")).args(words).output().unwrap();
        (done.status.code(), String::from_utf8(done.stdout).unwrap())
    };
    let json = |words: &[&str]| serde_json::from_str::<Json>(&say(words).1).unwrap();
    assert!(say(&["rules", host]).1.contains("tcp 22 on enp3s0"));
    assert_eq!(json(&["rules", host, "--json"])[0]["interfaces"][0], "enp3s0");

    let packet = "in tcp 198.51.100.7 -> 22";
    let (code, text) = say(&["explain", host, packet]);
    assert!(code == Some(0) && text.contains("only on  enp3s0"), "{text}");
    assert_eq!(say(&["explain", host, packet, "--interface", "enp3s0"]).0, Some(0));
    let (code, text) = say(&["explain", host, packet, "--interface", "enp4s0"]);
    assert!(code == Some(2) && text.is_empty(), "{text}");
    for other in ["enp2s0", "enp3s1"] {
        let (code, text) = say(&["explain", host, packet, "--interface", other]);
        let all = ["drop (wrong-interface)", "nearest  SITE", "it begins on enp3s0 only"];
        assert!(code == Some(1) && all.iter().all(|part| text.contains(part)), "{text}");
        let nearest = &json(&["explain", host, packet, "--interface", other, "--json"])["nearest"];
        assert_eq!(nearest["differs"], "interface");
    }
    let pack = say(&["packs", "machinemetrics-edge"]).1;
    assert!(pack.contains("(network machine)") && pack.contains("any interface"), "{pack}");
    let roles = &json(&["packs", "machinemetrics-edge", "--json"])["role"];
    assert_eq!(roles[0]["networks"][1]["name"], "machine");
}

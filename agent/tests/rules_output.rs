//! What `rules`, `packs` and `check` print, and how they exit.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::Path, process::Command};

const BINARY: &str = env!("CARGO_BIN_EXE_portreeve");

fn golden(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file)
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(BINARY).args(arguments).current_dir(golden("")).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn rules_are_shown_with_source_and_reason() {
    let (code, stdout, stderr) = run(&["rules", "line4-edge.toml", "--all"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let wanted = std::fs::read_to_string(golden("line4-edge.rules.txt")).unwrap();
    assert_eq!(stdout, wanted, "shown:\n{stdout}");
    assert!(stdout.lines().all(|line| line.chars().count() <= 100));
}

#[test]
fn words_stay_whole_beside_long_names() {
    const HOST: &str = "[[role]]\npack = \"machinemetrics-edge\"\nrole = \"mm-edge\"\n\
                        options = { tenancy = \"commercial\" }\npeers = { dns_servers = [\"192.0.2.53\"] }\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("host.toml");
    std::fs::write(&file, HOST).unwrap();
    let (code, stdout, _) = run(&["rules", file.to_str().unwrap()]);
    assert_eq!(code, Some(0));
    assert!(stdout.lines().all(|line| line.chars().count() <= 100), "{stdout}");
    for word in
        ["DIRECTION", " machinemetrics-edge", " Ports53+DNS,", " \"commercial\"", " api.machinemetrics.com "]
    {
        assert!(stdout.contains(word), "{word} in\n{stdout}");
    }
}

#[test]
fn rules_as_json_carry_the_same() {
    let (_, on, _) = run(&["rules", "line4-edge.toml", "--json"]);
    let (_, all, _) = run(&["rules", "line4-edge.toml", "--json", "--all"]);
    let on: Vec<serde_json::Value> = serde_json::from_str(&on).unwrap();
    let all: Vec<serde_json::Value> = serde_json::from_str(&all).unwrap();
    assert!(on.iter().all(|rule| rule["on"] == true) && all.len() == on.len() + 2);
    let rule = on.iter().find(|rule| rule["flow"] == "SIE-IED-04").unwrap();
    assert_eq!(rule["ports"], serde_json::json!([[9443, 9444]]));
    assert_eq!(rule["peers"]["prefixes"], serde_json::json!(["198.51.100.20/32", "2001:db8:2::20/128"]));
    assert_eq!(rule["source"]["row"], "T3.4, Edge Device");
    let off = all.iter().find(|rule| rule["flow"] == "SIE-IED-05").unwrap();
    assert_eq!((&off["on"], &off["why"]), (&false.into(), &"needs remote_access true; it is false".into()));
}

#[test]
fn check_exits_with_0_or_2() {
    let (code, stdout, _) = run(&["check", "line4-edge.toml"]);
    assert_eq!((code, stdout.as_str()), (Some(0), "line4-edge.toml: fine, 8 rules, 2 off, no warnings\n"));
    let (code, stdout, stderr) = run(&["check", "none.toml"]);
    assert_eq!((code, stdout.as_str()), (Some(2), "none.toml: 1 error, no warnings\n"));
    assert!(stderr.contains("cannot read none.toml"), "{stderr}");
    let (code, stdout, _) = run(&["check", "none.toml", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &json["ok"], &json["errors"]), (Some(2), &false.into(), &1.into()));
    assert_eq!(run(&["rules", "none.toml"]).0, Some(2));
}

#[test]
fn names_without_addresses_are_said() {
    const HOST: &str = "[[allow]]\nid = \"SITE-1\"\ndirection = \"egress\"\nprotocol = \"tcp\"\nport = 443\n\
                        peers = [\"api.example.com\", \"*.example.net\"]\nreason = \"r\"\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("host.toml");
    let show = |names: &str, command: &[&str]| {
        std::fs::write(&file, format!("{HOST}[names]\n{names}")).unwrap();
        let (code, stdout, _) = run(&[&[command[0], file.to_str().unwrap()], &command[1..]].concat());
        assert_eq!(code, Some(0), "{stdout}");
        stdout
    };
    let api = "\"api.example.com\" = [\"198.51.100.1\"]\n";
    let below = "\"a.b.example.net\" = [\"198.51.100.2\"]\n";
    let both = show("", &["check"]);
    let waits =
        "SITE-1 stays closed in the kernel: the addresses of api.example.com, *.example.net are not known";
    assert!(both.contains(waits) && both.contains("fine, 1 rule, 0 off, "), "{both}");
    let json: serde_json::Value = serde_json::from_str(&show(api, &["check", "--json"])).unwrap();
    let wanted = serde_json::json!([{ "flow": "SITE-1", "why": "the addresses of *.example.net are not known, and no resolver is listed by its address to learn them from" }]);
    assert_eq!(json["deferred"], wanted);
    let rules: serde_json::Value = serde_json::from_str(&show(api, &["rules", "--json"])).unwrap();
    assert_eq!(
        rules[0]["deferred"],
        "the addresses of *.example.net are not known, and no resolver is listed by its address to learn them from"
    );
    assert!(show(api, &["rules"]).contains("deferred"));
    let names = format!("{api}{below}");
    assert!(
        !show(&names, &["check"]).contains("stays closed") && !show(&names, &["rules"]).contains("deferred")
    );
}

#[test]
fn packs_are_listed_and_shown() {
    let (code, list, _) = run(&["packs"]);
    assert!(code == Some(0) && list.contains("machinemetrics-edge") && list.contains("clearscada"), "{list}");
    let (_, json, _) = run(&["packs", "siemens-industrial-edge", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let coverage = serde_json::json!({
        "documented": 21, "mirror": 5, "implied": 2, "never": 2,
        "rows": 21, "rows_with_flow": 21, "rows_without_flow": [],
    });
    assert_eq!(json["coverage"], coverage);
    let (_, pack, _) = run(&["packs", "clearscada"]);
    for part in [
        "Schneider Electric",
        "GEO-DMZ-02",
        "server_port",
        "5481",
        "What it leaves open",
        "Not on a host with",
    ] {
        assert!(pack.contains(part), "{part} in\n{pack}");
    }
    let (code, _, stderr) = run(&["packs", "none"]);
    assert_eq!((code, stderr.contains("unknown pack `none`; packs: ")), (Some(2), true));
}

#[test]
fn a_folder_of_packs_is_used_or_named() {
    let (code, _, stderr) = run(&["packs", "--packs", "nowhere"]);
    assert!(code == Some(2) && stderr.contains("cannot read nowhere"), "{stderr}");
}

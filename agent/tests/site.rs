//! Several hosts held against each other: what one sends, the other has to accept.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_portreeve");

/// The example of the documentation, with texts replaced.
struct Plant(tempfile::TempDir);

impl Plant {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/site");
        for file in ["plant.toml", "line4-edge.toml", "iem.toml"] {
            fs::copy(example.join(file), folder.path().join(file)).unwrap();
        }
        Self(folder)
    }

    fn with(file: &str, old: &str, new: &str) -> Self {
        let plant = Self::new();
        let path = plant.0.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(old), "{old} in\n{text}");
        fs::write(path, text.replace(old, new)).unwrap();
        plant
    }

    fn check(&self, more: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(BINARY);
        let output = command.args(["check", "--site", "plant.toml"]).args(more).current_dir(self.0.path());
        let output = output.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    /// Sender, other end, flow, ports that are not accepted, and the nearest flow.
    fn unaccepted(&self) -> Vec<Value> {
        let (code, stdout, _) = self.check(&["--json"]);
        let site: Value = serde_json::from_str(&stdout).unwrap();
        let found = site["unaccepted"].as_array().unwrap();
        assert_eq!(
            (code, site["ok"].clone()),
            (Some(if found.is_empty() { 0 } else { 2 }), found.is_empty().into())
        );
        let row =
            |row: &Value| json!([row["from"], row["to"], row["flow"], row["ports"], row["nearest"]["flow"]]);
        found.iter().map(row).collect()
    }

    fn refused(&self, part: &str) {
        let (code, stdout, stderr) = self.check(&[]);
        assert_eq!(code, Some(2), "{stdout}");
        assert!(stderr.contains(part), "{part} in\n{stderr}");
    }
}

#[test]
fn the_example_agrees() {
    let (code, stdout, stderr) = Plant::new().check(&[]);
    assert_eq!(
        (code, stdout.as_str(), stderr.as_str()),
        (Some(0), "plant.toml: fine, 4 hosts agree, no warnings\n", "")
    );
    let (_, stdout, _) = Plant::new().check(&["--json"]);
    let site: Value = serde_json::from_str(&stdout).unwrap();
    let names: Vec<&Value> = site["hosts"].as_array().unwrap().iter().map(|host| &host["name"]).collect();
    assert_eq!(names, ["line4-edge", "iem", "resolver", "time"]);
    assert_eq!((&site["hosts"][2]["file"], &site["hosts"][2]["rules"]), (&Value::Null, &2.into()));
}

#[test]
fn what_the_other_end_turned_off_is_named() {
    let plant = Plant::with("iem.toml", "hub_connected = false", "hub_connected = false, setup = \"dns\"");
    let off = json!(["line4-edge", "iem", "SIE-IED-04", [[9443, 9444]], "SIE-IEM-07"]);
    assert_eq!(plant.unaccepted(), [off]);
    let (_, stdout, _) = plant.check(&[]);
    for part in ["iem 198.51.100.20", "needs setup other", "plant.toml: 1 flow not accepted, 4 hosts"] {
        assert!(stdout.contains(part), "{part} in\n{stdout}");
    }
}

#[test]
fn another_peer_is_not_accepted() {
    let plant = Plant::with("iem.toml", "ieds = [\"192.0.2.10\"]", "ieds = [\"192.0.2.11\"]");
    let wanted = [
        json!(["line4-edge", "iem", "SIE-IED-01", [[443, 443]], "SIE-IEM-05"]),
        json!(["line4-edge", "iem", "SIE-IED-04", [[9443, 9444]], "SIE-IEM-07"]),
    ];
    assert_eq!(plant.unaccepted(), wanted);
}

#[test]
fn only_the_ports_that_are_closed_are_named() {
    let plant =
        Plant::with("plant.toml", "protocol = \"tcp\"\nport = 53", "protocol = \"tcp\"\nport = [52, 54]");
    let wanted = [
        json!(["line4-edge", "resolver", "SIE-IED-07-TCP", [[53, 53]], null]),
        json!(["iem", "resolver", "SIE-IEM-03-TCP", [[53, 53]], null]),
    ];
    assert_eq!(plant.unaccepted(), wanted);
}

#[test]
fn one_host_of_a_network_is_enough() {
    let nobody = Plant::with(
        "plant.toml",
        "id = \"TIME\"\ndirection = \"ingress\"\nprotocol = \"udp\"\nport = 123",
        "id = \"TIME\"\ndirection = \"ingress\"\nprotocol = \"udp\"\nport = 124",
    );
    let found = nobody.unaccepted();
    let of_edge: Vec<&Value> = found.iter().filter(|row| row[0] == "line4-edge").map(|row| &row[1]).collect();
    assert_eq!(of_edge, ["iem", "resolver", "time"], "{found:?}");
}

#[test]
fn a_host_file_is_told_from_a_site_file() {
    for text in ["[host]\nname = \"iem\"\n", "[[role]]\npack = \"clearscada\"\nrole = \"main\"\n"] {
        let plant = Plant::new();
        fs::write(plant.0.path().join("plant.toml"), text).unwrap();
        plant.refused("this is a host file");
        plant.refused("`portreeve check plant.toml`");
    }
    let plant = Plant::new();
    fs::write(plant.0.path().join("plant.toml"), "[host]\nfile = \"iem.toml\"\n").unwrap();
    plant.refused("write [[host]] on a line of its own");
}

#[test]
fn mistakes_are_told_in_their_file() {
    Plant::with("plant.toml", "file = \"iem.toml\"", "file = \"none.toml\"").refused("cannot read ");
    Plant::with("iem.toml", "role = \"iem\"", "role = \"imm\"").refused("iem.toml:12:8");
    Plant::with("plant.toml", "name = \"time\"", "name = \"resolver\"")
        .refused("two hosts of the site are called resolver");
    Plant::with("plant.toml", "198.51.100.123", "198.51.100.20")
        .refused("198.51.100.20 is an address of iem and of time");
    Plant::with("iem.toml", "addresses = [\"198.51.100.20\"]\n", "").refused("host iem has no `addresses`");
    Plant::with("plant.toml", "[[host]]\nname = \"time\"", "[[host]]\nnme = \"time\"")
        .refused("did you mean `name`?");
    Plant::with("plant.toml", "[[host.allow]]\nid = \"TIME\"", "[[hosts.allow]]\nid = \"TIME\"")
        .refused("unknown key `hosts`");
    Plant::with("plant.toml", "file = \"iem.toml\"", "file = \"plant.toml\"").refused("this is a site file");
}

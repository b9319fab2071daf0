//! What the pack language can say beyond the packs that are built in, on a pack of a site's own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use jiff::civil::date;
use portreeve::policy::{Catalogue, Policy, Rule, compile};

const PACK: &str = r#"
name = "plant"
vendor = "Example"
title = "Ports of a plant"
document = "plant.txt"

[[role]]
name = "edge"
help = "Gateway"
controllers = ["Mill", "Saw / Band"]
option = [
    { name = "version", type = "version", help = "" },
    { name = "transport", type = "choice", choices = ["new", "old"], default = "old", help = "", default_when = [{ when = { version = { at_least = ["10.3.6", "10.3.0 CU3"] } }, value = "new" }] },
    { name = "ntp", type = "choice", choices = ["any", "learned"], default = "any", help = "" },
    { name = "link_port", type = "port", default = 8004, help = "" },
    { name = "group", type = "address", default = "224.10.10.25", help = "" },
]
peer = [
    { name = "links", help = "", port_option = "link_port" },
    { name = "monitors", help = "", private = true },
    { name = "panels", help = "" },
]

[[flow]]
id = "P-MILL"
role = "edge"
row = "1"
direction = "egress"
protocol = "tcp"
ports = [683]
peers = ["controller:Mill"]
purpose = "mills"

[[flow]]
id = "P-SAW"
role = "edge"
row = "2"
direction = "egress"
protocol = "tcp"
ports = [502]
peers = ["controller:Saw / Band"]
purpose = "saws"

[[flow]]
id = "P-OUT"
role = "edge"
row = "3"
direction = "egress"
protocol = "tcp"
ports = [8004]
port_option = "link_port"
peers = ["links"]
when = { transport = "old" }
purpose = "links out"

[[flow]]
id = "P-IN"
role = "edge"
row = "3"
direction = "ingress"
protocol = "tcp"
ports = [8004]
port_option = "link_port"
peers = ["links"]
purpose = "links in"

[[flow]]
id = "P-NTP"
role = "edge"
row = "4"
direction = "egress"
protocol = "udp"
ports = [123]
peers = ["*.pool.example.org", "192.0.2.123"]
instead = [{ when = { ntp = "any" }, peers = ["any"] }]
purpose = "time"

[[flow]]
id = "P-CAST"
role = "edge"
row = "5"
direction = "ingress"
protocol = "udp"
ports = [8000]
to = ["own", "broadcast"]
peers = ["panels"]
purpose = "look-up"

[[flow]]
id = "P-GROUP"
role = "edge"
row = "6"
direction = "egress"
protocol = "udp"
ports = [7979]
to = ["group"]
peers = ["any"]
purpose = "keep-alive"

[[flow]]
id = "P-IGMP"
role = "edge"
row = "7"
direction = "ingress"
protocol = "igmp"
to = ["224.0.0.1", "group"]
peers = ["any"]
purpose = "queries"

[[flow]]
id = "P-DATA"
role = "edge"
row = "8"
direction = "egress"
protocol = "tcp"
ports = ["1024-65535"]
source_port = 20
control_port = 21
peers = ["panels"]
purpose = "data"

[[flow]]
id = "P-MON"
role = "edge"
row = "9"
direction = "ingress"
protocol = "tcp"
ports = [8222]
peers = ["monitors"]
purpose = "monitoring"
"#;

fn try_compile(role: &str) -> Result<Policy, String> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("plant.toml"), PACK).unwrap();
    let catalogue = Catalogue::load(Some(folder.path())).unwrap();
    let text = format!("[[role]]\npack = \"plant\"\nrole = \"edge\"\n{role}");
    compile("host.toml", &text, &catalogue, date(2026, 11, 21)).map_err(|report| report.render(false))
}

/// The rules of a flow as lines: direction, service, where to, peers, control port.
#[track_caller]
fn rules(role: &str, flow: &str) -> Vec<String> {
    let policy = try_compile(role).unwrap_or_else(|report| panic!("{report}"));
    let line = |rule: &Rule| {
        let control = rule.control_port.map_or_else(String::new, |port| format!(" beside {port}"));
        format!("{} {} to {}: {}{control}", rule.direction, rule.service, rule.local, rule.peers)
    };
    policy.rules.iter().filter(|rule| rule.flow == flow).map(line).collect()
}

#[track_caller]
fn off(role: &str, flow: &str) -> String {
    let policy = try_compile(role).unwrap();
    policy.dormant.into_iter().find(|dormant| dormant.flow == flow).unwrap().why
}

const MACHINES: &str = "machines = [{ ip = \"192.0.2.31\", controller = \"Mill\" }, { ip = \"2001:db8::31\", controller = \"Mill\" }]\n";

#[test]
fn machines_have_the_port_of_their_controller() {
    assert_eq!(rules(MACHINES, "P-MILL"), ["egress tcp 683 to own: 192.0.2.31, 2001:db8::31"]);
    assert_eq!(off(MACHINES, "P-SAW"), "no machine has the controller \"Saw / Band\"");
    let unknown = try_compile(&MACHINES.replacen("Mill", "Mil", 1)).unwrap_err();
    assert!(
        unknown.contains("unknown controller `Mil`") && unknown.contains("did you mean `Mill`?"),
        "{unknown}"
    );
    let wrong = try_compile("machines = [{ ip = \"224.0.0.1\" }]\n").unwrap_err();
    assert!(
        wrong.contains("has no `controller`") && wrong.contains("not the address of a machine"),
        "{wrong}"
    );
}

#[test]
fn a_peer_may_listen_on_its_own_port() {
    let links =
        "peers = { links = [\"192.0.2.1\", { address = \"192.0.2.2\", port = 3000 }, \"2001:db8::1\"] }\n";
    let out = ["egress tcp 8004 to own: 192.0.2.1, 2001:db8::1", "egress tcp 3000 to own: 192.0.2.2"];
    assert_eq!(rules(links, "P-OUT"), out);
    assert_eq!(rules(links, "P-IN"), ["ingress tcp 8004 to own: 192.0.2.1, 192.0.2.2, 2001:db8::1"]);
    let other = try_compile("peers = { panels = [{ address = \"192.0.2.2\", port = 3000 }] }\n").unwrap_err();
    assert!(other.contains("an entry of `panels` must be a string, not a table"), "{other}");
}

#[test]
fn a_default_follows_the_version() {
    let links = "peers = { links = [\"192.0.2.1\"] }\n";
    let old = format!("{links}options = {{ version = \"10.3.0 CU2\" }}\n");
    assert_eq!(rules(&old, "P-OUT").len(), 1);
    let new = format!("{links}options = {{ version = \"10.3.0 CU3\" }}\n");
    assert_eq!(off(&new, "P-OUT"), "needs transport \"old\"; it is \"new\"");
    let set = format!("{links}options = {{ version = \"10.3.6\", transport = \"old\" }}\n");
    assert_eq!(rules(&set, "P-OUT").len(), 1);
    let bad = try_compile("options = { version = \"10.3\" }\n").unwrap_err();
    assert!(bad.contains("`10.3` is not a version"), "{bad}");
}

#[test]
fn peers_may_depend_on_an_option() {
    assert_eq!(rules("", "P-NTP"), ["egress udp 123 to own: any"]);
    let learned = "options = { ntp = \"learned\" }\n";
    assert_eq!(rules(learned, "P-NTP"), ["egress udp 123 to own: 192.0.2.123, *.pool.example.org"]);
}

#[test]
fn broadcast_and_groups() {
    let panels = "peers = { panels = [\"192.0.2.60\"] }\n";
    let cast = ["ingress udp 8000 to own: 192.0.2.60", "ingress udp 8000 to broadcast: 192.0.2.60"];
    assert_eq!(rules(panels, "P-CAST"), cast);
    assert_eq!(rules("", "P-GROUP"), ["egress udp 7979 to 224.10.10.25: any"]);
    let moved = "options = { group = \"239.1.1.1\" }\n";
    assert_eq!(rules(moved, "P-IGMP"), ["ingress igmp to 224.0.0.1: any", "ingress igmp to 239.1.1.1: any"]);
    let host = try_compile("options = { group = \"192.0.2.1\" }\n").unwrap_err();
    assert!(host.contains("option `group` of role edge must be a multicast group"), "{host}");
    let data = ["egress tcp 1024-65535 from port 20 to own: 192.0.2.60 beside 21"];
    assert_eq!(rules(panels, "P-DATA"), data);
}

#[test]
fn private_peers_stay_private() {
    let monitors = |list: &str| try_compile(&format!("peers = {{ monitors = {list} }}\n"));
    assert!(monitors("[\"10.0.0.0/8\", \"fd00::1\"]").is_ok());
    for list in ["\"any\"", "[\"8.8.8.8\"]", "[\"10.0.0.0/7\"]", "[\"a.example\"]"] {
        let report = monitors(list).unwrap_err();
        assert!(report.contains("takes private addresses only"), "{list}\n{report}");
    }
}

#[test]
fn a_site_may_send_to_groups() {
    let allow = |direction: &str| {
        format!(
            "[[allow]]\nid = \"A\"\ndirection = \"{direction}\"\nprotocol = \"udp\"\nport = 5353\npeers = [\"192.0.2.1\", \"224.0.0.251\", \"255.255.255.255\"]\nreason = \"r\"\n"
        )
    };
    let to =
        ["own: 192.0.2.1", "224.0.0.251: any", "broadcast: any"].map(|to| format!("egress udp 5353 to {to}"));
    assert_eq!(rules(&allow("egress"), "A"), to);
    let report = try_compile(&allow("ingress")).unwrap_err();
    assert!(report.contains("`224.0.0.251` is not the address of a host"), "{report}");
}

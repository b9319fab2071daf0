//! What a document forbids holds against everything that a host allows, and both sides are named.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use jiff::civil::date;
use portreeve::policy::{Catalogue, Policy, compile};

const MAIN: &str = "[[role]]\npack = \"clearscada\"\nrole = \"main\"\npeers = { partners = [\"192.0.2.20\", \"2001:db8::20\"], dmz_standbys = [\"198.51.100.40\"] }\n";
const DMZ: &str = "[[role]]\npack = \"clearscada\"\nrole = \"dmz-permanent-standby\"\npeers = { mains = [\"192.0.2.11\", \"2001:db8::11\"] }\n";

fn try_compile(text: &str) -> Result<Policy, String> {
    let catalogue = Catalogue::built_in().unwrap();
    compile("host.toml", text, &catalogue, date(2026, 11, 21)).map_err(|report| report.render(false))
}

#[track_caller]
fn refused(text: &str, parts: &[&str]) {
    let report = try_compile(text).map(|policy| policy.rules).unwrap_err();
    for part in parts {
        assert!(report.contains(part), "{part} in\n{report}");
    }
}

fn allow(direction: &str, service: &str, peers: &str) -> String {
    format!(
        "[[allow]]\nid = \"SITE-1\"\ndirection = \"{direction}\"\n{service}\npeers = {peers}\nreason = \"r\"\n"
    )
}

#[test]
fn both_alone_are_fine() {
    assert!(try_compile(MAIN).unwrap().report.diagnostics.is_empty());
    assert!(try_compile(DMZ).unwrap().report.diagnostics.is_empty());
}

#[test]
fn a_dmz_standby_is_nothing_else() {
    for role in ["main", "standby", "permanent-standby"] {
        let other = MAIN
            .replace("\"main\"", &format!("\"{role}\""))
            .replace(", dmz_standbys = [\"198.51.100.40\"]", "");
        let parts = [role, "dmz-permanent-standby", "can't stand on one host"];
        refused(&format!("{other}{DMZ}"), &parts);
        refused(&format!("{DMZ}{other}"), &parts);
    }
}

#[test]
fn a_dmz_standby_never_begins_towards_a_main() {
    let tcp = "protocol = \"tcp\"\nport = [443, \"5000-6000\"]";
    for peers in ["\"any\"", "[\"192.0.2.0/24\"]", "[\"2001:db8::11\"]"] {
        let parts = ["flow SITE-1 of role site", "role dmz-permanent-standby rules out", "host.toml:6:6"];
        refused(&format!("{DMZ}{}", allow("egress", tcp, peers)), &parts);
        refused(
            &format!("{DMZ}{}", allow("egress", "protocol = \"icmp\"", peers)),
            &["doesn't poll a main server"],
        );
    }
    for (direction, service, peers) in [
        ("egress", tcp, "[\"203.0.113.10\"]"),
        ("ingress", tcp, "\"any\""),
        ("egress", "protocol = \"tcp\"\nport = 443", "\"any\""),
        ("egress", "protocol = \"udp\"\nport = 5481", "\"any\""),
    ] {
        let text = format!("{DMZ}{}", allow(direction, service, peers));
        assert!(try_compile(&text).is_ok(), "{text}");
    }
}

#[test]
fn the_port_option_moves_what_is_forbidden() {
    let moved = DMZ.replace("peers", "options = { server_port = 6000 }\npeers");
    let to = |port: u16| allow("egress", &format!("protocol = \"tcp\"\nport = {port}"), "[\"192.0.2.11\"]");
    refused(&format!("{moved}{}", to(6000)), &["tcp 6000 egress to 192.0.2.11"]);
    assert!(try_compile(&format!("{moved}{}", to(5481))).is_ok());
}

#[test]
fn a_main_takes_nothing_from_a_dmz_standby() {
    let wide = MAIN.replace("\"192.0.2.20\"", "\"198.51.100.0/24\"");
    refused(&wide, &["flow GEO-MAIN-02 of role main", "from 198.51.100.40", "rules out"]);
    refused(&MAIN.replace("[\"192.0.2.20\", \"2001:db8::20\"]", "\"any\""), &["GEO-MAIN-02", "GEO-MAIN-05"]);
    refused(
        &format!("{MAIN}[baseline]\nping_from = [\"198.51.100.40\"]\n"),
        &["BASELINE-PING", "host.toml:6:13"],
    );
}

#[test]
fn the_union_of_all_roles_counts() {
    let standby =
        "[[role]]\npack = \"clearscada\"\nrole = \"standby\"\npeers = { partners = [\"198.51.100.40\"] }\n";
    refused(
        &format!("{MAIN}{standby}"),
        &["flow GEO-STBY-01 of role standby", "which role main rules out", "host.toml:7:8"],
    );
}

#[test]
fn an_unset_peer_forbids_nothing_yet() {
    let unset = DMZ.replace("mains = [\"192.0.2.11\", \"2001:db8::11\"]", "");
    let policy =
        try_compile(&format!("{unset}{}", allow("egress", "protocol = \"icmp\"", "\"any\""))).unwrap();
    assert_eq!(policy.report.diagnostics.len(), 1);
    let partners = MAIN.replace("partners = [\"192.0.2.20\", \"2001:db8::20\"], ", "");
    assert!(try_compile(&partners).unwrap().report.diagnostics[0].message.contains("reads as any"));
}

#[test]
fn shared_options_have_one_value() {
    let main = MAIN.replace("peers", "options = { server_port = 6000 }\npeers");
    let standby = "[[role]]\npack = \"clearscada\"\nrole = \"standby\"\noptions = { server_port = 5481 }\npeers = { partners = [\"192.0.2.20\"] }\n";
    refused(
        &format!("{main}{standby}"),
        &["roles main and standby contradict each other: `server_port` is 6000 and 5481"],
    );
}

#[test]
fn a_site_may_overrule_what_only_warns() {
    let iem = "[[role]]\npack = \"siemens-industrial-edge\"\nrole = \"iem\"\noptions = { offering = \"IEM Virtual\" }\npeers = { dns_servers = [\"192.0.2.53\"], ntp_servers = [\"192.0.2.123\"] }\n";
    let policy = try_compile(&format!(
        "{iem}{}",
        allow("ingress", "protocol = \"tcp\"\nport = 9100", "[\"192.0.2.9\"]")
    ));
    let policy = policy.unwrap();
    assert!(
        policy.report.diagnostics[0]
            .message
            .contains("flow SITE-1 of role site lets tcp 9100 ingress from 192.0.2.9 begin")
    );
    let help = policy.report.diagnostics[0].help.as_deref();
    assert_eq!(
        help,
        Some(
            "see T2.9 of siemens-industrial-edge: it rules this out for every peer; keep SITE-1 if it is meant"
        )
    );
    assert!(policy.rules.iter().any(|rule| rule.flow == "SITE-1"));
}

#[test]
fn repeated_rows_share_a_rule() {
    let policy = try_compile(MAIN).unwrap();
    let first = policy.rules.iter().find(|rule| rule.flow == "GEO-MAIN-01").unwrap();
    assert_eq!(first.aliases, ["GEO-MAIN-03"]);
    assert!(policy.rules.iter().all(|rule| rule.flow != "GEO-MAIN-03"));
}

const IED: &str = "[[role]]\npack = \"siemens-industrial-edge\"\nrole = \"ied\"\noptions = { offering = \"IEM OS\" }\npeers = { iem = [\"198.51.100.20\"], dns_servers = [\"198.51.100.53\"], ntp_servers = [\"198.51.100.53\"], relay = [\"192.0.2.11\"] }\n";

#[test]
fn roles_of_two_vendors_share_a_host() {
    let flows = |text: &str| -> Vec<String> {
        try_compile(text).unwrap().rules.into_iter().map(|rule| rule.flow).collect()
    };
    let union = [flows(MAIN), flows(IED)].concat();
    assert_eq!(flows(&format!("{MAIN}{IED}")), union);
    assert_eq!(flows(&format!("{DMZ}{IED}")), [flows(DMZ), flows(IED)].concat());
}

#[test]
fn what_one_vendor_forbids_another_vendors_role_does_not_let_pass() {
    let moved = IED.replace("\"IEM OS\"", "\"IEM OS\", remote_access = true, remote_access_port = 5481");
    let parts = [
        "flow SIE-IED-05 of role ied lets tcp 5481 egress to 192.0.2.11",
        "role dmz-permanent-standby rules out",
    ];
    refused(&format!("{DMZ}{moved}"), &parts);
    refused(&format!("{moved}{DMZ}"), &parts);
    let elsewhere = moved.replace("192.0.2.11", "192.0.2.12");
    assert!(try_compile(&format!("{DMZ}{elsewhere}")).is_ok());
}

#[test]
fn a_shared_option_counts_for_all_roles_of_its_pack() {
    let iem = "[[role]]\npack = \"siemens-industrial-edge\"\nrole = \"iem\"\noptions = { offering = \"IEM OS\" }\npeers = { dns_servers = [\"198.51.100.53\"], ntp_servers = [\"198.51.100.53\"], ieds = [\"192.0.2.10\"] }\n";
    let dns = IED.replace("\"IEM OS\"", "\"IEM OS\", setup = \"dns\"");
    let has = |text: &str| try_compile(text).unwrap().rules.iter().any(|rule| rule.flow == "SIE-IEM-07");
    assert!(has(&format!("{IED}{iem}")) && has(iem));
    for text in [format!("{dns}{iem}"), format!("{iem}{dns}")] {
        assert!(!has(&text), "{text}");
    }
    let ip = iem.replace("\"IEM OS\"", "\"IEM OS\", setup = \"ip\"");
    refused(
        &format!("{dns}{ip}"),
        &["roles ied and iem contradict each other: `setup` is \"dns\" and \"ip\""],
    );
}

const EDGE: &str = "[[role]]\npack = \"machinemetrics-edge\"\nrole = \"mm-edge\"\npeers = { dns_servers = [\"192.0.2.53\"] }\n";
const IED_ASIDE: &str = "[[role]]\npack = \"siemens-industrial-edge\"\nrole = \"ied\"\noptions = { offering = \"IEM OS\" }\npeers = { iem = [\"198.51.100.20\"], dns_servers = [\"192.0.2.53\"], ntp_servers = [\"192.0.2.123\"], ui_clients = \"any\" }\n";

#[test]
fn an_edge_alone_takes_nothing_in() {
    let policy = try_compile(EDGE).unwrap();
    assert!(policy.report.diagnostics.is_empty(), "{}", policy.report.render(false));
    assert!(policy.rules.iter().all(|rule| rule.direction.name() == "egress"));
}

#[test]
fn another_products_ingress_beside_an_edge_is_a_warning_that_names_both() {
    let report = try_compile(&format!("{IED_ASIDE}{EDGE}")).unwrap().report.render(false);
    assert!(report.contains("flow SIE-IED-03 of role ied"), "{report}");
    assert!(report.contains("which role mm-edge rules out"), "{report}");
}

#[test]
fn management_beside_an_edge_is_a_warning_that_names_its_peers() {
    for (peers, shown) in [
        ("[\"192.0.2.9\"]", "from 192.0.2.9 begin"),
        ("[\"192.0.2.9\", \"198.51.100.0/24\", \"ops.example.com\"]", "from 192.0.2.9 and 2 more begin"),
        ("\"any\"", "from anyone begin"),
    ] {
        let text = format!("{EDGE}[baseline]\nmanagement = [{{ peers = {peers}, ports = [22] }}]\n");
        let report = try_compile(&text).unwrap().report.render(false);
        for part in
            ["flow MANAGEMENT-1 of role site lets tcp 22 ingress", shown, "keep MANAGEMENT-1 if it is meant"]
        {
            assert!(report.contains(part), "{part} in\n{report}");
        }
    }
}

#[test]
fn management_is_refused_where_a_document_binds_the_site() {
    let management = |port: u16, peer: &str| {
        format!("{MAIN}[baseline]\nmanagement = [{{ peers = [\"{peer}\"], ports = [{port}] }}]\n")
    };
    refused(
        &management(5481, "198.51.100.40"),
        &["flow MANAGEMENT-1 of role site", "role main rules out", "narrow the peers of MANAGEMENT-1"],
    );
    assert!(try_compile(&management(22, "198.51.100.40")).is_ok());
    assert!(try_compile(&management(5481, "192.0.2.9")).is_ok());
}

#[test]
fn monitoring_of_nats_stays_on_private_networks() {
    let dma = |peers: &str| {
        format!(
            "[[role]]\npack = \"dataminer\"\nrole = \"dma\"\noptions = {{ version = \"10.3.6\", nats_monitoring = true }}\npeers = {{ nats_monitors = {peers} }}\n"
        )
    };
    assert!(try_compile(&dma("[\"192.0.2.90\"]")).is_ok());
    for peers in ["\"any\"", "[\"8.8.8.0/24\"]"] {
        refused(&dma(peers), &["peer `nats_monitors` takes private addresses only"]);
    }
}

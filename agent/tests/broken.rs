//! Broken host files: each mistake has its line, its column, and words that say what would be right.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use jiff::civil::date;
use portreeve::{
    diagnostic::{Diagnostic, Report, Severity},
    policy::{Catalogue, compile, load, load_trusted, permissions},
};

const IED: &str = r#"[[role]]
pack = "siemens-industrial-edge"
role = "ied"
options = { offering = "IEM OS" }
peers = { iem = ["198.51.100.20"], dns_servers = ["198.51.100.53"], ntp_servers = ["198.51.100.123"] }
"#;

fn report(text: &str) -> Box<Report> {
    let catalogue = Catalogue::built_in().unwrap();
    match compile("host.toml", text, &catalogue, date(2026, 11, 21)) {
        Ok(policy) => Box::new(policy.report),
        Err(report) => report,
    }
}

/// The finding whose message holds `message`, at this place, with `help` in its help.
#[track_caller]
fn expect(text: &str, place: (usize, usize), message: &str, help: &str) {
    let report = report(text);
    let rendered = report.render(false);
    let found = report.diagnostics.iter().find(|finding| finding.message.contains(message));
    let Diagnostic { line, column, help: said, .. } = found.unwrap_or_else(|| panic!("{text}\n{rendered}"));
    assert_eq!((line.unwrap(), column.unwrap()), place, "{rendered}");
    assert!(said.as_ref().unwrap().contains(help), "{rendered}");
    assert!(rendered.contains(&format!("host.toml:{}:{}", place.0, place.1)), "{rendered}");
}

/// The ied of [`IED`] with one line in place of another.
fn ied(from: &str, to: &str) -> String {
    assert!(IED.contains(from));
    IED.replace(from, to)
}

#[test]
fn the_file_that_the_others_break_is_fine() {
    assert_eq!(report(IED).diagnostics, []);
}

#[test]
fn unknown_role_lists_the_roles() {
    let text = ied("role = \"ied\"", "role = \"edge-device\"");
    let roles = "`ied`, `iem`, `ie-publisher`, `ie-relay`, `ie-hub`, `ie-ui-client`";
    expect(&text, (3, 8), "unknown role `edge-device` of pack siemens-industrial-edge", roles);
    expect(
        &ied("role = \"ied\"", "role = \"ie-publsher\""),
        (3, 8),
        "unknown role",
        "did you mean `ie-publisher`?",
    );
}

#[test]
fn unknown_pack_lists_the_packs() {
    let text = ied("siemens-industrial-edge", "siemens-edge");
    expect(&text, (2, 8), "unknown pack `siemens-edge`", "`siemens-industrial-edge`, `machinemetrics-edge`");
}

#[test]
fn unknown_option_names_the_nearest() {
    let text = ied("{ offering =", "{ setpu = \"ip\", offering =");
    expect(&text, (4, 13), "unknown option `setpu` of role ied", "did you mean `setup`?");
    expect(&text, (4, 13), "unknown option", "`offering`, `setup`, `remote_access`, `remote_access_port`");
}

#[test]
fn unknown_peer_names_the_nearest() {
    let text = ied("dns_servers =", "dns_server =");
    expect(&text, (5, 36), "unknown peer `dns_server` of role ied", "did you mean `dns_servers`?");
    assert_eq!(report(&text).diagnostics.len(), 1, "a typo is not a missing peer too");
}

#[test]
fn unknown_key_names_the_nearest() {
    expect(
        &format!("[host]\nadresses = []\n{IED}"),
        (2, 1),
        "unknown key `adresses`",
        "did you mean `addresses`?",
    );
    expect(
        &format!("[enforcment]\n{IED}"),
        (1, 2),
        "unknown key `enforcment`",
        "did you mean `enforcement`?",
    );
    expect(
        &ied("role = \"ied\"", "role = \"ied\"\npeer = 1"),
        (4, 1),
        "unknown key `peer`",
        "did you mean `peers`?",
    );
}

#[test]
fn wrong_types_say_what_should_stand_there() {
    for (text, place, message, help) in [
        (
            format!("[baseline]\ndhcp = \"yes\"\n{IED}"),
            (2, 8),
            "`dhcp` must be true or false, not a string",
            "true or false",
        ),
        (format!("[host]\nname = 4\n{IED}"), (2, 8), "`name` must be a string, not a number", "line4-edge"),
        (format!("host = 4\n{IED}"), (1, 8), "`host` must be a table, not a number", "[host]"),
        (format!("[state]\nadoption = 60\n{IED}"), (2, 12), "`adoption` must be a string", "\"60s\""),
        (format!("[state]\ntcp_idle = \"60\"\n{IED}"), (2, 12), "`60` is not a time", "with its unit"),
        (format!("[state]\nembryonic = \"4k\"\n{IED}"), (2, 13), "must be a number", "from 1024 to 1048576"),
        (format!("[state]\nestablished = 1\n{IED}"), (2, 15), "out of range", "from 1024 to 1048576"),
        (
            format!("[enforcement]\nhook = \"xpd\"\n{IED}"),
            (2, 8),
            "not a value of `hook`",
            "did you mean `xdp`?",
        ),
        (
            format!("[baseline]\nethertypes = [\"llpd\"]\n{IED}"),
            (2, 15),
            "unknown ethertype",
            "did you mean `lldp`?",
        ),
        (
            ied("[\"198.51.100.20\"]", "\"198.51.100.20\""),
            (5, 17),
            "must be \"any\" or a list",
            "[\"198.51.100.20\"]",
        ),
        (ied("[\"198.51.100.20\"]", "[\"any\"]"), (5, 18), "can't stand in a list", "without brackets"),
        (ied("\"IEM OS\"", "\"IEM SO\""), (4, 24), "not one of its choices", "did you mean `IEM OS`?"),
        (ied("\"IEM OS\"", "true"), (4, 24), "must be one of its choices", "`IEM Pro`"),
    ] {
        expect(&text, place, message, help);
    }
}

#[test]
fn prefixes_are_precise() {
    let long = ied("198.51.100.20", "198.51.100.0/33");
    expect(&long, (5, 18), "the prefix length of `198.51.100.0/33` is out of range", "/0 to /32");
    let bits = ied("198.51.100.20", "2001:db8::1/64");
    expect(&bits, (5, 18), "has host bits set", "\"2001:db8::/64\" for the network");
    expect(&ied("198.51.100.20", "198.51.100.400"), (5, 18), "is not an IP address", "an address");
}

#[test]
fn ports_are_precise() {
    let with = |port: &str| ied("\"IEM OS\" }", &format!("\"IEM OS\", remote_access_port = {port} }}"));
    expect(&with("70000"), (4, 55), "port 70000 is out of range: ports go from 1 to 65535", "32500");
    expect(&with("0"), (4, 55), "port 0 is out of range", "32500");
    expect(&with("\"32500\""), (4, 55), "must be a port number, not a string", "32500");
    let allow = |port: &str| {
        format!(
            "[[allow]]\nid = \"A\"\ndirection = \"egress\"\nprotocol = \"tcp\"\npeers = \"any\"\nreason = \"r\"\nport = {port}\n"
        )
    };
    expect(&allow("70000"), (7, 8), "port 70000 is out of range", "1 to 65535");
    expect(&allow("[443, \"8010-8000\"]"), (7, 14), "the range 8010-8000 is reversed", "8000-8010");
    expect(&allow("\"http\""), (7, 8), "neither a port nor a range", "8000-8010");
}

#[test]
fn a_missing_required_peer_is_an_error_where_packets_are_dropped() {
    let without = ied("iem = [\"198.51.100.20\"], ", "");
    let enforced = format!("{without}[enforcement]\negress = \"enforce\"\n");
    expect(&enforced, (3, 8), "role ied needs the peer `iem`", "add peers = { iem = [");
    assert!(report(&enforced).has_errors());
    expect(&without, (3, 8), "reads as any while observing", "add peers = { iem = [");
    assert!(!report(&without).has_errors());
    let empty = ied("iem = [\"198.51.100.20\"]", "iem = []");
    expect(&empty, (5, 17), "peer `iem` is required, and the list is empty", "\"any\"");
}

#[test]
fn a_missing_required_option_is_an_error() {
    let text = ied("options = { offering = \"IEM OS\" }\n", "");
    expect(&text, (3, 8), "role ied needs the option `offering`", "\"IEM Virtual\"");
}

#[test]
fn an_id_stands_once() {
    let allow = |id: &str| {
        format!(
            "[[allow]]\nid = \"{id}\"\ndirection = \"egress\"\nprotocol = \"icmp\"\npeers = \"any\"\nreason = \"r\"\n"
        )
    };
    expect(&format!("{}{}", allow("A"), allow("A")), (8, 6), "id `A` stands twice", "its own id");
    expect(&allow("GEO-MAIN-01"), (2, 6), "id `GEO-MAIN-01` is a documented flow's", "SITE-1");
    expect(&allow("BASELINE-PING"), (2, 6), "is a documented flow's", "SITE-1");
    expect(&allow("a b"), (2, 6), "`a b` can't be an id", "letters");
    expect(&format!("{IED}{IED}"), (8, 8), "role ied of siemens-industrial-edge stands twice", "keep one");
    expect(&format!("{IED}[host]\nname = \"a\"\nname = \"b\"\n"), (8, 1), "duplicate key", "valid TOML");
}

#[test]
fn protocols_have_words() {
    let allow = |protocol: &str| {
        format!(
            "[[allow]]\nid = \"A\"\ndirection = \"egress\"\nprotocol = {protocol}\npeers = \"any\"\nreason = \"r\"\n"
        )
    };
    for (number, word) in
        [("1", "\"icmp\""), ("6", "\"tcp\""), ("17", "\"udp\""), ("58", "\"icmpv6\""), ("2", "IGMP")]
    {
        expect(&allow(number), (4, 12), "can't be allowed by number", word);
    }
    // Their packets are judged by what stands behind the header, so such a rule would allow nothing.
    for number in ["0", "43", "44", "60", "135", "139", "140"] {
        expect(&allow(number), (4, 12), "can't be allowed by number", "extension header");
    }
    expect(&allow("256"), (4, 12), "can't be allowed by number", "0 to 255");
    expect(&allow("\"tpc\""), (4, 12), "unknown protocol `tpc`", "did you mean `tcp`?");
    expect(&allow("\"tcp\""), (4, 12), "tcp needs a `port`", "8000-8010");
    assert!(!report(&allow("47")).has_errors());
}

#[test]
fn an_expired_allow_is_off() {
    let text = format!(
        "{IED}[[allow]]\nid = \"OLD\"\ndirection = \"egress\"\nprotocol = \"tcp\"\nport = 1\npeers = \"any\"\nreason = \"r\"\nexpires = 2026-11-20\n"
    );
    expect(&text, (7, 6), "expired on 2026-11-20", "remove it");
    let catalogue = Catalogue::built_in().unwrap();
    let on = compile("h", &text, &catalogue, date(2026, 11, 20)).unwrap();
    assert!(on.rules.iter().any(|rule| rule.flow == "OLD"));
    assert_eq!(on.valid_until(), Some(date(2026, 11, 20)));
    let off = compile("h", &text, &catalogue, date(2026, 11, 21)).unwrap();
    assert!(off.dormant.iter().any(|flow| flow.flow == "OLD" && flow.why == "expired on 2026-11-20"));
    assert_eq!(off.valid_until(), None);
}

#[test]
fn a_name_has_an_address() {
    let text = format!("[names]\n\"b.example.com\" = []\n{IED}");
    expect(&text, (2, 19), "`b.example.com` lists no address", "leave the name out");
}

#[test]
fn a_site_file_is_told_from_a_host_file() {
    let site = "[[host]]\nfile = \"a.toml\"\n[[host]]\nfile = \"b.toml\"\n";
    expect(site, (1, 1), "this is a site file", "`portreeve check --site host.toml`");
    assert_eq!(report(site).diagnostics.len(), 1);
}

#[test]
fn an_empty_file_documents_nothing() {
    for text in ["", "# nothing\n", "[host]\nname = \"a\"\n"] {
        expect(text, (1, 1), "the file has no role and no [[allow]]", "add a [[role]]");
    }
}

#[test]
fn several_mistakes_are_reported_together_in_order() {
    let text = ied("\"IEM OS\"", "\"IEM\"").replace("198.51.100.53", "198.51.100.0/33");
    let report = report(&format!("[host]\nnme = \"\"\n{text}"));
    let lines: Vec<_> = report.diagnostics.iter().map(|finding| finding.line.unwrap()).collect();
    assert_eq!(lines, [2, 6, 7], "{}", report.render(false));
    assert_eq!(report.count(Severity::Error), 3);
}

#[test]
fn broken_toml_has_a_place() {
    expect("[host\nname = \"a\"\n", (1, 6), "unclosed table", "valid TOML");
}

#[test]
fn a_file_that_is_not_there_or_not_text() {
    let folder = tempfile::tempdir().unwrap();
    let catalogue = Catalogue::built_in().unwrap();
    let first = |path: &Path| load(path, &catalogue).unwrap_err().diagnostics.remove(0);
    let missing = first(&folder.path().join("none.toml"));
    assert!(missing.message.contains("none.toml: No such file"), "{}", missing.message);
    assert_eq!((missing.line, missing.help.is_some()), (None, true));
    assert!(first(folder.path()).message.contains("cannot read"));
    let latin = folder.path().join("latin.toml");
    fs::write(&latin, b"[host]\nname = \"caf\xe9\"\n").unwrap();
    let broken = first(&latin);
    assert_eq!((broken.line, broken.column), (Some(2), Some(12)));
    assert!(broken.help.unwrap().contains("UTF-8"));
}

#[test]
fn a_file_that_others_can_write_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), IED).unwrap();
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o666)).unwrap();
    let refused = permissions(file.path()).unwrap_err().to_string();
    assert!(refused.contains("can be written by others (mode 0666)"), "{refused}");
    assert!(refused.contains("chmod go-w"), "{refused}");
    let catalogue = Catalogue::built_in().unwrap();
    let report = load_trusted(file.path(), &catalogue).unwrap_err();
    assert_eq!(report.diagnostics.len(), 1);
    assert!(report.diagnostics[0].message.contains("can be written by others"), "{}", report.render(false));
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(permissions(file.path()).is_ok() && load_trusted(file.path(), &catalogue).is_ok());
}

//! The reference of the host file: its example compiles and has every key, and its tables leave out none.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use jiff::civil::date;
use portreeve::policy::{Catalogue, compile};

const REFERENCE: &str = include_str!("../../docs/host.md");

/// Each table's title in the reference, its place in the file, and a key that no table has.
const TABLES: [(&str, &str); 6] = [
    ("`[host]`", "[host]\n"),
    ("`[enforcement]`", "[enforcement]\n"),
    ("`[baseline]`", "[baseline]\n"),
    ("`[state]`", "[state]\n"),
    (
        "`[[role]]`",
        "[[role]]\npack = \"machinemetrics-edge\"\nrole = \"mm-edge\"\npeers = { dns_servers = [\"192.0.2.53\"] }\n",
    ),
    (
        "`[[allow]]`",
        "[[allow]]\nid = \"S\"\ndirection = \"egress\"\nprotocol = \"tcp\"\nport = 1\npeers = \"any\"\nreason = \"r\"\n",
    ),
];

fn try_compile(text: &str) -> Result<(), String> {
    let catalogue = Catalogue::built_in().unwrap();
    compile("host.toml", text, &catalogue, date(2026, 11, 21))
        .map(drop)
        .map_err(|report| report.render(false))
}

#[test]
fn the_example_compiles() {
    let example = REFERENCE.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    try_compile(example).unwrap();
}

#[test]
fn the_tables_have_every_key() {
    for (title, text) in TABLES {
        let section = REFERENCE.split("\n## ").find(|section| section.starts_with(title)).unwrap();
        // The error about a key that nobody knows lists those that are known.
        let error = try_compile(&format!("{text}zzzzzz = 1\n")).unwrap_err();
        let known = error.split("keys: ").nth(1).unwrap_or_else(|| panic!("{error}")).lines().next().unwrap();
        let known: Vec<&str> = known.split(", ").map(|key| key.trim_matches('`')).collect();
        assert!(known.len() > 2, "{error}");
        let options = ["tenancy", "google_dns", "ntp_mode"];
        for key in known.iter().filter(|key| !options.contains(key)) {
            assert!(section.contains(&format!("`{key}`")), "`{key}` is missing in {title}");
        }
    }
}

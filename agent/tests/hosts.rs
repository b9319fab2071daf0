//! Every host of the verdict cases whose packs are built in compiles, without a warning but for what it leaves out.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use jiff::civil::date;
use portreeve::policy::{Catalogue, compile};
use serde_json::Value as Json;

/// The TOML of a case's host.
fn host_file(host: &Json) -> String {
    let mut text = format!("[host]\naddresses = {}\n", host["addresses"]);
    text.push_str(&format!("[baseline]\ndhcp = {}\n", host["baseline"]["dhcp"].as_bool().unwrap_or(false)));
    for role in host["roles"].as_array().unwrap() {
        text.push_str(&format!("[[role]]\npack = {}\nrole = {}\n", role["pack"], role["role"]));
        for (table, values) in [("options", &role["options"]), ("peers", &role["peers"])] {
            text.push_str(&format!("[role.{table}]\n"));
            for (key, value) in values.as_object().unwrap() {
                text.push_str(&format!("{key} = {value}\n"));
            }
        }
    }
    for allow in host["allow"].as_array().unwrap() {
        text.push_str("[[allow]]\n");
        for (key, value) in allow.as_object().unwrap() {
            text.push_str(&format!("{key} = {value}\n"));
        }
    }
    text
}

#[test]
fn the_hosts_of_the_cases_compile() {
    let catalogue = Catalogue::built_in().unwrap();
    let cases: Vec<Json> = serde_json::from_str(include_str!("../../tests/cases/cases.json")).unwrap();
    let built_in = |host: &Json| {
        let roles = host["roles"].as_array().unwrap();
        roles.iter().all(|role| catalogue.pack(role["pack"].as_str().unwrap()).is_some())
    };
    let hosts: BTreeSet<String> =
        cases.iter().map(|case| &case["host"]).filter(|host| built_in(host)).map(host_file).collect();
    assert!(hosts.len() >= 29, "{}", hosts.len());
    for text in hosts {
        let policy = compile("host.toml", &text, &catalogue, date(2026, 11, 21));
        let policy = policy.unwrap_or_else(|report| panic!("{text}\n{}", report.render(false)));
        let expected = policy.report.diagnostics.iter().all(|d| d.message.contains("has no reason"));
        assert!(expected, "{}", policy.report.render(false));
    }
}

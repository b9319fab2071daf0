//! The JSON schema of packs knows the keys that the parser knows, and the format reference leaves out no key.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, fs};

use portreeve::policy::pack::keys::{FLOW, Key, NETWORK, NEVER, OPTION, PACK, PEER, ROLE};
use serde_json::Value as Json;

fn policies(file: &str) -> String {
    fs::read_to_string(format!("{}/../policies/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn schema() -> Json {
    serde_json::from_str(&policies("pack.schema.json")).unwrap()
}

/// The parser's tables with the schema's name for each.
const TABLES: [(&str, &[Key]); 7] = [
    ("", PACK),
    ("role", ROLE),
    ("option", OPTION),
    ("peer", PEER),
    ("network", NETWORK),
    ("flow", FLOW),
    ("never", NEVER),
];

#[test]
fn schema_and_parser_know_the_same_keys() {
    let schema = schema();
    for (name, keys) in TABLES {
        let table = if name.is_empty() { &schema } else { &schema["$defs"][name] };
        let properties: BTreeSet<_> =
            table["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(properties, keys.iter().map(|key| key.name).collect(), "{name}");
        let required: BTreeSet<_> =
            table["required"].as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect();
        let ours = keys.iter().filter(|key| key.required).map(|key| key.name);
        assert_eq!(required, ours.collect(), "{name}");
    }
}

#[test]
fn the_reference_has_every_key_and_word() {
    let reference = policies("README.md");
    let sections: Vec<&str> = reference.split("\n## ").flat_map(|part| part.split("\n### ")).collect();
    for (name, keys) in TABLES {
        let title = match name {
            "" => "The file",
            "option" | "peer" | "network" => "`[[role]]`",
            "role" => "`[[role]]`",
            "flow" => "`[[flow]]`",
            other => {
                assert_eq!(other, "never");
                "`[[never]]`"
            }
        };
        let section = sections.iter().find(|section| section.starts_with(title)).unwrap();
        for key in keys {
            let written = [format!("`{}`", key.name), format!("`{} ", key.name), format!("[[{}]]", key.name)];
            let nested = format!("[[role.{}]]", key.name);
            let found = written.iter().chain([&nested]).any(|written| section.contains(written));
            assert!(found, "`{}` is missing in {title}", key.name);
            for word in key.words {
                assert!(section.contains(&format!("`{word}`")), "`{word}` of `{}` is missing", key.name);
            }
        }
    }
}

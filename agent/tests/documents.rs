//! Every flow, option, peer and constant of the documents stands in its pack, as they state it, and nothing else does.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod facts;

use std::{collections::BTreeSet, fs, path::Path};

use portreeve::policy::{Catalogue, pack::Pack};

use self::facts::Facts;

fn built_in(name: &str) -> (Pack, String) {
    let file = format!("{}/../policies/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(Path::new(&file)).unwrap();
    (Pack::parse(&file, &text).unwrap(), text)
}

#[test]
fn every_pack_holds_what_its_document_states_and_nothing_else() {
    let facts = Facts::read();
    let mut found = Vec::new();
    for name in facts.vocabulary.keys() {
        let (pack, text) = built_in(name);
        found.extend(
            facts.problems(name, &pack, &text).into_iter().map(|problem| format!("{name}: {problem}")),
        );
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_catalogue_has_every_pack_and_id_of_the_list() {
    let facts = Facts::read();
    let catalogue = Catalogue::built_in().unwrap();
    let packs: BTreeSet<_> = catalogue.packs().map(|pack| pack.name.as_str()).collect();
    assert_eq!(packs, facts.vocabulary.keys().map(String::as_str).collect());
    let count = |kind: &str| facts.flows.iter().filter(|fact| fact["kind"] == kind).count();
    assert_eq!((count("documented"), count("mirror")), (152, 40));
    let missing: Vec<_> =
        facts.flows.iter().filter(|fact| !catalogue.documents(fact["id"].as_str().unwrap())).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_assertion_of_a_pack_says_why() {
    for pack in Catalogue::built_in().unwrap().packs() {
        assert!(pack.roles.iter().all(|role| !role.help.is_empty()));
        assert!(pack.flows.iter().all(|flow| !flow.purpose.is_empty()), "{}", pack.name);
        assert!(pack.nevers.iter().all(|never| !never.because.is_empty() && !never.row.is_empty()));
        for role in &pack.roles {
            assert!(role.excludes.is_empty() || !role.excludes_because.is_empty(), "{}", role.name);
        }
    }
}

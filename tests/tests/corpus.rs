//! The fuzzers' corpus, replayed: what they once found, and a small choice of what makes a difference.

use std::{fs, path::Path};

use portreeve_tests::fuzz;

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut inputs = 0;
    for entry in entries {
        let path = entry.expect("an entry").path();
        println!("{}", path.display());
        run(&fs::read(&path).expect("an input"));
        inputs += 1;
    }
    assert!(inputs >= 10, "only {inputs} inputs in {}", folder.display());
}

#[test]
fn answer() {
    replay("answer", fuzz::answer);
}

#[test]
fn parser() {
    replay("parser", fuzz::parser);
}

#[test]
fn decision() {
    replay("decision", fuzz::decision);
}

#[test]
fn pack() {
    replay("pack", fuzz::pack);
}

#[test]
fn host() {
    replay("host", fuzz::host);
}

#[test]
fn capture() {
    replay("capture", fuzz::capture);
}

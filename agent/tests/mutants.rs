//! A pack with any one line changed to a wrong value is refused, or differs from what its document states.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod facts;

use std::{fs, thread};

use portreeve::policy::pack::Pack;

use self::facts::Facts;

/// What people read and no rule depends on; the values of these keys are free.
const PROSE: [&str; 6] = ["help", "purpose", "because", "excludes_because", "notes", "open"];

/// Words that stand for each other's opposite.
const OPPOSITES: [(&str, &str); 10] = [
    ("ingress", "egress"),
    ("tcp", "udp"),
    ("icmp", "igmp"),
    ("true", "false"),
    ("mirror", "documented"),
    ("optional", "required"),
    ("grpc", "remoting"),
    ("at_least", "below"),
    ("commercial", "govcloud"),
    ("own", "broadcast"),
];

/// Asks nothing, as catalogue and parser agree: without it the flow is on just the same.
const ALWAYS: &str = r#"when = { offering = ["IEM OS", "IEM Pro", "IEM Virtual", "IEM Cloud"] }"#;

/// A pack with one line changed.
struct Mutant {
    line: usize,
    change: String,
    text: String,
}

#[test]
fn siemens_industrial_edge() {
    no_mutant_survives("siemens-industrial-edge", 1500);
}

#[test]
fn machinemetrics_edge() {
    no_mutant_survives("machinemetrics-edge", 2000);
}

#[test]
fn dataminer() {
    no_mutant_survives("dataminer", 2000);
}

#[test]
fn clearscada() {
    no_mutant_survives("clearscada", 900);
}

#[test]
fn biamp_impera() {
    no_mutant_survives("biamp-impera", 1400);
}

/// `least` guards against a test that has lost its mutants.
fn no_mutant_survives(name: &str, least: usize) {
    let file = format!("{}/../policies/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(file).unwrap();
    let mutants = mutants(&text);
    let survivors = survivors(name, &mutants);
    println!("{name}: {} mutants, {} survive", mutants.len(), survivors.len());
    assert!(mutants.len() >= least, "only {} mutants", mutants.len());
    assert!(
        survivors.is_empty(),
        "{} of {} survive:\n{}",
        survivors.len(),
        mutants.len(),
        survivors.join("\n")
    );
}

fn survivors(name: &str, mutants: &[Mutant]) -> Vec<String> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let part = mutants.len().div_ceil(threads).max(1);
    let judge = |mutants: &[Mutant]| -> Vec<String> {
        let facts = Facts::read();
        let lives = |mutant: &&Mutant| match Pack::parse(name, &mutant.text) {
            Ok(pack) => facts.problems(name, &pack, &mutant.text).is_empty(),
            Err(_refused) => false,
        };
        let shown = |mutant: &Mutant| format!("line {}: {}", mutant.line, mutant.change);
        mutants.iter().filter(lives).map(shown).collect()
    };
    thread::scope(|scope| {
        let parts: Vec<_> = mutants.chunks(part).map(|part| scope.spawn(move || judge(part))).collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    })
}

/// Every line, changed in each way that it can be.
fn mutants(text: &str) -> Vec<Mutant> {
    let lines: Vec<&str> = text.lines().collect();
    let mut mutants = Vec::new();
    let mut list = None;
    for (index, line) in lines.iter().enumerate() {
        // An indented line is an item of a list, whatever its text says.
        let key = line.split_once(" = ").map(|(key, _)| key).filter(|_| !line.starts_with(' '));
        if let Some(key) = key.filter(|_| line.ends_with('[')) {
            list = Some(key);
        }
        let prose = key.or(list).is_some_and(|key| PROSE.contains(&key));
        if *line == "]" {
            list = None;
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        for changed in changes(line, key, prose) {
            let mut text = lines.clone();
            text[index] = &changed;
            let (line, change) = (index + 1, format!("{line}  ->  {changed}"));
            mutants.push(Mutant { line, change, text: text.join("\n") });
        }
    }
    mutants
}

fn changes(line: &str, key: Option<&str>, prose: bool) -> Vec<String> {
    let mut changes = Vec::new();
    if let Some(key) = key {
        changes.push(line.replacen(key, &format!("{key}x"), 1));
    } else if line.starts_with("[[") {
        changes.push(line.replacen("]]", "x]]", 1));
    }
    if prose {
        return changes;
    }
    // A line that is gone.
    if line != ALWAYS {
        changes.push(String::new());
    }
    let value = key.map_or(0, |key| key.len());
    changes.extend(numbers(line, value));
    changes.extend(words(line, value));
    for (one, other) in OPPOSITES {
        changes.extend(swapped(line, value, one, other));
        changes.extend(swapped(line, value, other, one));
    }
    changes
}

/// Each number is one larger.
fn numbers(line: &str, from: usize) -> Vec<String> {
    let digit = |at: usize| line.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
    let starts = (from..line.len()).filter(|at| digit(*at) && !digit(at.wrapping_sub(1)));
    let larger = |start: usize| {
        let end = (start..).find(|at| !digit(*at)).unwrap();
        let number: u64 = line[start..end].parse().unwrap();
        format!("{}{}{}", &line[..start], number + 1, &line[end..])
    };
    starts.map(larger).collect()
}

/// Each text in quotes has a letter more, and each has lost its last one.
fn words(line: &str, from: usize) -> Vec<String> {
    let quotes: Vec<usize> = line.match_indices('"').map(|(at, _)| at).filter(|at| *at >= from).collect();
    let closing = quotes.iter().skip(1).step_by(2);
    closing
        .flat_map(|at| {
            let shorter = line[..*at].char_indices().next_back().map_or(*at, |(start, _)| start);
            [format!("{}x{}", &line[..*at], &line[*at..]), format!("{}{}", &line[..shorter], &line[*at..])]
        })
        .collect()
}

fn swapped(line: &str, from: usize, word: &str, other: &str) -> Option<String> {
    let whole = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let (at, _) = line.match_indices(word).find(|(at, _)| {
        let after = line[at + word.len()..].chars().next();
        *at >= from && !line[..*at].ends_with(whole) && !after.is_some_and(whole)
    })?;
    Some(format!("{}{other}{}", &line[..at], &line[at + word.len()..]))
}

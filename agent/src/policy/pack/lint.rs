//! Everything that is wrong in a pack, for its author: each error at its place, with what would be right.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Pack,
    keys::{Key, PACK, ValueOf},
    verify::{self, Problem},
};
use crate::{
    diagnostic::{Report, Severity, Span},
    policy::host::suggest,
};

/// Reads the pack in a report's text; everything wrong in it is in the report, in the order of the file.
///
/// What contradicts the rest of the pack is looked for once every table reads.
pub fn lint(report: &mut Report) -> Option<Pack> {
    let text = report.source.text.clone();
    let (table, errors) = DeTable::parse_recoverable(&text);
    for error in &errors {
        report.error(error.span().unwrap_or(0..0), error.message(), "the file has to be valid TOML");
    }
    if report.has_errors() {
        return None;
    }
    read_table("the pack", PACK, table.get_ref(), 0..0, report);
    report.sort();
    if report.has_errors() {
        return None;
    }
    let pack = match toml::from_str::<Pack>(&text) {
        Ok(pack) => pack,
        Err(error) => {
            report.error(error.span().unwrap_or(0..0), error.message(), "");
            return None;
        }
    };
    for problem in verify::problems(&pack) {
        let at = place(table.get_ref(), &problem);
        let Problem { path: _, key: _, message, help } = problem;
        match at {
            Some(at) => report.error(at, message, help),
            None => report.whole(Severity::Error, message, help),
        }
    }
    report.sort();
    (!report.has_errors()).then_some(pack)
}

fn read_table(what: &str, keys: &[Key], table: &DeTable<'_>, at: Span, report: &mut Report) {
    for (name, value) in table {
        match keys.iter().find(|key| key.name == name.get_ref()) {
            Some(key) => read_value(key, value, report),
            None => {
                let names: Vec<_> = keys.iter().map(|key| key.name).collect();
                let message = format!("unknown key `{}` in {what}", name.get_ref());
                report.error(name.span(), message, suggest(name.get_ref(), &names, "keys"));
            }
        }
    }
    for key in keys.iter().filter(|key| key.required && !table.contains_key(key.name)) {
        let message = format!("{what} has no `{}`", key.name);
        report.error(at.clone(), message, format!("write {}: {}", key.name, key.form));
    }
}

fn read_value(key: &Key, value: &Spanned<DeValue<'_>>, report: &mut Report) {
    match key.value {
        ValueOf::One(reads) => {
            if let Err(error) = reads(value.clone()) {
                let message = format!("`{}`: {}", key.name, error.message());
                // A list's error names its item; without a place the value is meant.
                let at = error.span().filter(|at| !at.is_empty()).unwrap_or_else(|| value.span());
                report.error(at, message, right(key, value));
            }
        }
        ValueOf::Tables(keys) => {
            let what = format!("[[{}]]", key.name);
            let Some(items) = value.get_ref().as_array() else {
                let help = format!("write {what} on a line of its own, once for each");
                report.error(value.span(), format!("`{}` must be a list of tables", key.name), help);
                return;
            };
            for item in items.iter() {
                match item.get_ref().as_table() {
                    Some(table) => read_table(&what, keys, table, item.span(), report),
                    None => {
                        report.error(item.span(), format!("{what} is a table"), "write key = value in it");
                    }
                }
            }
        }
    }
}

/// The nearest word where there are only a few, else the form.
fn right(key: &Key, value: &Spanned<DeValue<'_>>) -> String {
    match value.get_ref().as_str().filter(|_| !key.words.is_empty()) {
        Some(word) => suggest(word, key.words, "values"),
        None => format!("write {}", key.form),
    }
}

/// The value of the problem's key; where the key isn't there, the table that it belongs to.
fn place(pack: &DeTable<'_>, problem: &Problem) -> Option<Span> {
    let (mut table, mut at) = (pack, None);
    for (name, index) in &problem.path {
        let item = table.get(*name)?.get_ref().as_array()?.get(*index)?;
        at = Some(item.span());
        table = item.get_ref().as_table()?;
    }
    table.get(problem.key).map(Spanned::span).or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = include_str!("../../../../policies/clearscada.toml");

    fn findings(text: &str) -> Vec<String> {
        let mut report = Report::new("p.toml", text);
        let pack = lint(&mut report);
        assert_eq!(pack.is_some(), !report.has_errors());
        let line = |d: &crate::diagnostic::Diagnostic| {
            let place = d.line.map_or_else(String::new, |line| format!("{line}: "));
            format!("{place}{}; {}", d.message, d.help.as_deref().unwrap_or_default())
        };
        report.diagnostics.iter().map(line).collect()
    }

    #[test]
    fn a_good_pack_has_no_findings() {
        assert_eq!(findings(GOOD), Vec::<String>::new());
    }

    #[test]
    fn every_error_is_told_with_its_line() {
        let text = GOOD
            .replacen("protocol = \"tcp\"", "protocol = \"tpc\"", 1)
            .replacen("ports = [5481]", "ports = [70000]", 1)
            .replacen("direction = \"egress\"", "direktion = \"egress\"", 1);
        let found = findings(&text);
        assert_eq!(found.len(), 4, "{found:#?}");
        for (finding, part) in found.iter().zip([
            "[[flow]] has no `direction`; write direction: ingress or egress",
            "unknown key `direktion` in [[flow]]; did you mean `direction`?",
            "unknown variant `tpc`",
            "port 70000 is out of range",
        ]) {
            assert!(finding.contains(part), "{part}\n{found:#?}");
        }
        let line = 1 + text.lines().position(|line| line.starts_with("direktion")).unwrap();
        assert!(found[1].starts_with(&format!("{line}: ")), "{found:#?}");
        assert!(found[2].contains("did you mean `tcp`?"), "{found:#?}");
    }

    #[test]
    fn contradictions_have_their_place_too() {
        let text = GOOD.replacen("peers = [\"partners\"]", "peers = [\"partner\"]", 1).replacen(
            "alias_of = \"GEO-STBY-02\"",
            "alias_of = \"GEO-STBY-20\"",
            1,
        );
        let found = findings(&text);
        assert_eq!(found.len(), 2, "{found:#?}");
        let line = |part: &str| 1 + text.lines().position(|line| line == part).unwrap();
        for (finding, part, key) in [
            (&found[0], "did you mean `partners`?", "peers = [\"partner\"]"),
            (&found[1], "did you mean `GEO-STBY-02`?", "alias_of = \"GEO-STBY-20\""),
        ] {
            assert!(finding.contains(part) && finding.starts_with(&format!("{}: ", line(key))), "{finding}");
        }
    }

    #[test]
    fn what_is_no_toml_is_told() {
        let found = findings("name = \n[[role]\n");
        assert!(!found.is_empty() && found.iter().all(|finding| finding.contains("valid TOML")), "{found:?}");
    }
}

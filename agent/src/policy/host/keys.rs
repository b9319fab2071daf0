//! A table of the host file whose keys are taken one by one; what is left over is unknown.

use std::borrow::Cow;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::value::type_name;
use crate::diagnostic::{Report, Span};

/// A value with its place in the file.
pub(super) type Value<'t> = &'t Spanned<DeValue<'t>>;

/// A table that is being read.
pub(super) struct Keys<'t> {
    /// The words that errors use for this table.
    what: Cow<'static, str>,
    /// Where the table stands.
    at: Span,
    /// Few a table, so that looking at each is quicker than any index.
    entries: Vec<(&'t str, Span, Value<'t>)>,
    known: Vec<Cow<'static, str>>,
}

impl<'t> Keys<'t> {
    pub(super) fn new(what: impl Into<Cow<'static, str>>, at: Span, table: &'t DeTable<'t>) -> Self {
        let entry = |(key, value): (&'t Spanned<_>, Value<'t>)| {
            let name: &Cow<'t, str> = key.get_ref();
            (name.as_ref(), key.span(), value)
        };
        Self { what: what.into(), at, entries: table.iter().map(entry).collect(), known: Vec::new() }
    }

    /// Where the table stands.
    pub(super) fn at(&self) -> Span {
        self.at.clone()
    }

    /// A key's value, which stays to be taken.
    pub(super) fn peek(&self, key: &str) -> Option<Value<'t>> {
        self.entries.iter().find(|(name, _, _)| *name == key).map(|(_, _, value)| *value)
    }

    /// Takes a key's value, and remembers that the key is known.
    pub(super) fn take(&mut self, key: impl Into<Cow<'static, str>>) -> Option<Value<'t>> {
        let key = key.into();
        let at = self.entries.iter().position(|(name, _, _)| *name == key);
        self.known.push(key);
        Some(self.entries.remove(at?).2)
    }

    /// Takes a key's value; reports the table if the key is missing.
    pub(super) fn require(
        &mut self,
        key: &'static str,
        help: &str,
        report: &mut Report,
    ) -> Option<Value<'t>> {
        let value = self.take(key);
        if value.is_none() {
            report.error(self.at(), format!("{} has no `{key}`", self.what), help);
        }
        value
    }

    /// Takes a table.
    pub(super) fn table(&mut self, key: &'static str, report: &mut Report) -> Option<Self> {
        let value = self.take(key)?;
        let Some(table) = value.get_ref().as_table() else {
            let message = format!("`{key}` must be a table, not {}", type_name(value.get_ref()));
            report.error(value.span(), message, format!("write [{key}] on a line of its own"));
            return None;
        };
        Some(Self::new(format!("[{key}]"), value.span(), table))
    }

    /// Takes an array of tables.
    pub(super) fn tables(&mut self, key: &'static str, report: &mut Report) -> Vec<Self> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let help = format!("write [[{key}]] on a line of its own, once for each");
        let Some(array) = value.get_ref().as_array() else {
            let message = format!("`{key}` must be a list of tables, not {}", type_name(value.get_ref()));
            report.error(value.span(), message, help);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in array.iter() {
            if let Some(table) = item.get_ref().as_table() {
                tables.push(Self::new(format!("[[{key}]]"), item.span(), table));
            } else {
                let message = format!("`{key}` holds {} where a table should be", type_name(item.get_ref()));
                report.error(item.span(), message, &*help);
            }
        }
        tables
    }

    /// Every key that is left, with its own place; for tables whose keys are data.
    pub(super) fn rest(&mut self) -> impl Iterator<Item = (&'t str, Span, Value<'t>)> + use<'t> {
        std::mem::take(&mut self.entries).into_iter()
    }

    /// Reports every key that nobody took.
    pub(super) fn finish(self, report: &mut Report) {
        let Self { what, at: _, entries, known } = self;
        for (key, at, _) in entries {
            report.error(at, format!("unknown key `{key}` in {what}"), suggest(key, &known, "keys"));
        }
    }
}

/// "did you mean …?" if one of the known names is close, and all of them.
pub(in crate::policy) fn suggest<N: AsRef<str>>(name: &str, known: &[N], what: &str) -> String {
    let all = known.iter().map(|known| format!("`{}`", known.as_ref())).collect::<Vec<_>>().join(", ");
    if all.is_empty() {
        return format!("there are no {what} here");
    }
    match nearest(name, known) {
        Some(near) => format!("did you mean `{near}`? {what}: {all}"),
        None => format!("{what}: {all}"),
    }
}

/// The known name that a typo most likely meant.
pub(in crate::policy) fn nearest<'n, N: AsRef<str>>(name: &str, known: &'n [N]) -> Option<&'n str> {
    // Below two thirds alike, a guess misleads more often than it helps.
    const ALIKE: f64 = 0.66;
    let name = name.to_lowercase();
    let likeness = |known: &str| strsim::normalized_damerau_levenshtein(&name, &known.to_lowercase());
    let scored = known.iter().map(|known| (likeness(known.as_ref()), known.as_ref()));
    let best = scored.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (best.0 >= ALIKE).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_is_answered_with_the_nearest_name() {
        let known = ["dns_servers", "ntp_servers", "iem"];
        assert!(suggest("dns_server", &known, "peers").starts_with("did you mean `dns_servers`?"));
        assert_eq!(suggest("gateway", &known, "peers"), "peers: `dns_servers`, `ntp_servers`, `iem`");
        assert_eq!(suggest("x", &[] as &[&str], "options"), "there are no options here");
    }
}

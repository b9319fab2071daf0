//! Single values of a host file: each reader reports what is wrong and what would be right.

use toml::de::DeValue;

use super::keys::{Value, suggest};
use crate::diagnostic::Report;

/// A setting that takes one of a few words.
pub(super) trait Text: Copy + 'static {
    /// What may stand there, the default first.
    const WORDS: &'static [(&'static str, Self)];
}

/// One of a few words; `None` once it has been reported.
pub(super) fn word<T: Text>(key: &str, value: Value<'_>, report: &mut Report) -> Option<T> {
    let words: Vec<_> = T::WORDS.iter().map(|(word, _)| *word).collect();
    let text = text(key, value, &format!("one of: {}", words.join(", ")), report)?;
    let found = T::WORDS.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
    if found.is_none() {
        let message = format!("`{text}` is not a value of `{key}`");
        report.error(value.span(), message, suggest(text, &words, "values"));
    }
    found
}

/// A string.
pub(super) fn text<'t>(key: &str, value: Value<'t>, help: &str, report: &mut Report) -> Option<&'t str> {
    let text = value.get_ref().as_str();
    if text.is_none() {
        mistyped(key, "a string", value, help, report);
    }
    text
}

/// true or false.
pub(super) fn flag(key: &str, value: Value<'_>, report: &mut Report) -> Option<bool> {
    let flag = value.get_ref().as_bool();
    if flag.is_none() {
        mistyped(key, "true or false", value, "write true or false without quotes", report);
    }
    flag
}

/// A number, whatever its base; one that fits nowhere saturates, so that range checks speak.
pub(super) fn integer(value: Value<'_>) -> Option<i64> {
    let number = value.get_ref().as_integer()?;
    let saturated = if number.as_str().starts_with('-') { i64::MIN } else { i64::MAX };
    Some(i64::from_str_radix(number.as_str(), number.radix()).unwrap_or(saturated))
}

/// The items of a list.
pub(super) fn list<'t>(
    key: &str,
    value: Value<'t>,
    help: &str,
    report: &mut Report,
) -> Option<Vec<Value<'t>>> {
    let array = value.get_ref().as_array();
    if array.is_none() {
        mistyped(key, "a list", value, help, report);
    }
    array.map(|array| array.iter().collect())
}

/// Reports a value of the wrong type.
pub(super) fn mistyped(key: &str, wanted: &str, value: Value<'_>, help: &str, report: &mut Report) {
    let message = format!("`{key}` must be {wanted}, not {}", type_name(value.get_ref()));
    report.error(value.span(), message, help);
}

/// What a value is, in words.
pub(super) const fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

//! What goes to the terminal: text, tables, JSON and reports.

use std::io::{self, IsTerminal, Write};

use comfy_table::{Cell, Column, ColumnConstraint, ContentArrangement, Table, Width, presets};
use serde::Serialize;

use crate::{
    diagnostic::{Diagnostic, Report, Severity},
    policy::rule::Service,
};

/// Narrower, tables break words; wider, nobody finds the end of a row.
const WIDTHS: std::ops::RangeInclusive<u16> = 80..=120;

/// Width where there is no terminal to ask.
const PIPED: u16 = 100;

/// Between columns.
const GAP: u16 = 2;

/// An IPv6 prefix with a comma behind it; names may be longer, and may break.
const LONGEST_WORD: u16 = 44;

/// Why nothing was printed.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// Standard output is full or broken.
    #[error("cannot write the output")]
    Write(#[from] io::Error),
    /// A value has no JSON form.
    #[error("cannot write JSON")]
    Json(#[from] serde_json::Error),
}

/// Prints a text. A reader that has seen enough (`| head`) is no error.
///
/// # Errors
/// Standard output can't be written.
pub fn print(text: &str) -> Result<(), OutputError> {
    print_while_read(text).map(drop)
}

/// Prints a text; `false` once the reader has seen enough.
///
/// # Errors
/// As [`print()`].
pub fn print_while_read(text: &str) -> Result<bool, OutputError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(true),
    }
}

/// Prints a value as JSON.
///
/// # Errors
/// Standard output can't be written.
pub fn print_json<T: Serialize>(value: &T) -> Result<(), OutputError> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    print(&text)
}

/// Shows all findings on standard error, coloured on a terminal.
pub fn show_report(report: &Report) {
    let stderr = io::stderr();
    let styled = stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    // Where nobody listens there is nobody to tell: the exit code still speaks.
    let _ = stderr.lock().write_all(report.render(styled).as_bytes());
}

/// What a command with `--json` prints on standard error, in one line, when it fails.
#[derive(Debug, Serialize)]
pub struct FailureJson<'e> {
    /// Always `false`.
    pub ok: bool,
    /// What went wrong, with what it comes from.
    pub error: &'e str,
    /// What is wrong in the host file, if that is the reason.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub diagnostics: &'e [Diagnostic],
}

/// Shows why a command failed, on standard error: in words, or with `json` as an object.
pub fn show_failure(error: &str, report: Option<&Report>, json: bool) {
    if json {
        let diagnostics = report.map(|report| report.diagnostics.as_slice()).unwrap_or_default();
        let text = serde_json::to_string(&FailureJson { ok: false, error, diagnostics });
        eprintln!("{}", text.unwrap_or_default());
        return;
    }
    if let Some(report) = report {
        show_report(report);
    }
    eprintln!("portreeve: {error}");
}

/// Shows the errors of a host file that nothing can be done with.
pub fn show_refusal(report: &Report, json: bool) {
    if json {
        let errors = report.count(Severity::Error);
        let plural = if errors == 1 { "" } else { "s" };
        show_failure(&format!("{}: {errors} error{plural}", report.source.name), Some(report), true);
    } else {
        show_report(report);
    }
}

/// First and last destination port of each range; empty where the protocol has none.
#[must_use]
pub fn port_ranges(service: &Service) -> Vec<[u16; 2]> {
    let ranges = service.ports().map(|ports| ports.destination.as_slice()).unwrap_or_default();
    ranges.iter().map(|range| [*range.start(), *range.end()]).collect()
}

/// An empty table with a header, as wide as the terminal within reason.
#[must_use]
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    let width = if io::stdout().is_terminal() { table.width().unwrap_or(PIPED) } else { PIPED };
    table.set_width(width.clamp(*WIDTHS.start(), *WIDTHS.end()));
    if !header.is_empty() {
        table.set_header(header.iter().map(|word| word.to_uppercase()));
    }
    table
}

/// Which words of a column stay whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// All.
    All,
    /// All but domain names: no other words are as long.
    ButNames,
}

/// Keeps a column wide enough for its longest word: half an address is none.
pub fn keep_words(table: &mut Table, column: usize) {
    keep(table, column, Words::All);
}

/// As [`keep_words`], for some words.
pub fn keep(table: &mut Table, column: usize, words: Words) {
    let width = longest_word(table, column, words) + GAP;
    at_least(table, column, width);
}

/// As [`keep`], for each of these columns in turn, as far as the table's width goes: every other column has what it was
/// given before, or the width of its title.
pub fn keep_what_fits(table: &mut Table, columns: &[(usize, Words)]) {
    let (all, room) = (table.column_count(), table.width().unwrap_or(PIPED));
    for (column, words) in columns {
        let others: u16 = (0..all).filter(|other| other != column).map(|other| given(table, other)).sum();
        let wanted = longest_word(table, *column, *words) + GAP;
        let width = wanted.min(room.saturating_sub(others)).max(given(table, *column));
        at_least(table, *column, width);
    }
}

fn longest_word(table: &Table, column: usize, words: Words) -> u16 {
    let stays = |word: &&str| words == Words::All || !is_name(word);
    let longest_of =
        |text: String| text.split_whitespace().filter(stays).map(|word| word.chars().count()).max();
    let cells = table.column_cells_with_header_iter(column).flatten();
    let longest = cells.filter_map(|cell| longest_of(cell.content())).max();
    u16::try_from(longest.unwrap_or_default()).unwrap_or(LONGEST_WORD).min(LONGEST_WORD)
}

/// Whether it has dots and is no address, prefix or part of a list of them.
fn is_name(word: &str) -> bool {
    word.contains('.') && !word.chars().all(|c| c.is_ascii_hexdigit() || ".:/,".contains(c))
}

/// What a column has at least.
fn given(table: &Table, column: usize) -> u16 {
    let constraint = table.column(column).and_then(Column::constraint);
    if let Some(ColumnConstraint::LowerBoundary(Width::Fixed(width))) = constraint {
        return *width;
    }
    let title = table.header().and_then(|header| header.cell_iter().nth(column)).map(Cell::content);
    let longest = title.and_then(|title| title.split_whitespace().map(str::len).max());
    u16::try_from(longest.unwrap_or_default()).unwrap_or(LONGEST_WORD) + GAP
}

fn at_least(table: &mut Table, column: usize, width: u16) {
    table.discover_columns();
    if let Some(column) = table.column_mut(column) {
        column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width)));
    }
}

/// A table as text, without blanks at the ends of lines.
#[must_use]
pub fn text(table: &mut Table) -> String {
    table.discover_columns();
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, GAP));
    });
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

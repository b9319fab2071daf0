//! `portreeve packs --lint FILE`: everything that is wrong in a pack, for its author.

use std::{path::Path, process::ExitCode};

use serde::Serialize;

use super::json::coverage;
use crate::{
    cli::{CliResult, FAILED, output},
    diagnostic::{Diagnostic, Report, Severity},
    policy::pack::{Pack, lint::lint},
};

/// What `packs --lint FILE --json` prints.
#[derive(Debug, Serialize)]
struct LintJson<'r> {
    /// The file, as it was named.
    file: &'r str,
    /// No errors.
    ok: bool,
    /// How many errors.
    errors: usize,
    /// In the order of the file.
    diagnostics: &'r [Diagnostic],
}

/// Lints a pack; exit code 0, or [`FAILED`] when there are errors.
///
/// # Errors
/// Nobody takes the output.
pub(super) fn run(file: &Path, json: bool) -> CliResult {
    let mut report = Report::read(file);
    let pack = if report.has_errors() { None } else { lint(&mut report) };
    let errors = report.count(Severity::Error);
    if json {
        let (file, ok, diagnostics) = (&*report.source.name, pack.is_some(), &*report.diagnostics);
        output::print_json(&LintJson { file, ok, errors, diagnostics })?;
    } else {
        output::show_report(&report);
        output::print(&summary(&report.source.name, pack.as_ref(), errors))?;
    }
    Ok(if pack.is_some() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn summary(file: &str, pack: Option<&Pack>, errors: usize) -> String {
    let Some(pack) = pack else {
        let plural = if errors == 1 { "" } else { "s" };
        return format!("{file}: {errors} error{plural}\n");
    };
    let found = coverage(pack);
    let (roles, flows) = (pack.roles.len(), pack.flows.len());
    format!("{file}: fine, {roles} roles, {flows} flows, {} of {} rows\n", found.rows_with_flow, found.rows)
}

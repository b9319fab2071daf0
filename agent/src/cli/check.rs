//! `portreeve check HOST.toml`: everything that is wrong in a host file.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use serde::Serialize;

use super::{CliResult, FAILED, Global, output};
use crate::{
    diagnostic::{Diagnostic, Report, Severity},
    image::Deferred,
    policy::{self, Policy},
};

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The host file
    #[arg(value_name = "HOST.toml")]
    pub host: PathBuf,
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
}

/// What `check --json` prints.
#[derive(Debug, Serialize)]
pub struct CheckJson<'r> {
    /// The file, as it was named.
    pub file: &'r str,
    /// No errors.
    pub ok: bool,
    /// How many errors.
    pub errors: usize,
    /// How many warnings.
    pub warnings: usize,
    /// How many rules it compiles to; absent when there are errors.
    pub rules: Option<usize>,
    /// How many flows of its roles are off; absent when there are errors.
    pub off: Option<usize>,
    /// Flows that stay closed until the addresses of their names are known; absent when there are errors.
    pub deferred: Option<Vec<Deferred>>,
    /// In the order of the file.
    pub diagnostics: &'r [Diagnostic],
}

/// Checks a host file; exit code 0, or [`FAILED`] when there are errors.
///
/// # Errors
/// The packs can't be read, or nobody takes the output.
pub fn run(global: &Global, args: &CheckArgs) -> CliResult {
    let mut checked = policy::load(&args.host, &global.catalogue()?);
    if let (Ok(policy), Err(error)) = (&mut checked, policy::permissions(&args.host)) {
        let help = "`run` and `apply` refuse it as it is";
        policy.report.whole(Severity::Warning, error.to_string(), help);
    }
    let (policy, report) = match &checked {
        Ok(policy) => (Some(policy), &policy.report),
        Err(report) => (None, report.as_ref()),
    };
    if args.json {
        output::print_json(&json(policy, report))?;
    } else {
        output::show_report(report);
        output::print(&summary(policy, report))?;
    }
    Ok(if policy.is_some() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn json<'r>(policy: Option<&Policy>, report: &'r Report) -> CheckJson<'r> {
    CheckJson {
        file: &report.source.name,
        ok: policy.is_some(),
        errors: report.count(Severity::Error),
        warnings: report.count(Severity::Warning),
        rules: policy.map(|policy| policy.rules.len()),
        off: policy.map(|policy| policy.dormant.len()),
        deferred: policy.map(Deferred::of),
        diagnostics: &report.diagnostics,
    }
}

fn summary(policy: Option<&Policy>, report: &Report) -> String {
    let file = &report.source.name;
    let warnings = counted(report.count(Severity::Warning), "warning");
    match policy {
        Some(policy) => {
            let (rules, deferred) = (counted(policy.rules.len(), "rule"), Deferred::of(policy));
            let waiting =
                if deferred.is_empty() { String::new() } else { format!("{} deferred, ", deferred.len()) };
            let list: String = deferred.iter().map(|flow| format!("deferred {flow}\n")).collect();
            format!("{list}{file}: fine, {rules}, {} off, {waiting}{warnings}\n", policy.dormant.len())
        }
        None => format!("{file}: {}, {warnings}\n", counted(report.count(Severity::Error), "error")),
    }
}

fn counted(number: usize, what: &str) -> String {
    match number {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        more => format!("{more} {what}s"),
    }
}

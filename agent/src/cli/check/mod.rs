//! `portreeve check HOST.toml`: everything that is wrong in a host file, or in a site of several.

mod site;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use serde::Serialize;

use super::{CliResult, FAILED, Global, output};
use crate::{
    diagnostic::{Diagnostic, Report, Severity},
    image::{Deferred, Image, Slots, TIMELESS},
    policy::{self, Policy},
};

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The host file
    #[arg(value_name = "HOST.toml", required_unless_present = "site", conflicts_with = "site")]
    pub host: Option<PathBuf>,
    /// A site file: hold the hosts that it lists against each other
    #[arg(long, value_name = "SITE.toml")]
    pub site: Option<PathBuf>,
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
    /// Rules, or parts of rules, that the kernel's tables don't carry: they stay closed.
    pub deferred: &'r [Deferred],
    /// In the order of the file.
    pub diagnostics: &'r [Diagnostic],
}

/// Checks a host file or a site; exit code 0, or [`FAILED`] when there are errors.
///
/// # Errors
/// The packs can't be read, or nobody takes the output.
pub fn run(global: &Global, args: &CheckArgs) -> CliResult {
    match (&args.host, &args.site) {
        (_, Some(site)) => site::run(global, site, args.json),
        (Some(host), None) => check(global, host, args.json),
        // The arguments ask for one of them.
        (None, None) => Ok(ExitCode::from(FAILED)),
    }
}

fn check(global: &Global, host: &Path, json: bool) -> CliResult {
    let mut checked = policy::load(host, &global.catalogue()?);
    if let (Ok(policy), Err(error)) = (&mut checked, policy::permissions(host)) {
        let help = "`run` and `apply` refuse it as it is";
        policy.report.whole(Severity::Warning, error.to_string(), help);
    }
    let (checked, deferred) = match checked {
        Ok(policy) => laid_out(policy),
        Err(report) => (Err(report), Vec::new()),
    };
    let (policy, report) = match &checked {
        Ok(policy) => (Some(policy), &policy.report),
        Err(report) => (None, report.as_ref()),
    };
    if json {
        output::print_json(&form(policy, report, &deferred))?;
    } else {
        output::show_report(report);
        output::print(&summary(policy, report, &deferred))?;
    }
    Ok(if policy.is_some() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

/// The policy if its tables can be laid out, and what they don't carry.
fn laid_out(mut policy: Policy) -> (Result<Policy, Box<Report>>, Vec<Deferred>) {
    // The host's own addresses take a few places of the peer table: `explain` and `run` need them, a check doesn't.
    match Image::compile(&policy, &[], &mut Slots::default(), TIMELESS) {
        Ok(image) => (Ok(policy), image.deferred),
        Err(error) => {
            policy.report.whole(Severity::Error, error.to_string(), error.advice());
            (Err(Box::new(policy.report)), Vec::new())
        }
    }
}

fn form<'r>(policy: Option<&Policy>, report: &'r Report, deferred: &'r [Deferred]) -> CheckJson<'r> {
    CheckJson {
        file: &report.source.name,
        ok: policy.is_some(),
        errors: report.count(Severity::Error),
        warnings: report.count(Severity::Warning),
        rules: policy.map(|policy| policy.rules.len()),
        off: policy.map(|policy| policy.dormant.len()),
        deferred,
        diagnostics: &report.diagnostics,
    }
}

fn summary(policy: Option<&Policy>, report: &Report, deferred: &[Deferred]) -> String {
    let file = &report.source.name;
    let warnings = counted(report.count(Severity::Warning), "warning");
    let Some(policy) = policy else {
        return format!("{file}: {}, {warnings}\n", counted(report.count(Severity::Error), "error"));
    };
    let rules = counted(policy.rules.len(), "rule");
    let mut text = format!("{file}: fine, {rules}, {} off, {warnings}\n", policy.dormant.len());
    for Deferred { flow, why } in deferred {
        text.push_str(&format!("  {flow} stays closed in the kernel: {why}\n"));
    }
    text
}

fn counted(number: usize, what: &str) -> String {
    match number {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        more => format!("{more} {what}s"),
    }
}

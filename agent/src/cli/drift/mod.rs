//! `portreeve drift`: where the network, the host, the documents and the kernel disagree.

mod html;

use std::{fs, path::PathBuf, process::ExitCode};

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::{CliError, CliResult, Global, SEEN, output, running, status::seconds};
use crate::{
    control::View,
    drift::{self, Finding, Idle, Seen},
};

/// Arguments of `drift`.
#[derive(Debug, Args)]
pub struct DriftArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Write a page that needs nothing but itself, and print nothing
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pub html: Option<PathBuf>,
}

/// What `drift --json` prints.
#[derive(Debug, Serialize)]
pub struct DriftJson {
    /// The instance.
    pub instance: String,
    /// The host's name, if its file gives one.
    pub host: Option<String>,
    /// What identifies the policy.
    pub digest: String,
    /// When counting began: the window of all counts.
    pub since: Timestamp,
    /// When the window was looked at.
    pub until: Timestamp,
    /// All of them.
    pub findings: Vec<Finding>,
    /// Flows without a packet in the window that the product can do without: no drift.
    pub idle: Vec<Idle>,
}

/// Prints the findings; exit code 0 if there are none, 1 if there are, 2 if that can't be told.
///
/// # Errors
/// The instance is not there, or the kernel does not say; the page can't be written.
pub fn run(global: &Global, args: &DriftArgs) -> CliResult {
    let view = running::open(global)?;
    let drift = gather(&view)?;
    if let Some(path) = &args.html {
        let unwritable = |source| CliError::Page { path: path.clone(), source };
        fs::write(path, html::page(&drift).into_string()).map_err(unwritable)?;
    } else if args.json {
        output::print_json(&drift)?;
    } else {
        output::print(&text(&drift))?;
    }
    Ok(if drift.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(SEEN) })
}

fn gather(view: &View) -> Result<DriftJson, CliError> {
    let seen = Seen::gather(view)?;
    Ok(DriftJson {
        instance: view.instance.name.clone(),
        host: view.policy.host.name.clone(),
        digest: view.digest(),
        since: view.state.since,
        until: Timestamp::now(),
        findings: drift::findings(view, &seen),
        idle: drift::idle(&seen),
    })
}

fn text(drift: &DriftJson) -> String {
    let since = seconds(drift.since);
    let mut text = if drift.findings.is_empty() {
        format!("no drift since {since}\n")
    } else {
        let mut table = output::table(&["kind", "subject", "seen", "expected"]);
        for Finding { kind, subject, seen, expected } in &drift.findings {
            table.add_row([kind.name(), subject, seen, expected]);
        }
        output::keep_words(&mut table, 0);
        format!("since {since}\n\n{}", output::text(&mut table))
    };
    if !drift.idle.is_empty() {
        let mut table = output::table(&["not used", "need", "for"]);
        for Idle { flow, need, purpose } in &drift.idle {
            table.add_row([flow, need.name(), purpose]);
        }
        output::keep_words(&mut table, 0);
        text.push_str(&format!("\nno drift, but idle since {since}\n\n{}", output::text(&mut table)));
    }
    text
}

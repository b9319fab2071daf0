//! `portreeve drift`: where the network, the documents and the kernel disagree.

use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::{CliResult, Global, output, running, status::seconds};
use crate::drift::{self, Finding};

/// Exit code when there is drift.
const DRIFT: u8 = 1;

/// Arguments of `drift`.
#[derive(Debug, Args)]
pub struct DriftArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What `drift --json` prints.
#[derive(Debug, Serialize)]
pub struct DriftJson {
    /// When counting began: the window of all counts.
    pub since: Timestamp,
    /// All of them.
    pub findings: Vec<Finding>,
}

/// Prints the findings; exit code 0 if there are none, 1 if there are, 2 if that can't be told.
///
/// # Errors
/// The instance is not there, or the kernel does not say.
pub fn run(global: &Global, args: &DriftArgs) -> CliResult {
    let view = running::open(global)?;
    let drift = DriftJson { since: view.state.since, findings: drift::findings(&view)? };
    if args.json {
        output::print_json(&drift)?;
    } else {
        output::print(&text(&drift))?;
    }
    Ok(if drift.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(DRIFT) })
}

fn text(drift: &DriftJson) -> String {
    let since = seconds(drift.since);
    if drift.findings.is_empty() {
        return format!("no drift since {since}\n");
    }
    let mut table = output::table(&["kind", "subject", "seen", "expected"]);
    for Finding { kind, subject, seen, expected } in &drift.findings {
        table.add_row([kind.name(), subject, seen, expected]);
    }
    output::keep_words(&mut table, 0);
    format!("since {since}\n\n{}", output::text(&mut table))
}

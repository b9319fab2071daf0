//! `portreeve preflight`: what this machine can do, and what stands in the way.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use serde::Serialize;

use super::{CliResult, FAILED, Global, output};
use crate::{
    control::ControlError,
    instance::InstanceError,
    policy::{self, host},
    preflight::{self, Finding, Level, Subject},
};

/// Arguments of `preflight`.
#[derive(Debug, Args)]
pub struct PreflightArgs {
    /// The host file whose interfaces and hook are meant [default: every physical interface, hook auto]
    #[arg(value_name = "HOST.toml")]
    pub host: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Attach the program for a moment to interfaces that are down, instead of believing the driver
    #[arg(long = "try")]
    pub tries: bool,
}

/// What `preflight --json` prints.
#[derive(Debug, Serialize)]
pub struct PreflightJson {
    /// The worst of the findings.
    pub verdict: Level,
    /// In the order in which they were looked at.
    pub findings: Vec<Finding>,
}

/// Looks around; exit code 2 if something makes it impossible, else 0.
///
/// # Errors
/// Not root, the host file is broken, or the interfaces can't be listed.
pub fn run(global: &Global, args: &PreflightArgs) -> CliResult {
    if !nix::unistd::geteuid().is_root() {
        return Err(ControlError::from(InstanceError::NotRoot).into());
    }
    let policy = match &args.host {
        Some(host) => Some(policy::load(host, &global.catalogue()?).map_err(ControlError::Policy)?),
        None => None,
    };
    let host = policy.as_ref().map(|policy| &policy.host);
    let subject = Subject {
        interfaces: host.map(|host| host.interfaces.as_slice()).unwrap_or_default(),
        hook: host.map_or(host::Hook::Auto, |host| host.enforcement.hook),
        pins: &global.instance().pins,
        tries: args.tries,
    };
    let findings = preflight::look(&subject)?;
    let verdict = findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok);
    if args.json {
        output::print_json(&PreflightJson { verdict, findings })?;
    } else {
        output::print(&text(&findings))?;
    }
    Ok(if verdict == Level::Refused { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}

fn text(findings: &[Finding]) -> String {
    let mut table = output::table(&["subject", "check", "", "seen"]);
    let mut advice = String::new();
    for Finding { subject, check, level, seen, advice: what } in findings {
        let word = match level {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Refused => "refused",
        };
        table.add_row([subject, *check, word, seen]);
        if let Some(what) = what {
            advice.push_str(&format!("{word}: {subject}: {check}: {what}\n"));
        }
    }
    let table = output::text(&mut table);
    if advice.is_empty() { table } else { format!("{table}\n{advice}") }
}

//! From documents to rules: packs, the host file, and what both compile to.

pub mod address;
pub mod catalogue;
pub mod host;
pub mod never;
pub mod pack;
pub mod ports;
pub mod resolve;
pub mod rule;
pub mod site;
pub mod stage;
pub mod version;

use std::path::Path;

use jiff::{Zoned, civil::Date};

pub use self::{
    catalogue::Catalogue,
    host::{HostFile, permissions::permissions},
    resolve::{Dormant, Off, Policy},
    rule::Rule,
    stage::{Stage, Stages},
};
use crate::diagnostic::{Report, Severity};

/// Reads and resolves a host file as of today; warnings are in the policy's report.
///
/// # Errors
/// Everything that is wrong in the file, in one report.
pub fn load(path: &Path, catalogue: &Catalogue) -> Result<Policy, Box<Report>> {
    load_as_of(path, catalogue, Zoned::now().date())
}

/// As [`load`], for commands that carry the policy out: a file that others can write is refused.
///
/// # Errors
/// As [`load`]; who else can change the file.
pub fn load_trusted(path: &Path, catalogue: &Catalogue) -> Result<Policy, Box<Report>> {
    let report = match host::permissions::open(path) {
        Ok(file) => Report::of(path, Ok(file)),
        Err(error) => {
            let mut report = Report::new(path.display().to_string(), String::new());
            report.whole(Severity::Error, describe(&error), error.help());
            report
        }
    };
    let (host, report) = host::read(report, catalogue, Zoned::now().date());
    finish(host, report, catalogue)
}

/// An error with what it comes from.
fn describe(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

/// As [`load`], on another day: `expires` of an `[[allow]]` is held against it.
///
/// # Errors
/// Everything that is wrong in the file, in one report.
pub fn load_as_of(path: &Path, catalogue: &Catalogue, today: Date) -> Result<Policy, Box<Report>> {
    let (host, report) = host::read(Report::read(path), catalogue, today);
    finish(host, report, catalogue)
}

/// As [`load_as_of`], from a text instead of a file; `name` is for messages.
///
/// # Errors
/// Everything that is wrong in the text, in one report.
pub fn compile(name: &str, text: &str, catalogue: &Catalogue, today: Date) -> Result<Policy, Box<Report>> {
    let mut report = Report::new(name, text);
    let host = host::parse(&mut report, catalogue, today);
    finish(host, report, catalogue)
}

fn finish(host: Option<HostFile>, mut report: Report, catalogue: &Catalogue) -> Result<Policy, Box<Report>> {
    report.sort();
    match host.filter(|_| !report.has_errors()) {
        Some(host) => resolve::resolve(host, report, catalogue),
        None => Err(Box::new(report)),
    }
}

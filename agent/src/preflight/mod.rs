//! Preflight: what this machine can do for Portreeve, and what stands in its way; nothing is changed.

pub mod driver;
mod foreign;
mod generic;
mod kernel;
mod neighbours;
pub mod netlink;
mod nic;
mod trial;

use serde::Serialize;

use crate::{
    datapath::{DatapathError, Pins, interface},
    policy::host::Hook,
};

/// What is looked at.
#[derive(Clone, Debug)]
pub struct Subject<'s> {
    /// Interfaces, as a host file names them; empty: every physical one.
    pub interfaces: &'s [String],
    /// The hook that is wanted.
    pub hook: Hook,
    /// What is ours there already.
    pub pins: &'s Pins,
    /// Whether an empty program may be attached where no traffic is.
    pub tries: bool,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, with less than there could be, or something may be missed.
    Warning,
    /// It does not work.
    Refused,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The interface, or `machine`.
    pub subject: String,
    /// What was looked at.
    pub check: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What was seen.
    pub seen: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// The subject of what is not about an interface.
pub const MACHINE: &str = "machine";

/// Looks at the machine, then at each interface.
///
/// # Errors
/// The interfaces can't be listed.
pub fn look(subject: &Subject<'_>) -> Result<Vec<Finding>, DatapathError> {
    let version = kernel::version();
    let mut findings = kernel::findings(version);
    findings.extend(neighbours::findings());
    let names = interface::chosen(subject.interfaces)?;
    if names.is_empty() {
        let seen = "no interface is a physical one".to_owned();
        findings.push(Finding::refused(MACHINE, "interfaces", seen, "name one under [host] interfaces"));
    }
    for name in &names {
        findings.extend(nic::findings(name, subject, version));
    }
    Ok(findings)
}

impl Finding {
    fn ok(subject: &str, check: &'static str, seen: impl Into<String>) -> Self {
        Self { subject: subject.into(), check, level: Level::Ok, seen: seen.into(), advice: None }
    }

    fn warning(subject: &str, check: &'static str, seen: impl Into<String>, advice: &str) -> Self {
        let advice = Some(advice.to_owned());
        Self { subject: subject.into(), check, level: Level::Warning, seen: seen.into(), advice }
    }

    fn refused(subject: &str, check: &'static str, seen: impl Into<String>, advice: &str) -> Self {
        Self { level: Level::Refused, ..Self::warning(subject, check, seen, advice) }
    }

    /// Where nobody answers nothing is claimed.
    fn unknown(subject: &str, check: &'static str, why: impl std::fmt::Display) -> Self {
        let seen = format!("could not be told: {why}");
        Self::warning(subject, check, seen, "look by hand, or run this as root on a newer kernel")
    }
}

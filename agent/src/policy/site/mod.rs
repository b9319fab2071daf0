//! Several hosts of one site, held against each other.

mod unaccepted;

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Path, PathBuf},
};

use jiff::{Zoned, civil::Date};

pub use self::unaccepted::{Nearest, Unaccepted, unaccepted};
use super::{
    Catalogue, Policy, finish,
    host::{Listed, read_site},
    load_as_of,
};
use crate::diagnostic::{Report, Severity, Span};

/// Hosts whose addresses and policies are known.
#[derive(Debug)]
pub struct Site {
    /// In the order of the site file; names and addresses are each one host's.
    pub hosts: Vec<SiteHost>,
    /// What is wrong or worth a look: of the site file first, then of each host file.
    pub reports: Vec<Report>,
}

/// One host of a site.
#[derive(Debug)]
pub struct SiteHost {
    /// What the site calls it.
    pub name: String,
    /// Its own host file, if it is not written out in the site file.
    pub file: Option<PathBuf>,
    /// What it is reached by.
    pub addresses: Vec<IpAddr>,
    /// What it allows.
    pub policy: Policy,
}

/// Reads a site file and the host files that it names, as of today.
///
/// # Errors
/// Everything that is wrong in any of them: a report a file.
pub fn load(path: &Path, catalogue: &Catalogue) -> Result<Site, Vec<Report>> {
    load_site_as_of(path, catalogue, Zoned::now().date())
}

/// As [`load`], on another day.
///
/// # Errors
/// As [`load`].
pub fn load_site_as_of(path: &Path, catalogue: &Catalogue, today: Date) -> Result<Site, Vec<Report>> {
    let mut report = Report::read(path);
    if report.has_errors() {
        return Err(vec![report]);
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let listed = read_site(&mut report, folder, catalogue, today);
    let mut others = Vec::new();
    let mut hosts: Vec<(SiteHost, Span)> = Vec::new();
    for entry in listed {
        let read = match entry {
            Listed::File { path, at } => file(path, catalogue, today, &mut others).map(|host| (host, at)),
            Listed::Inline { host, at } => {
                let blank = Report { diagnostics: Vec::new(), ..report.clone() };
                let (policy, found) = match finish(Some(*host), blank, catalogue) {
                    Ok(policy) => (Some(policy.clone()), policy.report),
                    Err(found) => (None, *found),
                };
                report.diagnostics.extend(found.diagnostics);
                policy.map(|policy| (SiteHost::new(None, policy), at))
            }
        };
        hosts.extend(read);
    }
    identify(&hosts, &mut report);
    report.sort();
    let reports: Vec<Report> = std::iter::once(report).chain(others).collect();
    if reports.iter().any(Report::has_errors) {
        return Err(reports);
    }
    Ok(Site { hosts: hosts.into_iter().map(|(host, _)| host).collect(), reports })
}

fn file(path: PathBuf, catalogue: &Catalogue, today: Date, reports: &mut Vec<Report>) -> Option<SiteHost> {
    match load_as_of(&path, catalogue, today) {
        Ok(policy) => {
            reports.push(policy.report.clone());
            Some(SiteHost::new(Some(path), policy))
        }
        Err(report) => {
            reports.push(*report);
            None
        }
    }
}

impl SiteHost {
    fn new(file: Option<PathBuf>, policy: Policy) -> Self {
        let stem = || file.as_ref()?.file_stem()?.to_str().map(str::to_owned);
        let name = policy.host.name.clone().or_else(stem).unwrap_or_default();
        Self { name, addresses: policy.host.addresses.clone(), file, policy }
    }
}

/// Two hosts may share neither a name nor an address, and each needs both.
fn identify(hosts: &[(SiteHost, Span)], report: &mut Report) {
    let mut names: BTreeMap<&str, &Span> = BTreeMap::new();
    let mut addresses: BTreeMap<IpAddr, &str> = BTreeMap::new();
    for (host, at) in hosts {
        if names.insert(&host.name, at).is_some() {
            let message = format!("two hosts of the site are called {}", host.name);
            report.error(at.clone(), message, "give each host its own `name`");
        }
        if host.addresses.is_empty() {
            let message = format!("host {} has no `addresses`", host.name);
            report.error(at.clone(), message, "list what the other hosts know it by");
        }
        for address in &host.addresses {
            if let Some(other) = addresses.insert(*address, &host.name).filter(|other| *other != host.name) {
                let message = format!("{address} is an address of {other} and of {}", host.name);
                report.error(at.clone(), message, "an address belongs to one host of a site");
            }
        }
    }
    if let [(_, at)] = hosts
        && !report.diagnostics.iter().any(|found| found.severity == Severity::Error)
    {
        report.warning(at.clone(), "a site of one host has nothing to compare", "add the other ends");
    }
}

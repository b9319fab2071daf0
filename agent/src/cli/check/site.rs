//! `portreeve check --site SITE.toml`: flows that one host's policy sends and another one's does not accept.

use std::{net::IpAddr, path::Path, process::ExitCode};

use serde::Serialize;

use super::{CliResult, FAILED, Global, counted, output};
use crate::{
    diagnostic::{Diagnostic, Report, Severity},
    policy::{
        rule::Origin,
        site::{self, Nearest, Site, SiteHost, Unaccepted},
    },
};

/// What `check --site --json` prints.
#[derive(Debug, Serialize)]
struct SiteJson<'s> {
    /// The site file, as it was named.
    file: String,
    /// No errors, and every flow is accepted.
    ok: bool,
    /// The hosts; empty when there are errors.
    hosts: Vec<HostJson<'s>>,
    /// Flows that are sent and not accepted, in the order of the site file.
    unaccepted: Vec<UnacceptedJson<'s>>,
    /// What is wrong in each file.
    reports: Vec<ReportJson<'s>>,
}

/// One host.
#[derive(Debug, Serialize)]
struct HostJson<'s> {
    name: &'s str,
    /// Absent when it is written out in the site file.
    file: Option<String>,
    addresses: &'s [IpAddr],
    /// How many rules it compiles to.
    rules: usize,
}

/// One flow.
#[derive(Debug, Serialize)]
struct UnacceptedJson<'s> {
    /// Who sends.
    from: &'s str,
    /// Who would have to accept.
    to: &'s str,
    /// The address of the other end in the sender's policy.
    address: IpAddr,
    /// The sender's flow.
    flow: &'s str,
    /// The sender's role.
    role: &'s str,
    protocol: String,
    /// First and last port of each range that is not accepted.
    ports: Vec<[u16; 2]>,
    /// Where the sender's flow is written.
    source: &'s Origin,
    /// The flow of the other end that comes closest.
    nearest: Option<NearestJson<'s>>,
}

/// A flow of the other end.
#[derive(Debug, Serialize)]
struct NearestJson<'s> {
    flow: &'s str,
    because: &'s str,
}

/// What was found in a file.
#[derive(Debug, Serialize)]
struct ReportJson<'s> {
    file: &'s str,
    diagnostics: &'s [Diagnostic],
}

/// Checks a site; exit code 0, or [`FAILED`] when a file has errors or a flow is not accepted.
pub(super) fn run(global: &Global, path: &Path, json: bool) -> CliResult {
    let loaded = site::load(path, &global.catalogue()?);
    let (site, reports) = match &loaded {
        Ok(site) => (Some(site), &site.reports),
        Err(reports) => (None, reports),
    };
    let unaccepted = site.map(site::unaccepted).unwrap_or_default();
    let ok = site.is_some() && unaccepted.is_empty();
    let file = path.display().to_string();
    if json {
        let hosts = site.map(|site| site.hosts.iter().map(host).collect()).unwrap_or_default();
        let reports = reports.iter().map(report).collect();
        let unaccepted = unaccepted.iter().map(row).collect();
        output::print_json(&SiteJson { file, ok, hosts, unaccepted, reports })?;
    } else {
        reports.iter().for_each(output::show_report);
        output::print(&text(&file, site, reports, &unaccepted))?;
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

fn host(host: &SiteHost) -> HostJson<'_> {
    let SiteHost { name, file, addresses, policy } = host;
    let file = file.as_ref().map(|file| file.display().to_string());
    HostJson { name, file, addresses, rules: policy.rules.len() }
}

fn report(report: &Report) -> ReportJson<'_> {
    ReportJson { file: &report.source.name, diagnostics: &report.diagnostics }
}

fn row<'s>(unaccepted: &'s Unaccepted<'s>) -> UnacceptedJson<'s> {
    let Unaccepted { from, to, rule, service, address, nearest } = unaccepted;
    let nearest = nearest.as_ref().map(|Nearest { flow, because }| NearestJson { flow, because });
    UnacceptedJson {
        from: &from.name,
        to: &to.name,
        address: *address,
        flow: &rule.flow,
        role: &rule.role,
        protocol: service.protocol(),
        ports: output::port_ranges(service),
        source: &rule.origin,
        nearest,
    }
}

fn text(file: &str, site: Option<&Site>, reports: &[Report], unaccepted: &[Unaccepted<'_>]) -> String {
    let sum = |severity| reports.iter().map(|report| report.count(severity)).sum::<usize>();
    let warnings = counted(sum(Severity::Warning), "warning");
    let Some(site) = site else {
        return format!("{file}: {}, {warnings}\n", counted(sum(Severity::Error), "error"));
    };
    let hosts = counted(site.hosts.len(), "host");
    if unaccepted.is_empty() {
        return format!("{file}: fine, {hosts} agree, {warnings}\n");
    }
    let mut table = output::table(&["from", "to", "flow", "service", "the other end"]);
    for Unaccepted { from, to, rule, service, address, nearest } in unaccepted {
        let end = format!("{} {address}", to.name);
        let why = match nearest {
            Some(Nearest { flow, because }) => format!("{flow}: {because}"),
            None => "has no such ingress flow".into(),
        };
        table.add_row([&from.name, &end, &rule.flow, &service.to_string(), &why]);
    }
    output::keep_words(&mut table, 1);
    output::keep_words(&mut table, 2);
    let flows = counted(unaccepted.len(), "flow");
    format!("{}\n{file}: {flows} not accepted, {hosts}, {warnings}\n", output::text(&mut table))
}

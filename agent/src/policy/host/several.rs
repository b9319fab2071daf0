//! `[[host]]` of a site file: a host file by name, or a host written out in place.

use std::path::{Path, PathBuf};

use jiff::civil::Date;
use toml::de::DeTable;

use super::{Enforcement, HostFile, allow, identity, keys::Keys, role, settings, value};
use crate::{
    diagnostic::{Report, Span},
    policy::catalogue::Catalogue,
};

/// A host of a site.
#[derive(Debug)]
pub(in crate::policy) enum Listed {
    /// Its own host file, beside the site file unless the path is absolute.
    File {
        /// Where it is.
        path: PathBuf,
        /// Where that is written.
        at: Span,
    },
    /// Written out in the site file.
    Inline {
        /// As a host file would say it; nothing of it is enforced here.
        host: Box<HostFile>,
        /// Where it stands.
        at: Span,
    },
}

/// Reads the hosts of a site file that the report holds; everything wrong in it is in the report.
pub(in crate::policy) fn read_site(
    report: &mut Report,
    folder: &Path,
    catalogue: &Catalogue,
    today: Date,
) -> Vec<Listed> {
    let text = report.source.text.clone();
    let (table, errors) = DeTable::parse_recoverable(&text);
    for error in &errors {
        report.error(error.span().unwrap_or(0..0), error.message(), "the file has to be valid TOML");
    }
    if !errors.is_empty() {
        return Vec::new();
    }
    let mut keys = Keys::new("the site file", 0..0, table.get_ref());
    if let Some(at) = only_host(&keys) {
        let help = format!(
            "`portreeve check {}` checks it; a site file has a [[host]] for each",
            report.source.name
        );
        report.error(at, "this is a host file: it says what one host is", help);
        return Vec::new();
    }
    let hosts = keys.tables("host", report);
    keys.finish(report);
    if hosts.is_empty() && !report.has_errors() {
        let help = "add a [[host]] with `file`, or with `name`, `addresses` and its roles, for each host";
        report.error(0..0, "the site file has no [[host]]", help);
    }
    hosts.into_iter().filter_map(|host| read(host, folder, catalogue, today, report)).collect()
}

/// Where a site file lists its first host.
pub(super) fn first_host(keys: &Keys<'_>) -> Option<Span> {
    let hosts = keys.peek("host")?.get_ref().as_array()?;
    hosts.iter().find(|host| host.get_ref().as_table().is_some()).map(|host| host.span())
}

/// Where a host file says what its host is, or what that does.
fn only_host(keys: &Keys<'_>) -> Option<Span> {
    let Some(host) = keys.peek("host") else {
        return keys.peek("role").or_else(|| keys.peek("allow")).map(|rules| rules.span());
    };
    // With `file` it is an entry of a site file, in brackets too few.
    let table = host.get_ref().as_table()?;
    Keys::new("[host]", host.span(), table).peek("file").is_none().then(|| host.span())
}

fn read(
    mut keys: Keys<'_>,
    folder: &Path,
    catalogue: &Catalogue,
    today: Date,
    report: &mut Report,
) -> Option<Listed> {
    let at = keys.at();
    let Some(file) = keys.take("file") else {
        return Some(Listed::Inline { host: Box::new(inline(keys, catalogue, today, report)), at });
    };
    keys.finish(report);
    let path = value::text("file", file, "write the host file's path in quotes", report)?;
    Some(Listed::File { path: folder.join(path), at: file.span() })
}

/// The keys of `[host]`, and the tables that say what the host allows.
fn inline(mut keys: Keys<'_>, catalogue: &Catalogue, today: Date, report: &mut Report) -> HostFile {
    let baseline =
        keys.table("baseline", report).map(|keys| settings::baseline(keys, report)).unwrap_or_default();
    let names = keys.table("names", report).map(|keys| identity::names(keys, report)).unwrap_or_default();
    let enforcement = Enforcement::default();
    let (roles, allows) = (keys.tables("role", report), keys.tables("allow", report));
    let (at, identity::Identity { name, interfaces, addresses }) = (keys.at(), identity::read(keys, report));
    let roles = role::read_all(roles, catalogue, enforcement, &interfaces, report);
    let allows = allow::read_all(allows, catalogue, today, &interfaces, report);
    if name.is_none() {
        report.error(at.clone(), "this [[host]] has neither `file` nor `name`", "add name = \"iem\"");
    }
    if roles.is_empty() && allows.is_empty() {
        let help = "add [[host.role]] or [[host.allow]]; leave out a host of which nothing is known";
        report.error(at, "this [[host]] has no role and no allow: it would accept nothing", help);
    }
    let state = super::StateLimits::default();
    HostFile { name, interfaces, addresses, enforcement, baseline, state, roles, allows, names }
}

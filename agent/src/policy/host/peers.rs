//! Lists of remote ends in the host file.

use ipnet::IpNet;

use super::{
    keys::{Keys, Value},
    value,
};
use crate::{
    diagnostic::Report,
    policy::{
        address::{Remote, is_private},
        ports,
    },
};

/// Whom a peer stands for on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerList {
    /// `"any"`.
    Any,
    /// What is listed; may be empty.
    Listed(Vec<PeerEntry>),
}

/// One entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerEntry {
    /// Address, prefix or name.
    pub remote: Remote,
    /// Its own port in place of the option's.
    pub port: Option<u16>,
}

impl PeerList {
    /// Whether it names nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Listed(entries) if entries.is_empty())
    }

    /// What in it may be reached over the public internet; a name may be anywhere.
    #[must_use]
    pub fn public(&self) -> Option<String> {
        let is_public = |entry: &&PeerEntry| match &entry.remote {
            Remote::Net(net) => !is_private(net),
            Remote::Name(_) => true,
        };
        match self {
            Self::Any => Some("\"any\"".into()),
            Self::Listed(entries) => entries.iter().find(is_public).map(|entry| entry.remote.to_string()),
        }
    }

    /// The prefixes in it.
    pub fn prefixes(&self) -> impl Iterator<Item = &IpNet> {
        let entries: &[PeerEntry] = match self {
            Self::Any => &[],
            Self::Listed(entries) => entries,
        };
        entries.iter().filter_map(|entry| match &entry.remote {
            Remote::Net(net) => Some(net),
            Remote::Name(_) => None,
        })
    }
}

const FORM: &str = "write \"any\", or a list of addresses, prefixes and names, like [\"198.51.100.0/24\"]";

/// Reads `"any"` or a list; what can't be read is reported and left out.
pub(super) fn read(key: &str, value: Value<'_>, report: &mut Report) -> Option<PeerList> {
    read_entries(key, value, false, report)
}

/// As [`read`]; with `ports`, an entry may be `{ address = "…", port = … }`.
pub(super) fn read_entries(
    key: &str,
    value: Value<'_>,
    ports: bool,
    report: &mut Report,
) -> Option<PeerList> {
    if let Some(text) = value.get_ref().as_str() {
        if text == "any" {
            return Some(PeerList::Any);
        }
        let help = format!("a single entry stands in a list too: [\"{text}\"]");
        report.error(value.span(), format!("`{key}` must be \"any\" or a list"), help);
        return None;
    }
    let items = value::list(key, value, FORM, report)?;
    let mut entries = Vec::new();
    for item in items {
        entries.extend(match item.get_ref().as_table().filter(|_| ports) {
            Some(table) => with_port(Keys::new("the entry", item.span(), table), report),
            None => entry(key, item, report),
        });
    }
    Some(PeerList::Listed(entries))
}

fn with_port(mut keys: Keys<'_>, report: &mut Report) -> Option<PeerEntry> {
    let help = "write { address = \"198.51.100.7\", port = 3000 }";
    let address = keys.require("address", help, report);
    let number = keys.require("port", help, report);
    keys.finish(report);
    let remote = remote("address", address?, report);
    let port = port("port", number?, report);
    Some(PeerEntry { remote: remote?, port: Some(port?) })
}

/// One entry without a port of its own.
pub(super) fn entry(key: &str, value: Value<'_>, report: &mut Report) -> Option<PeerEntry> {
    remote(key, value, report).map(|remote| PeerEntry { remote, port: None })
}

fn remote(key: &str, value: Value<'_>, report: &mut Report) -> Option<Remote> {
    let Some(text) = value.get_ref().as_str() else {
        let message =
            format!("an entry of `{key}` must be a string, not {}", value::type_name(value.get_ref()));
        report.error(value.span(), message, FORM);
        return None;
    };
    if text == "any" {
        let message = "\"any\" can't stand in a list";
        report.error(value.span(), message, format!("write {key} = \"any\" without brackets"));
        return None;
    }
    match text.parse() {
        Ok(remote) => Some(remote),
        Err(error) => {
            report.error(value.span(), error.to_string(), error.help());
            None
        }
    }
}

/// A port.
pub(super) fn port(key: &str, value: Value<'_>, report: &mut Report) -> Option<u16> {
    let Some(number) = value::integer(value) else {
        let message = format!("`{key}` must be a port, not {}", value::type_name(value.get_ref()));
        report.error(value.span(), message, "write a number from 1 to 65535 without quotes");
        return None;
    };
    let read = ports::port(number);
    if let Err(error) = &read {
        report.error(value.span(), error.to_string(), "write a number from 1 to 65535");
    }
    read.ok()
}

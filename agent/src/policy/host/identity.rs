//! `[host]` and `[names]`: who this host is, and addresses that are known beforehand.

use std::{collections::BTreeMap, net::IpAddr};

use globset::Glob;

use super::{
    keys::{Keys, Value},
    value,
};
use crate::{diagnostic::Report, policy::address};

/// IFNAMSIZ less its final zero (`include/uapi/linux/if.h`).
const LONGEST_INTERFACE: usize = 15;

/// `[host]`.
#[derive(Default)]
pub(super) struct Identity {
    pub(super) name: Option<String>,
    pub(super) interfaces: Vec<String>,
    pub(super) addresses: Vec<IpAddr>,
}

pub(super) fn read(mut keys: Keys<'_>, report: &mut Report) -> Identity {
    let name = keys.take("name").and_then(|value| host_name(value, report));
    let interfaces =
        keys.take("interfaces").map(|value| interfaces(value, INTERFACES, report)).unwrap_or_default();
    let addresses = keys.take("addresses").map(|value| addresses("addresses", value, report));
    keys.finish(report);
    Identity { name, interfaces, addresses: addresses.unwrap_or_default() }
}

/// `[names]`: a name and its addresses a line.
pub(super) fn names(mut keys: Keys<'_>, report: &mut Report) -> BTreeMap<String, Vec<IpAddr>> {
    let mut names = BTreeMap::new();
    for (key, at, value) in keys.rest() {
        match address::domain(key).filter(|name| !name.starts_with("*.")) {
            Some(name) => {
                // It would never be learned, and so stay closed without a word.
                if value.get_ref().as_array().is_some_and(|list| list.is_empty()) {
                    let help = "list its addresses, or leave the name out to have it learned";
                    report.error(value.span(), format!("`{key}` lists no address"), help);
                }
                names.insert(name, addresses(key, value, report));
            }
            None => report.error(
                at,
                format!("`{key}` is not a domain name"),
                "write a full name in quotes, without `*`",
            ),
        }
    }
    names
}

fn host_name(value: Value<'_>, report: &mut Report) -> Option<String> {
    let help = "write a name of up to 64 characters without spaces, like \"line4-edge\"";
    let text = value::text("name", value, help, report)?;
    let fits = (1..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic());
    if !fits {
        report.error(value.span(), format!("`{text}` can't be a host's name"), help);
    }
    fits.then(|| text.to_owned())
}

/// What `interfaces` of `[host]` takes.
const INTERFACES: &str = "write names or globs in a list, like [\"enp2s0\", \"eth*\"]";

/// Whether it is a glob and no name.
pub(crate) fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '[', '{'])
}

/// Whether a glob, or a name, of the host file means this interface.
pub(crate) fn means(pattern: &str, name: &str) -> bool {
    pattern == name || Glob::new(pattern).is_ok_and(|glob| glob.compile_matcher().is_match(name))
}

/// Names and globs of interfaces; `help`: what would be right.
pub(super) fn interfaces(value: Value<'_>, help: &str, report: &mut Report) -> Vec<String> {
    let items = value::list("interfaces", value, help, report).unwrap_or_default();
    let mut names = Vec::new();
    for item in items {
        let Some(name) = value::text("interfaces", item, help, report) else { continue };
        let plain = name.chars().all(|c| c.is_ascii_graphic() && c != '/');
        let length = (1..=LONGEST_INTERFACE).contains(&name.len()) || is_pattern(name);
        if plain && length && !name.is_empty() && Glob::new(name).is_ok() {
            names.push(name.to_owned());
        } else {
            report.error(item.span(), format!("`{name}` can't be an interface's name"), help);
        }
    }
    names
}

fn addresses(key: &str, value: Value<'_>, report: &mut Report) -> Vec<IpAddr> {
    let help = "write IP addresses in a list, like [\"192.0.2.10\", \"2001:db8::10\"]";
    let items = value::list(key, value, help, report).unwrap_or_default();
    let mut addresses = Vec::new();
    for item in items {
        let Some(text) = value::text(key, item, help, report) else { continue };
        match text.parse::<IpAddr>() {
            Ok(address) if !address.is_multicast() && !address.is_unspecified() => addresses.push(address),
            Ok(_) | Err(_) => {
                report.error(item.span(), format!("`{text}` is not an address of a host"), help);
            }
        }
    }
    addresses
}

//! `[enforcement]`, `[baseline]` and `[state]`: settings with defaults.

use std::{ops::RangeInclusive, time::Duration};

use toml::de::DeValue;

use super::{
    Baseline, Enforcement, EtherTypes, StateLimits, duration,
    ethertype::{self, Refused},
    keys::{Keys, Value, suggest},
    management, peers, value,
};
use crate::diagnostic::Report;

/// Below, a handful of clients fills the table; above, it takes hundreds of megabytes.
const ENTRIES: RangeInclusive<u32> = 1024..=1_048_576;

/// Shorter idle times cut connections that are only quiet; longer ones never free an entry.
const IDLE: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_hours(30 * 24);

/// An adoption window that stays open for hours is no window.
const ADOPTION: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(1);

pub(super) fn enforcement(mut keys: Keys<'_>, report: &mut Report) -> Enforcement {
    let default = Enforcement::default();
    let ingress = keys.take("ingress").and_then(|value| value::word("ingress", value, report));
    let egress = keys.take("egress").and_then(|value| value::word("egress", value, report));
    let on_stop = keys.take("on_stop").and_then(|value| value::word("on_stop", value, report));
    let hook = keys.take("hook").and_then(|value| value::word("hook", value, report));
    keys.finish(report);
    Enforcement {
        ingress: ingress.unwrap_or(default.ingress),
        egress: egress.unwrap_or(default.egress),
        on_stop: on_stop.unwrap_or(default.on_stop),
        hook: hook.unwrap_or(default.hook),
    }
}

pub(super) fn baseline(mut keys: Keys<'_>, report: &mut Report) -> Baseline {
    let dhcp = keys.take("dhcp").and_then(|value| value::flag("dhcp", value, report)).unwrap_or(false);
    let ping = keys.take("ping_from");
    let ping_from = ping.and_then(|value| peers::read("ping_from", value, report));
    let ping_from_at = ping.map(toml::Spanned::span).unwrap_or_default();
    let ethertypes = keys.take("ethertypes").and_then(|value| ethertypes(value, report));
    let management = management::read_all(keys.tables("management", report), report);
    keys.finish(report);
    let ethertypes = ethertypes.unwrap_or(EtherTypes::Any);
    Baseline { dhcp, ping_from, ping_from_at, ethertypes, management }
}

pub(super) fn state(mut keys: Keys<'_>, report: &mut Report) -> StateLimits {
    let mut limits = StateLimits::default();
    for (key, entries) in [("established", &mut limits.established), ("embryonic", &mut limits.embryonic)] {
        if let Some(set) = keys.take(key).and_then(|value| size(key, value, report)) {
            *entries = set;
        }
    }
    for (key, range, time) in [
        ("tcp_idle", IDLE, &mut limits.tcp_idle),
        ("udp_idle", IDLE, &mut limits.udp_idle),
        ("adoption", ADOPTION, &mut limits.adoption),
    ] {
        if let Some(set) = keys.take(key).and_then(|value| time_of(key, value, &range, report)) {
            *time = set;
        }
    }
    keys.finish(report);
    limits
}

fn size(key: &str, value: Value<'_>, report: &mut Report) -> Option<u32> {
    let help = format!("write a number from {} to {}", ENTRIES.start(), ENTRIES.end());
    let Some(number) = value::integer(value) else {
        let message = format!("`{key}` must be a number, not {}", value::type_name(value.get_ref()));
        report.error(value.span(), message, help);
        return None;
    };
    let size = u32::try_from(number).ok().filter(|size| ENTRIES.contains(size));
    if size.is_none() {
        report.error(value.span(), format!("`{key}` is out of range"), help);
    }
    size
}

fn time_of(
    key: &str,
    value: Value<'_>,
    range: &RangeInclusive<Duration>,
    report: &mut Report,
) -> Option<Duration> {
    let help = "write a time with its unit in quotes, like \"60s\", \"3m\", \"24h\" or \"1h30m\"";
    let text = value::text(key, value, help, report)?;
    let Some(time) = duration::parse(text) else {
        report.error(value.span(), format!("`{text}` is not a time"), help);
        return None;
    };
    if range.contains(&time) {
        return Some(time);
    }
    let limits = format!("from {} to {} seconds", range.start().as_secs(), range.end().as_secs());
    report.error(value.span(), format!("`{key}` is out of range"), format!("write a time {limits}"));
    None
}

fn ethertypes(value: Value<'_>, report: &mut Report) -> Option<EtherTypes> {
    if matches!(value.get_ref(), DeValue::String(text) if text == "any") {
        return Some(EtherTypes::Any);
    }
    let help = "write \"any\", or a list like [\"lldp\", \"0x8892\"]";
    let items = value::list("ethertypes", value, help, report)?;
    let mut listed: Vec<_> = items.into_iter().filter_map(|item| ethertype(item, report)).collect();
    listed.sort_unstable();
    listed.dedup();
    Some(EtherTypes::Listed(listed))
}

fn ethertype(value: Value<'_>, report: &mut Report) -> Option<u16> {
    let names = ethertype::NAMES.map(|(name, _)| name);
    let (shown, read) = match value::integer(value) {
        Some(number) => (format!("{number:#06x}"), ethertype::number(number)),
        None => {
            let text = value::text("ethertypes", value, "write a name or a number like \"0x8892\"", report)?;
            (text.to_owned(), ethertype::parse(text))
        }
    };
    let (message, help) = match read {
        Ok(number) => return Some(number),
        Err(Refused::Unknown) => (
            format!("unknown ethertype `{shown}`"),
            suggest(&shown, &names, "names, beside numbers like \"0x8892\""),
        ),
        Err(Refused::Range) => {
            (format!("{shown} is not an ethertype"), "numbers go from 0x0600 to 0xffff".into())
        }
        Err(Refused::Judged) => (
            format!("ethertype {shown} is not for this list"),
            "IP, ARP and VLAN tags are judged by their own rules: leave it out".into(),
        ),
    };
    report.error(value.span(), message, help);
    None
}

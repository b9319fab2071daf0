//! `portreeve drops`: what was dropped or would have been, where, why, and from whom.

use std::{net::IpAddr, process::ExitCode};

use clap::Args;
use jiff::Timestamp;
use portreeve_common::{counter::Talker, switch::Mode};
use serde::Serialize;

use super::{CliError, CliResult, Global, output, running, status::seconds};
use crate::{
    control::{View, protocol_name},
    datapath::clock::Now,
};

/// Lines of each table unless asked for more.
const TOP: usize = 20;

/// Arguments of `drops`.
#[derive(Debug, Args)]
pub struct DropsArgs {
    /// Only so many of each list, the largest first; 0 for all [default: 20 in tables, all in JSON]
    #[arg(long, value_name = "N")]
    pub top: Option<usize>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What `drops --json` prints.
#[derive(Debug, Serialize)]
pub struct DropsJson {
    /// When counting began.
    pub since: Timestamp,
    /// All ports of TCP and UDP with drops: exact.
    pub ports: Vec<PortJson>,
    /// By interface and cause: exact.
    pub reasons: Vec<ReasonJson>,
    /// Who, as far as the table of who holds them.
    pub talkers: Vec<TalkerJson>,
    /// How many of each list `--top` left out; absent when it left out none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<LeftOut>,
}

/// How many of each list were left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Of the ports.
    pub ports: usize,
    /// Of the reasons.
    pub reasons: usize,
    /// Of the talkers.
    pub talkers: usize,
}

/// A port.
#[derive(Debug, Serialize)]
pub struct PortJson {
    /// Which way.
    pub direction: &'static str,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// Destination port.
    pub port: u16,
    /// Packets, while enforcing.
    pub dropped: u64,
    /// Packets, while observing.
    pub would_drop: u64,
}

/// A cause.
#[derive(Debug, Serialize)]
pub struct ReasonJson {
    /// Where.
    pub interface: String,
    /// Which way.
    pub direction: &'static str,
    /// Its word.
    pub reason: &'static str,
    /// Dropped.
    pub packets: u64,
    /// Dropped.
    pub bytes: u64,
    /// Would have been dropped.
    pub would_drop_packets: u64,
    /// Would have been dropped.
    pub would_drop_bytes: u64,
}

/// A peer on a port.
#[derive(Debug, Serialize)]
pub struct TalkerJson {
    /// Which way.
    pub direction: &'static str,
    /// A name or a number.
    pub protocol: String,
    /// Destination port, or type.
    pub port: u16,
    /// The other end.
    pub peer: IpAddr,
    /// Why.
    pub reason: &'static str,
    /// Since it came into the table.
    pub packets: u64,
    /// Whether it passed all the same, because this is only observed.
    pub would_drop: bool,
    /// The first of them.
    pub first: Timestamp,
    /// The last of them.
    pub last: Timestamp,
    /// On egress, the cgroup that sent the last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<u64>,
    /// On egress, the user that sent the last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
}

/// Prints the drops.
///
/// # Errors
/// The instance is not there.
pub fn run(global: &Global, args: &DropsArgs) -> CliResult {
    let view = running::open(global)?;
    let mut drops = gather(&view)?;
    drops.cut(args.top.unwrap_or(if args.json { 0 } else { TOP }));
    if args.json {
        output::print_json(&drops)?;
    } else {
        output::print(&text(&drops))?;
    }
    Ok(ExitCode::SUCCESS)
}

impl DropsJson {
    /// Keeps so many of each list, the largest; all for 0.
    pub(super) fn cut(&mut self, top: usize) {
        let top = if top == 0 { usize::MAX } else { top };
        self.ports.sort_by_key(|port| std::cmp::Reverse(port.dropped + port.would_drop));
        self.reasons.sort_by_key(|reason| std::cmp::Reverse(reason.packets + reason.would_drop_packets));
        let left_out = LeftOut {
            ports: self.ports.len().saturating_sub(top),
            reasons: self.reasons.len().saturating_sub(top),
            talkers: self.talkers.len().saturating_sub(top),
        };
        self.ports.truncate(top);
        self.reasons.truncate(top);
        self.talkers.truncate(top);
        let LeftOut { ports, reasons, talkers } = left_out;
        self.left_out = (ports + reasons + talkers > 0).then_some(left_out);
    }
}

/// Everything that was dropped; talkers with the most packets first.
pub(super) fn gather(view: &View) -> Result<DropsJson, CliError> {
    let failed = crate::control::ControlError::from;
    let ports = view.ports().map_err(failed)?.into_iter();
    let ports = ports.map(|((direction, protocol, port), drops)| PortJson {
        direction: direction.name(),
        protocol: protocol_name(protocol),
        port,
        dropped: drops.dropped,
        would_drop: drops.would_drop,
    });
    let reasons = view.reasons().map_err(failed)?.into_iter();
    let reasons = reasons.map(|count| ReasonJson {
        interface: count.interface,
        direction: count.direction.name(),
        reason: count.reason.name(),
        packets: count.dropped.packets,
        bytes: count.dropped.bytes,
        would_drop_packets: count.would_drop.packets,
        would_drop_bytes: count.would_drop.bytes,
    });
    let talkers = view.talkers().map_err(failed)?;
    Ok(DropsJson {
        since: view.state.since,
        ports: ports.collect(),
        reasons: reasons.collect(),
        talkers: talkers.iter().map(|talker| talker_json(talker, &view.now)).collect(),
        left_out: None,
    })
}

/// One peer's line.
#[must_use]
pub fn talker_json(talker: &Talker, now: &Now) -> TalkerJson {
    let Talker { key, packets, first, last, cgroup, uid, reserved: _ } = talker;
    let sent = *cgroup != 0;
    TalkerJson {
        direction: key.direction().name(),
        protocol: protocol_name(key.protocol()),
        port: key.port(),
        peer: key.peer().into(),
        reason: key.reason().map_or("unknown", |reason| reason.name()),
        packets: *packets,
        would_drop: key.mode() == Mode::Observe,
        first: now.time_of(*first),
        last: now.time_of(*last),
        cgroup: sent.then_some(*cgroup),
        uid: sent.then_some(*uid),
    }
}

pub(super) fn text(drops: &DropsJson) -> String {
    let DropsJson { since, ports, reasons, talkers, left_out } = drops;
    let more = |of: fn(&LeftOut) -> usize| match left_out.as_ref().map_or(0, of) {
        0 => String::new(),
        more => format!("and {more} more: --top 0 shows all\n"),
    };
    let mut text = format!("since {}\n", seconds(*since));
    if ports.is_empty() && reasons.is_empty() {
        return text + "no drops\n";
    }
    let mut table = output::table(&["interface", "direction", "reason", "dropped", "would drop"]);
    for row in reasons {
        let (dropped, would) = (row.packets.to_string(), row.would_drop_packets.to_string());
        table.add_row([&row.interface, row.direction, row.reason, &dropped, &would]);
    }
    text = format!("{text}\n{}{}", output::text(&mut table), more(|left| left.reasons));
    let mut table = output::table(&["direction", "port", "dropped", "would drop"]);
    for row in ports {
        let port = format!("{} {}", row.protocol, row.port);
        table.add_row([row.direction, &port, &row.dropped.to_string(), &row.would_drop.to_string()]);
    }
    text = format!("{text}\n{}{}", output::text(&mut table), more(|left| left.ports));
    let mut table = output::table(&["direction", "port", "peer", "reason", "verdict", "packets", "last"]);
    for row in talkers {
        let port = format!("{} {}", row.protocol, row.port);
        let verdict = if row.would_drop { "would drop" } else { "dropped" };
        let (peer, packets, last) =
            (row.peer.to_string(), row.packets.to_string(), seconds(row.last).to_string());
        table.add_row([row.direction, &port, &peer, row.reason, verdict, &packets, &last]);
    }
    output::keep_words(&mut table, 2);
    format!("{text}\n{}{}", output::text(&mut table), more(|left| left.talkers))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(port: u16) -> PortJson {
        PortJson { direction: "ingress", protocol: "tcp".into(), port, dropped: port.into(), would_drop: 0 }
    }

    #[test]
    fn what_is_left_out_is_said() {
        let drops = |top| {
            let ports = (1..=30).map(port).collect();
            let (since, reasons, talkers) = (Timestamp::UNIX_EPOCH, Vec::new(), Vec::new());
            let mut drops = DropsJson { since, ports, reasons, talkers, left_out: None };
            drops.cut(top);
            drops
        };
        let shown = drops(TOP);
        assert_eq!(shown.ports.first().unwrap().port, 30);
        assert_eq!(shown.left_out, Some(LeftOut { ports: 10, reasons: 0, talkers: 0 }));
        let text = text(&shown);
        assert_eq!(text.matches("and 10 more: --top 0 shows all").count(), 1, "{text}");
        assert_eq!((drops(0).ports.len(), drops(0).left_out), (30, None));
        assert_eq!(drops(30).left_out, None);
    }
}

//! `portreeve top`: flows and drops as they happen.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal},
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::{
    CliError, CliResult, Global,
    drops::{self, DropsJson},
    flows::{self, FlowJson},
    output, running,
    status::seconds,
};

/// Lines of each list unless asked for more: both fit a terminal.
const TOP: usize = 10;
/// Moves the cursor to the first place, and clears what is behind it (ECMA-48).
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// Arguments of `top`.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// Look once and end; so does a standard output that is no terminal, without --json
    #[arg(long)]
    pub once: bool,
    /// Print an object a look, each on a line
    #[arg(long)]
    pub json: bool,
    /// Only so many of each list; 0 for all
    #[arg(long, value_name = "N", default_value_t = TOP)]
    pub top: usize,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub interval: u64,
}

/// What `top --json` prints a look.
#[derive(Debug, Serialize)]
struct TopJson {
    /// When it was looked.
    at: Timestamp,
    /// The busiest flows first.
    flows: Vec<Row>,
    /// As `drops --json` prints them.
    drops: DropsJson,
}

/// A flow, and what it does now.
#[derive(Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    flow: FlowJson,
    /// Since the last look; absent at the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    packets_per_second: Option<f64>,
    /// Since the last look; absent at the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_per_second: Option<f64>,
}

/// When it was looked, and the packets and bytes of each flow then.
type Look = (Instant, BTreeMap<String, (u64, u64)>);

/// Shows flows and drops again and again, until it is interrupted or nobody reads on.
///
/// # Errors
/// The instance is not there, or ends meanwhile.
pub fn run(global: &Global, args: &TopArgs) -> CliResult {
    let screen = io::stdout().is_terminal();
    let once = args.once || !(screen || args.json);
    let mut last = None;
    loop {
        let top = look(global, args.top, &mut last)?;
        let shown = if args.json {
            serde_json::to_string(&top).map_err(output::OutputError::from)? + "\n"
        } else {
            let clear = if screen && !once { CLEAR } else { "" };
            format!("{clear}{}", text(&top))
        };
        if !output::print_while_read(&shown)? || once {
            return Ok(ExitCode::SUCCESS);
        }
        thread::sleep(Duration::from_secs(args.interval));
    }
}

fn look(global: &Global, most: usize, last: &mut Option<Look>) -> Result<TopJson, CliError> {
    let view = running::open(global)?;
    let (now, flows) = (Instant::now(), flows::gather(&view)?.flows);
    let counts = flows.iter().map(|flow| (flow.flow.clone(), (flow.packets, flow.bytes))).collect();
    let before = last.replace((now, counts));
    let mut rows: Vec<Row> = flows.into_iter().map(|flow| row(flow, before.as_ref(), now)).collect();
    let speed = |row: &Row| row.packets_per_second.unwrap_or_default();
    rows.sort_by(|a, b| speed(b).total_cmp(&speed(a)).then(b.flow.packets.cmp(&a.flow.packets)));
    if most > 0 {
        rows.truncate(most);
    }
    let mut drops = drops::gather(&view)?;
    drops.cut(most);
    Ok(TopJson { at: Timestamp::now(), flows: rows, drops })
}

/// A counter that has begun anew says nothing of its speed.
fn row(flow: FlowJson, before: Option<&Look>, now: Instant) -> Row {
    let rates = before.and_then(|(then, counts)| {
        let (packets, bytes) = counts.get(&flow.flow)?;
        let passed = now.duration_since(*then);
        let rate = |more: u64| Duration::from_secs(more).div_duration_f64(passed);
        Some((rate(flow.packets.checked_sub(*packets)?), rate(flow.bytes.checked_sub(*bytes)?)))
    });
    let (packets_per_second, bytes_per_second) = rates.unzip();
    Row { flow, packets_per_second, bytes_per_second }
}

fn text(top: &TopJson) -> String {
    let TopJson { at, flows, drops } = top;
    let mut table =
        output::table(&["flow", "direction", "service", "packets/s", "bytes/s", "packets", "bytes"]);
    let shown = |rate: Option<f64>| rate.map_or_else(|| "-".into(), |rate| format!("{rate:.0}"));
    for Row { flow, packets_per_second, bytes_per_second } in flows {
        table.add_row([
            &flow.flow,
            flow.direction,
            &flow.service,
            &shown(*packets_per_second),
            &shown(*bytes_per_second),
            &flow.packets.to_string(),
            &flow.bytes.to_string(),
        ]);
    }
    output::keep_words(&mut table, 0);
    format!("{}\n\n{}\ndrops {}", seconds(*at), output::text(&mut table), drops::text(drops))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::rule::Need;

    fn flow(packets: u64) -> FlowJson {
        FlowJson {
            flow: "SITE-1".into(),
            aliases: Vec::new(),
            role: "site".into(),
            direction: "ingress",
            service: "tcp 443".into(),
            need: Need::Optional,
            packets,
            bytes: packets * 100,
            dropped_packets: 0,
            last_seen: None,
        }
    }

    #[test]
    fn a_speed_is_what_came_in_between() {
        let then = Instant::now();
        let before = (then, BTreeMap::from([("SITE-1".to_owned(), (10, 1_000))]));
        let now = then + Duration::from_secs(2);
        let seen = row(flow(50), Some(&before), now);
        assert_eq!((seen.packets_per_second, seen.bytes_per_second), (Some(20.0), Some(2_000.0)));
        assert_eq!(row(flow(5), Some(&before), now).packets_per_second, None);
        assert_eq!(row(flow(50), None, now).bytes_per_second, None);
    }
}

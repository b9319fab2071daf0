//! `portreeve status`: what stands now, proven.

mod names;

use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use portreeve_common::Direction;
use serde::Serialize;

pub use self::names::{AddressJson, NameJson, NamesJson};
use super::{CliResult, Global, SEEN, output, running};
use crate::{
    control::View,
    datapath::{attach::Cover, reading::Happenings, verify::Standing},
    image::Deferred,
};

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Show the policy's domain names, and the addresses that were learned for them
    #[arg(long)]
    pub names: bool,
}

/// What `status --json` prints.
#[derive(Debug, Serialize)]
pub struct StatusJson {
    /// The instance.
    pub instance: String,
    /// The host's name, if its file gives one.
    pub host: Option<String>,
    /// Whether a daemon runs; the kernel goes on without it.
    pub daemon: bool,
    /// The generation in force.
    pub generation: u16,
    /// What identifies the policy.
    pub digest: String,
    /// Rules in force.
    pub rules: usize,
    /// Flows that stay closed until the addresses of their names are known.
    pub deferred: Vec<Deferred>,
    /// When counting began.
    pub since: Timestamp,
    /// The state of each interface and direction.
    pub interfaces: Vec<InterfaceJson>,
    /// Live flows.
    pub established: TableJson,
    /// Flows that wait for their answer.
    pub embryonic: TableJson,
    /// What happened to the tables.
    pub happenings: Happenings,
    /// Packets dropped so far, over all interfaces.
    pub dropped: u64,
    /// Packets that would have been dropped.
    pub would_drop: u64,
    /// Until when the change in force may be confirmed; absent when none waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm_until: Option<Timestamp>,
    /// When the adoption window closes; absent when it is shut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adopting_until: Option<Timestamp>,
    /// Domain names, where they are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<NamesJson>,
}

/// One direction of an interface.
#[derive(Debug, Serialize)]
pub struct InterfaceJson {
    /// Its name.
    pub interface: String,
    /// Which way.
    pub direction: &'static str,
    /// One word, and for some its cause.
    pub state: Standing,
    /// Roles that are only observed though the direction is enforced.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub observed: Vec<String>,
    /// When the mode last changed, if it ever did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<Timestamp>,
    /// Why ingress is not native though that was wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// What the program is attached by: `xdp`, `tcx`, or `clsact` where the kernel has no TCX.
    pub hook: &'static str,
}

/// How full a table is.
#[derive(Debug, Serialize)]
pub struct TableJson {
    /// Live entries.
    pub entries: u64,
    /// Room.
    pub capacity: u64,
}

/// Prints what stands; exit code 0 if all of it is as it should be, else 1.
///
/// # Errors
/// The instance is not there, or the kernel does not say.
pub fn run(global: &Global, args: &StatusArgs) -> CliResult {
    let view = running::open(global)?;
    let mut status = gather(&view)?;
    status.names = args.names.then(|| names::gather(&view)).transpose()?;
    if args.json {
        output::print_json(&status)?;
    } else {
        output::print(&text(&status))?;
    }
    let good = status.interfaces.iter().all(|row| row.state.is_good());
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(SEEN) })
}

fn gather(view: &View) -> Result<StatusJson, crate::control::ControlError> {
    let row = |(interface, direction, state): (String, Direction, Standing)| {
        let cover = view.state.interfaces.get(&interface).cloned().unwrap_or_default();
        let Cover { native, fallback, index: _, hook: _, programs: _, clsact, qdisc: _ } = cover;
        let fallback = fallback.filter(|_| direction == Direction::Ingress);
        let hook = match (direction, native, clsact) {
            (Direction::Ingress, true, _) => "xdp",
            (_, _, true) => "clsact",
            (_, _, false) => "tcx",
        };
        let changed = view.state.changed.get(direction.name()).copied();
        let observed = view.observed(direction).into_iter().map(str::to_owned).collect();
        InterfaceJson { interface, direction: direction.name(), state, observed, changed, fallback, hook }
    };
    let (entries, capacity) = view.established()?;
    let (waiting, room) = view.embryonic()?;
    let reasons = view.reasons()?;
    Ok(StatusJson {
        instance: view.instance.name.clone(),
        host: view.policy.host.name.clone(),
        daemon: view.instance.has_daemon()?,
        generation: view.posture.generation(),
        digest: view.digest(),
        rules: view.policy.rules.len(),
        deferred: view.image.deferred.clone(),
        since: view.state.since,
        interfaces: view.standings()?.into_iter().map(row).collect(),
        established: TableJson { entries, capacity },
        embryonic: TableJson { entries: waiting, capacity: room },
        happenings: view.counters.happenings()?,
        dropped: reasons.iter().map(|count| count.dropped.packets).sum(),
        would_drop: reasons.iter().map(|count| count.would_drop.packets).sum(),
        confirm_until: view.pending(),
        adopting_until: view.adopting_until()?,
        names: None,
    })
}

fn text(status: &StatusJson) -> String {
    let daemon = if status.daemon { "running" } else { "not running (the kernel goes on without it)" };
    let host = status.host.as_deref().unwrap_or("-");
    let mut text = format!(
        "instance    {}\nhost        {host}\ndaemon      {daemon}\npolicy      generation {}, {} rules, digest {}\n\
         counting    since {}\nflows       {} of {} live, {} of {} wait for an answer\ndropped     {} packets\nwould drop  {} packets\n",
        status.instance,
        status.generation,
        status.rules,
        status.digest,
        seconds(status.since),
        status.established.entries,
        status.established.capacity,
        status.embryonic.entries,
        status.embryonic.capacity,
        status.dropped,
        status.would_drop,
    );
    if let Some(until) = status.confirm_until {
        text.push_str(&format!(
            "unconfirmed goes back by itself at {}: `portreeve confirm`\n",
            seconds(until)
        ));
    }
    if let Some(until) = status.adopting_until {
        text.push_str(&format!("adopting    connections that live already, until {}\n", seconds(until)));
    }
    if status.happenings.established_full > 0 {
        let times = status.happenings.established_full;
        text.push_str(&format!("alarm       the table of live flows was full {times} times\n"));
    }
    for flow in &status.deferred {
        text.push_str(&format!("deferred    {flow}\n"));
    }
    text.push('\n');
    let mut table = output::table(&["interface", "direction", "state", "since"]);
    for row in &status.interfaces {
        let changed = row.changed.map(seconds).map_or_else(|| "-".into(), |time| time.to_string());
        let filter =
            if row.hook == "clsact" { " (by a filter of clsact: the kernel has no TCX)" } else { "" };
        let why = row.fallback.as_ref().map(|why| format!(" (not native: {why})")).unwrap_or_default();
        let state = format!("{}{filter}{why}{}", row.state, but(&row.observed));
        table.add_row([row.interface.as_str(), row.direction, &state, &changed]);
    }
    text.push_str(&output::text(&mut table));
    if let Some(names) = &status.names {
        text.push('\n');
        text.push_str(&names::text(names));
    }
    text
}

/// What a direction that is enforced lets pass.
pub(super) fn but<R: AsRef<str>>(observed: &[R]) -> String {
    let roles: Vec<&str> = observed.iter().map(AsRef::as_ref).collect();
    if roles.is_empty() { String::new() } else { format!(", but {} only observed", roles.join(", ")) }
}

/// Nobody reads a table's nanoseconds.
pub(super) fn seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

//! `portreeve flows`: every documented flow, with what was counted for it.

use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use portreeve_common::counter::FlowCounter;
use serde::Serialize;

use super::{CliResult, Global, output, running, status::seconds};
use crate::{
    control::{ControlError, View},
    image::FlowMeta,
    policy::rule::{Need, Rule},
};

/// Arguments of `flows`.
#[derive(Debug, Args)]
pub struct FlowsArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What `flows --json` prints.
#[derive(Debug, Serialize)]
pub struct FlowsJson {
    /// When counting began.
    pub since: Timestamp,
    /// In the order of the policy.
    pub flows: Vec<FlowJson>,
}

/// One flow.
#[derive(Debug, Serialize)]
pub struct FlowJson {
    /// Its stable id.
    pub flow: String,
    /// Ids of further rows that state the same packets.
    pub aliases: Vec<String>,
    /// The role that brought it.
    pub role: String,
    /// Who sends its first packet.
    pub direction: &'static str,
    /// Protocol and ports.
    pub service: String,
    /// How much it is needed.
    pub need: Need,
    /// Passed.
    pub packets: u64,
    /// Passed.
    pub bytes: u64,
    /// For its port, but from another peer; dropped, or would have been.
    pub dropped_packets: u64,
    /// The last packet that passed; absent if none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
}

/// Prints the flows.
///
/// # Errors
/// The instance is not there.
pub fn run(global: &Global, args: &FlowsArgs) -> CliResult {
    let json = gather(&running::open(global)?)?;
    if args.json {
        output::print_json(&json)?;
    } else {
        output::print(&text(&json))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What was counted for every flow.
pub(super) fn gather(view: &View) -> Result<FlowsJson, ControlError> {
    let flows = view.flows()?.into_iter().map(|(meta, counter)| row(view, meta, &counter)).collect();
    Ok(FlowsJson { since: view.state.since, flows })
}

fn row(view: &View, meta: &FlowMeta, counter: &FlowCounter) -> FlowJson {
    let rule = view.policy.rules.iter().find(|rule| rule.flow == meta.flow);
    FlowJson {
        flow: meta.flow.clone(),
        aliases: meta.aliases.clone(),
        role: meta.role.clone(),
        direction: meta.direction.name(),
        service: rule.map_or_else(|| meta.origin.purpose.clone(), |rule: &Rule| rule.service.to_string()),
        need: meta.need,
        packets: counter.passed.packets,
        bytes: counter.passed.bytes,
        dropped_packets: counter.dropped.packets,
        last_seen: (counter.passed.packets > 0).then(|| view.now.time_of(counter.seen)),
    }
}

fn text(json: &FlowsJson) -> String {
    let mut table = output::table(&["flow", "direction", "service", "packets", "bytes", "last seen"]);
    for flow in &json.flows {
        let seen = flow.last_seen.map_or_else(|| "never".into(), |time| seconds(time).to_string());
        let (packets, bytes) = (flow.packets.to_string(), flow.bytes.to_string());
        table.add_row([&flow.flow, flow.direction, &flow.service, &packets, &bytes, &seen]);
    }
    output::keep_words(&mut table, 0);
    output::keep_words(&mut table, 5);
    format!("since {}\n\n{}", seconds(json.since), output::text(&mut table))
}

//! `portreeve plan`: what `apply` would change, and whom it would cut.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{CliResult, Global, output};
use crate::control::{
    self,
    connections::Owner,
    plan::{Cut, Plan, RuleChange},
};

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The host file
    #[arg(value_name = "HOST.toml")]
    pub host: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Prints the plan.
///
/// # Errors
/// The host file is broken, or the kernel does not say what is there.
pub fn run(global: &Global, args: &PlanArgs) -> CliResult {
    let plan = control::plan(&global.instance(), &global.trusted_catalogue()?, &args.host)?;
    if args.json {
        output::print_json(&plan)?;
    } else {
        output::print(&text(&plan))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn text(plan: &Plan) -> String {
    let Plan { generation, added, removed, changed, unchanged, modes, stages, covered, left, cuts } = plan;
    let now = generation.map_or_else(|| "nothing is".into(), |number| format!("generation {number} is"));
    let mut text = format!(
        "{now} in force; {} flows added, {} removed, {} changed, {unchanged} as they are\n",
        added.len(),
        removed.len(),
        changed.len()
    );
    for (direction, mode) in modes {
        text.push_str(&format!("{direction} will {mode}\n"));
    }
    for (role, mode) in stages {
        let then = if mode == "observe" { "only be observed" } else { "be enforced where its direction is" };
        text.push_str(&format!("{role} will {then}\n"));
    }
    for (interfaces, words) in [(covered, "will be covered"), (left, "will be left")] {
        if !interfaces.is_empty() {
            text.push_str(&format!("{} {words}\n", interfaces.join(", ")));
        }
    }
    if !(added.is_empty() && removed.is_empty() && changed.is_empty()) {
        let mut table = output::table(&["", "flow", "role", "now", "then"]);
        for (mark, changes) in [("+", added), ("-", removed), ("~", changed)] {
            for RuleChange { flow, role, before, after } in changes {
                table.add_row([mark, flow, role, &before.join("\n"), &after.join("\n")]);
            }
        }
        text.push('\n');
        text.push_str(&output::text(&mut table));
    }
    text.push('\n');
    if cuts.is_empty() {
        text.push_str("no live connection would be cut\n");
        return text;
    }
    text.push_str(&format!("{} live connections would be cut:\n\n", cuts.len()));
    let mut table = output::table(&["direction", "protocol", "local", "remote", "process"]);
    for Cut { protocol, local, remote, direction, process, own } in cuts {
        let process =
            process.as_ref().map_or_else(|| "-".into(), |Owner { pid, name }| format!("{name} ({pid})"));
        let process = if *own { format!("{process}: this session") } else { process };
        table.add_row([direction, protocol.as_str(), local, remote, &process]);
    }
    text + &output::text(&mut table)
}

//! The `portreeve` command.

use std::process::ExitCode;

use clap::Parser;
use portreeve::cli::{
    Cli, Command, FAILED, apply, check, confirm, drift, drops, explain, flows, modes, packs, plan, replay,
    rules, run, status,
};

fn main() -> ExitCode {
    let Cli { global, command } = Cli::parse();
    let result = match command {
        Command::Packs(args) => packs::run(&global, &args),
        Command::Check(args) => check::run(&global, &args),
        Command::Rules(args) => rules::run(&global, &args),
        Command::Explain(args) => explain::run(&global, &args),
        Command::Replay(args) => replay::run(&global, &args),
        Command::Run(args) => run::run(&global, &args),
        Command::Status(args) => status::run(&global, &args),
        Command::Flows(args) => flows::run(&global, &args),
        Command::Drops(args) => drops::run(&global, &args),
        Command::Drift(args) => drift::run(&global, &args),
        Command::Plan(args) => plan::run(&global, &args),
        Command::Apply(args) => apply::run(&global, &args),
        Command::Confirm(args) => confirm::confirm(&global, &args),
        Command::Rollback(args) => confirm::rollback(&global, &args),
        Command::Observe(args) => modes::observe(&global, &args),
        Command::Enforce(args) => modes::enforce(&global, &args),
        Command::Detach(args) => modes::detach(&global, &args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("portreeve: {:#}", anyhow::Error::new(error));
        ExitCode::from(FAILED)
    })
}

//! The `portreeve` command.

use std::process::ExitCode;

use clap::Parser;
use portreeve::cli::{
    Cli, Command, FAILED, check, drift, drops, explain, flows, modes, packs, replay, rules, run, status,
};
use portreeve_common::switch::Mode;

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
        Command::Observe(args) => modes::run(&global, &args, Mode::Observe),
        Command::Enforce(args) => modes::run(&global, &args, Mode::Enforce),
        Command::Detach(args) => modes::detach(&global, &args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("portreeve: {:#}", anyhow::Error::new(error));
        ExitCode::from(FAILED)
    })
}

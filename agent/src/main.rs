//! The `portreeve` command.

use std::process::ExitCode;

use clap::Parser;
use portreeve::cli::{Cli, Command, FAILED, check, explain, packs, replay, rules};

fn main() -> ExitCode {
    let Cli { global, command } = Cli::parse();
    let result = match command {
        Command::Packs(args) => packs::run(&global, &args),
        Command::Check(args) => check::run(&global, &args),
        Command::Rules(args) => rules::run(&global, &args),
        Command::Explain(args) => explain::run(&global, &args),
        Command::Replay(args) => replay::run(&global, &args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("portreeve: {:#}", anyhow::Error::new(error));
        ExitCode::from(FAILED)
    })
}

//! The `portreeve` command.

use std::process::ExitCode;

use clap::Parser;
use portreeve::cli::{
    self, Cli, Command, apply, check, completions, confirm, drift, drops, explain, flows, man, modes, output,
    packs, plan, preflight, replay, rules, run, status, top,
};

fn main() -> ExitCode {
    let Cli { global, command } = match Cli::try_parse() {
        Ok(cli) => cli,
        // What is wrong with the words themselves is not known to be one command's: only whether programs read it.
        Err(error) if error.use_stderr() && std::env::args_os().any(|word| word == "--json") => {
            output::show_failure(error.render().to_string().trim_end(), None, true);
            return ExitCode::from(cli::FAILED);
        }
        Err(error) => error.exit(),
    };
    let json = command.is_json();
    let result = match command {
        Command::Packs(args) => packs::run(&global, &args),
        Command::Check(args) => check::run(&global, &args),
        Command::Rules(args) => rules::run(&global, &args),
        Command::Explain(args) => explain::run(&global, &args),
        Command::Replay(args) => replay::run(&global, &args),
        Command::Preflight(args) => preflight::run(&global, &args),
        Command::Run(args) => run::run(&global, &args),
        Command::Status(args) => status::run(&global, &args),
        Command::Flows(args) => flows::run(&global, &args),
        Command::Drops(args) => drops::run(&global, &args),
        Command::Drift(args) => drift::run(&global, &args),
        Command::Top(args) => top::run(&global, &args),
        Command::Plan(args) => plan::run(&global, &args),
        Command::Apply(args) => apply::run(&global, &args),
        Command::Confirm(args) => confirm::confirm(&global, &args),
        Command::Rollback(args) => confirm::rollback(&global, &args),
        Command::Observe(args) => modes::observe(&global, &args),
        Command::Enforce(args) => modes::enforce(&global, &args),
        Command::Detach(args) => modes::detach(&global, &args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    };
    result.unwrap_or_else(|error| {
        let report = error.report().cloned();
        let code = error.code();
        output::show_failure(&format!("{:#}", anyhow::Error::new(error)), report.as_ref(), json);
        ExitCode::from(code)
    })
}

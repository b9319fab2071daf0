//! The project's tasks: `cargo xtask setup | build | lint | test | fuzz | vm | demo | bench | dist`.

mod bench;
mod build;
mod cargo;
mod demo;
mod dist;
mod fuzz;
mod lint;
mod setup;
mod step;
mod test;
mod vm;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// The project's tasks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Find how this machine can build eBPF, and install what is missing.
    Setup(setup::Args),
    /// Build the agent and its kernel programs, optimised.
    Build,
    /// Check format, lints and documentation, of the kernel programs too.
    Lint,
    /// Run all tests, then, as root, the privileged suites.
    Test(test::Args),
    /// Feed the parsers and the decision core what nobody thought of.
    Fuzz(fuzz::Args),
    /// Run the kernel programs on other kernels, in virtual machines.
    Vm(vm::Args),
    /// Protect an edge device in a plant network of namespaces, and show what passes and what doesn't.
    Demo(demo::Args),
    /// Measure packets, connections, floods and changes side by side with peers.
    Bench(bench::Args),
    /// Make a Debian package, and try it in a Debian root.
    Dist(dist::Args),
}

fn main() -> ExitCode {
    run(Cli::parse().task).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(task: Task) -> Result<ExitCode> {
    match task {
        Task::Setup(args) => setup::main(&args)?,
        Task::Build => build::main()?,
        Task::Lint => lint::main()?,
        Task::Test(args) => return test::main(&args),
        Task::Fuzz(args) => fuzz::main(&args)?,
        Task::Vm(args) => vm::main(&args)?,
        Task::Demo(args) => demo::main(&args)?,
        Task::Bench(args) => bench::main(&args)?,
        Task::Dist(args) => dist::main(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}

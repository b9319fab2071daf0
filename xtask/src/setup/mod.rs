//! `cargo xtask setup`: how this machine can build eBPF, and what it lacks to build, test, demonstrate and measure.
//!
//! Look ([`machine`]), decide ([`plan`], without side effects), install ([`install`]).

mod install;
mod linker;
mod machine;
mod message;
mod need;
mod plan;

use std::time::Instant;

use anyhow::Result;

pub(crate) use self::need::Purpose;
use self::{machine::Machine, plan::Plan};
use crate::step;

/// What setup takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only tell what would be done.
    #[arg(long)]
    dry_run: bool,
}

/// Everything for every task.
///
/// # Errors
/// This machine can't be made to build eBPF, or an installation fails.
pub(crate) fn main(args: &Args) -> Result<()> {
    let begin = Instant::now();
    let machine = Machine::survey(&Purpose::ALL);
    if args.dry_run {
        // By the lists as they are: getting new ones is doing something.
        print!("{}", plan::decide(&machine.with_offers())?);
        return Ok(());
    }
    let plan = decide(machine)?;
    if plan.steps.is_empty() {
        println!("setup: nothing to do ({}, {})", plan.way, step::seconds(begin.elapsed()));
        return Ok(());
    }
    print!("{plan}");
    install::perform(&plan)?;
    verify(&Purpose::ALL)?;
    println!("setup: complete ({})", step::seconds(begin.elapsed()));
    Ok(())
}

/// What the other tasks call: silent if nothing is missing for these purposes.
///
/// # Errors
/// As [`main`].
pub(crate) fn ensure(purposes: &[Purpose]) -> Result<()> {
    let plan = decide(Machine::survey(purposes))?;
    if !plan.steps.is_empty() {
        print!("{plan}");
        install::perform(&plan)?;
        verify(purposes)?;
    }
    Ok(())
}

/// Decides with fresh package lists, if something has to come out of them.
fn decide(machine: Machine) -> Result<Plan> {
    let machine = if machine.needs_lists() { install::refresh(machine) } else { machine };
    Ok(plan::decide(&machine)?)
}

/// Looks again: what an installer says it did is not what counts.
fn verify(purposes: &[Purpose]) -> Result<()> {
    let plan = plan::decide(&Machine::survey(purposes))?;
    anyhow::ensure!(plan.steps.is_empty(), "still missing after the installation:\n{plan}");
    Ok(())
}

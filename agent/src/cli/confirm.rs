//! `portreeve confirm` and `rollback`: staying, and going back.

use std::process::ExitCode;

use clap::Args;

use super::{CliResult, Global, output};
use crate::control;

/// Arguments of `confirm`.
#[derive(Debug, Args)]
pub struct ConfirmArgs {}

/// Arguments of `rollback`.
#[derive(Debug, Args)]
pub struct RollbackArgs {}

/// Keeps the change that waits.
///
/// # Errors
/// None waits.
pub fn confirm(global: &Global, _args: &ConfirmArgs) -> CliResult {
    let generation = control::confirm(&global.instance(), &global.trusted_catalogue()?)?;
    output::print(&format!("generation {generation} stays in force\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// Goes back to the policy before.
///
/// # Errors
/// There is none.
pub fn rollback(global: &Global, _args: &RollbackArgs) -> CliResult {
    let generation = control::rollback(&global.instance(), &global.trusted_catalogue()?)?;
    output::print(&format!("generation {generation} is in force again\n"))?;
    Ok(ExitCode::SUCCESS)
}

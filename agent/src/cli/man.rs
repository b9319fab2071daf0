//! `portreeve man`: a page for `man` for the program and for each of its commands.

use std::{fs, path::PathBuf, process::ExitCode};

use clap::{Args, CommandFactory as _};

use super::{Cli, CliError, CliResult};

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Folder to write to; it is made if it is not there
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Writes the pages.
///
/// # Errors
/// The folder can't be written.
pub fn run(args: &ManArgs) -> CliResult {
    let unwritable = |source| CliError::Page { path: args.out.clone(), source };
    fs::create_dir_all(&args.out).map_err(unwritable)?;
    clap_mangen::generate_to(Cli::command(), &args.out).map_err(unwritable)?;
    Ok(ExitCode::SUCCESS)
}

//! What the commands on a running instance share.

use std::process::ExitCode;

use super::{CliError, Global, output};
use crate::control::{ControlError, View};

/// Opens the instance that the flags name.
///
/// # Errors
/// It is not there, or its policy can't be read.
pub(super) fn open(global: &Global) -> Result<View, CliError> {
    Ok(View::open(&global.instance(), &global.catalogue()?)?)
}

/// Shows a broken host file's report; any other error goes on.
pub(super) fn reported(error: ControlError) -> Result<ExitCode, CliError> {
    if let ControlError::Policy(report) = &error {
        output::show_report(report);
    }
    Err(error.into())
}

//! What the commands on a running instance share.

use super::{CliError, Global};
use crate::control::View;

/// Opens the instance that the flags name.
///
/// # Errors
/// It is not there, or its policy can't be read.
pub(super) fn open(global: &Global) -> Result<View, CliError> {
    Ok(View::open(&global.instance(), &global.catalogue()?)?)
}

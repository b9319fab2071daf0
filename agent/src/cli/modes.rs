//! `portreeve observe`, `enforce` and `detach`: changing what stands.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use portreeve_common::{Direction, switch::Mode};

use super::{CliResult, Global, output, running, status};
use crate::control;

/// Arguments of `observe`.
#[derive(Debug, Args)]
pub struct ObserveArgs {
    /// Only this direction
    #[arg(value_enum)]
    pub direction: Option<Way>,
}

/// Arguments of `enforce`.
#[derive(Debug, Args)]
pub struct EnforceArgs {
    /// Only this direction
    #[arg(value_enum)]
    pub direction: Option<Way>,
    /// Even if the last observation saw packets of required flows that would be dropped
    #[arg(long)]
    pub force: bool,
}

/// Arguments of `detach`.
#[derive(Debug, Args)]
pub struct DetachArgs {}

/// A direction, as users type it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Way {
    /// Towards the host
    Ingress,
    /// Away from the host
    Egress,
}

impl From<Way> for Direction {
    fn from(way: Way) -> Self {
        match way {
            Way::Ingress => Self::Ingress,
            Way::Egress => Self::Egress,
        }
    }
}

/// Lets drops pass, and says what stands then.
///
/// # Errors
/// The instance is not there.
pub fn observe(global: &Global, args: &ObserveArgs) -> CliResult {
    set(global, args.direction, Mode::Observe, false)
}

/// Drops what is not documented, and says what stands then.
///
/// # Errors
/// The instance is not there, or required flows would be cut.
pub fn enforce(global: &Global, args: &EnforceArgs) -> CliResult {
    set(global, args.direction, Mode::Enforce, args.force)
}

fn set(global: &Global, way: Option<Way>, mode: Mode, force: bool) -> CliResult {
    let instance = global.instance();
    let directions = way.map_or(Direction::ALL.to_vec(), |way| vec![way.into()]);
    control::set_modes(&instance, &global.catalogue()?, &directions, mode, force)?;
    let view = running::open(global)?;
    for (interface, direction, standing) in view.standings()? {
        output::print(&format!("{interface} {direction}: {standing}\n"))?;
    }
    if let Some(until) = view.adopting_until()? {
        output::print(&format!(
            "connections that live already are taken in until {}\n",
            status::seconds(until)
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Takes everything off.
///
/// # Errors
/// Not root, or something stays.
pub fn detach(global: &Global, _args: &DetachArgs) -> CliResult {
    let there = control::detach(&global.instance())?;
    let name = &global.instance;
    let said = if there { "is off: nothing of it is left in the kernel" } else { "was not in the kernel" };
    output::print(&format!("instance {name} {said}\n"))?;
    Ok(ExitCode::SUCCESS)
}

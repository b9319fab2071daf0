//! `portreeve observe`, `enforce` and `detach`: changing what stands.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use portreeve_common::Direction;

use super::{CliResult, Global, output, running, status};
use crate::{control, policy::host};

/// Arguments of `observe`.
#[derive(Debug, Args)]
pub struct ObserveArgs {
    /// Only this direction
    #[arg(value_enum)]
    pub direction: Option<Way>,
    /// Only this role: where the host enforces, what its own ports see of others than its peers passes, and is counted
    #[arg(long, value_name = "ROLE")]
    pub role: Option<String>,
}

/// Arguments of `enforce`.
#[derive(Debug, Args)]
pub struct EnforceArgs {
    /// Only this direction
    #[arg(value_enum)]
    pub direction: Option<Way>,
    /// Only this role, which was observed while the host enforces
    #[arg(long, value_name = "ROLE")]
    pub role: Option<String>,
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
    set(global, args.direction, args.role.as_deref(), host::Mode::Observe, false)
}

/// Drops what is not documented, and says what stands then.
///
/// # Errors
/// The instance is not there, or required flows would be cut.
pub fn enforce(global: &Global, args: &EnforceArgs) -> CliResult {
    set(global, args.direction, args.role.as_deref(), host::Mode::Enforce, args.force)
}

fn set(global: &Global, way: Option<Way>, role: Option<&str>, mode: host::Mode, force: bool) -> CliResult {
    let (instance, catalogue) = (global.instance(), global.trusted_catalogue()?);
    let directions = way.map_or(Direction::ALL.to_vec(), |way| vec![way.into()]);
    match role {
        Some(role) => control::set_stage(&instance, &catalogue, role, &directions, mode, force)?,
        None => control::set_modes(&instance, &catalogue, &directions, control::mode(mode), force)?,
    }
    let view = running::open(global)?;
    for (interface, direction, standing) in view.standings()? {
        let but = status::but(&view.observed(direction));
        output::print(&format!("{interface} {direction}: {standing}{but}\n"))?;
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

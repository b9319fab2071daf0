//! What users type: one file a command, each with its arguments and a `run` that returns the exit code.

pub mod apply;
pub mod check;
pub mod confirm;
pub mod drift;
pub mod drops;
pub mod explain;
pub mod flows;
pub mod modes;
pub mod packs;
pub mod plan;
pub mod replay;
pub mod rules;
pub mod run;
mod running;
pub mod status;

pub mod output;
pub mod protected;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use self::{explain::PacketError, output::OutputError, protected::ProtectedError, replay::judge::JudgeError};
use crate::{
    capture::CaptureError,
    control::ControlError,
    daemon::DaemonError,
    datapath::{DatapathError, pins::DEFAULT_BPFFS},
    image::ImageError,
    instance::{DEFAULT_RUN, DEFAULT_STATE, Instance},
    policy::{Catalogue, catalogue::CatalogueError},
};

/// Exit code of a command that could not do its work, and of `check` when it found errors.
pub const FAILED: u8 = 2;

/// Holds a gateway to the network flows that its vendors document.
#[derive(Debug, Parser)]
#[command(name = "portreeve", version, propagate_version = true)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Names the pins, state and run folders, so that several can live on one machine
    #[arg(long, global = true, value_name = "NAME", default_value = "default", value_parser = instance_name)]
    pub instance: String,
    /// Folder of packs that stand in for built-in ones [default: /etc/portreeve/packs if it is there]
    #[arg(long, global = true, value_name = "DIR")]
    pub packs: Option<PathBuf>,
    /// Folder of pins, on a bpffs
    #[arg(long, global = true, value_name = "DIR", default_value = DEFAULT_BPFFS)]
    pub bpffs: PathBuf,
    /// Folder of what is remembered
    #[arg(long, global = true, value_name = "DIR", default_value = DEFAULT_STATE)]
    pub state_dir: PathBuf,
    /// Folder of locks
    #[arg(long, global = true, value_name = "DIR", default_value = DEFAULT_RUN)]
    pub run_dir: PathBuf,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List packs, or show one: roles, options, peers, flows and coverage
    Packs(packs::PacksArgs),
    /// Report all errors and warnings of a host file; exit 0, or 2
    Check(check::CheckArgs),
    /// Show the compiled rules, each with its source and why it is on
    Rules(rules::RulesArgs),
    /// Explain the verdict on a first packet; exit 0 when it passes, 1 when it is dropped
    Explain(explain::ExplainArgs),
    /// Judge a pcap or pcapng packet by packet
    Replay(replay::ReplayArgs),
    /// Make a host file's policy current, then watch, export and report
    Run(run::RunArgs),
    /// Show what stands now, proven with a packet
    Status(status::StatusArgs),
    /// Show every documented flow, with what was counted for it
    Flows(flows::FlowsArgs),
    /// Show what was dropped or would have been, where, why, and from whom
    Drops(drops::DropsArgs),
    /// Show where network, documents and kernel disagree; exit 0 for none, 1, or 2 if that can't be told
    Drift(drift::DriftArgs),
    /// Show what a host file would change, and which live connections it would cut
    Plan(plan::PlanArgs),
    /// Make a host file's policy current, with one store
    Apply(apply::ApplyArgs),
    /// Keep the change that waits for its confirmation
    Confirm(confirm::ConfirmArgs),
    /// Go back to the policy before
    Rollback(confirm::RollbackArgs),
    /// Count what would be dropped, and let it pass
    Observe(modes::ObserveArgs),
    /// Drop what is not documented
    Enforce(modes::EnforceArgs),
    /// Take everything off
    Detach(modes::DetachArgs),
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// No catalogue.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// Nobody takes the output.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The running instance.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The daemon.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// No such pack.
    #[error("unknown pack `{name}`; packs: {known}")]
    UnknownPack {
        /// As typed.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// The policy doesn't fit the tables.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Nobody knows this host's addresses.
    #[error(transparent)]
    Protected(#[from] ProtectedError),
    /// A packet that is none.
    #[error(transparent)]
    Packet(#[from] PacketError),
    /// A capture that can't be read.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// A frame that nobody judged.
    #[error(transparent)]
    Judge(#[from] JudgeError),
    /// The kernel takes programs from root only.
    #[error("only root can have the kernel judge a capture; --simulate judges it in user space")]
    ReplayNeedsRoot,
    /// The kernel's programs.
    #[error(transparent)]
    Datapath(#[from] DatapathError),
}

/// How a command ended.
pub type CliResult = Result<ExitCode, CliError>;

impl Global {
    /// The instance that the flags name.
    #[must_use]
    pub fn instance(&self) -> Instance {
        Instance::new(&self.instance, &self.bpffs, &self.state_dir, &self.run_dir)
    }

    /// The packs that `--packs` asks for.
    ///
    /// # Errors
    /// Broken or unreadable packs.
    pub fn catalogue(&self) -> Result<Catalogue, CatalogueError> {
        Catalogue::load(self.packs.as_deref())
    }
}

/// An instance names folders, so it may not lead out of them.
fn instance_name(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if (1..=32).contains(&text.len()) && text.chars().all(allowed) {
        return Ok(text.to_owned());
    }
    Err("write up to 32 letters, digits, `-` and `_`".into())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_flags_stand_anywhere() {
        let cli = Cli::parse_from(["portreeve", "check", "host.toml", "--instance", "lab"]);
        assert_eq!(cli.global.instance, "lab");
        assert_eq!(Cli::parse_from(["portreeve", "packs"]).global.instance, "default");
        assert!(Cli::try_parse_from(["portreeve", "packs", "--instance", "../x"]).is_err());
    }
}

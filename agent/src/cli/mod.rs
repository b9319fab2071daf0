//! What users type: one file a command, each with its arguments and a `run` that returns the exit code.

pub mod apply;
pub mod check;
pub mod completions;
pub mod confirm;
pub mod drift;
pub mod drops;
pub mod explain;
pub mod flows;
pub mod man;
pub mod modes;
pub mod packs;
pub mod plan;
pub mod preflight;
pub mod replay;
pub mod rules;
pub mod run;
mod running;
pub mod status;
pub mod top;

pub mod output;
pub mod protected;

use std::{io, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use self::{explain::PacketError, output::OutputError, protected::ProtectedError, replay::judge::JudgeError};
use crate::{
    capture::CaptureError,
    control::ControlError,
    daemon::DaemonError,
    datapath::{DatapathError, pins::DEFAULT_BPFFS},
    diagnostic::Report,
    drift::SeenError,
    image::ImageError,
    instance::{DEFAULT_RUN, DEFAULT_STATE, Instance, InstanceError},
    policy::{Catalogue, catalogue::CatalogueError},
};

/// Exit code of a command that could not do its work, and of `check` when it found errors.
pub const FAILED: u8 = 2;

/// Exit code of a command that has done its work, and has seen something that is not as it should be.
pub const SEEN: u8 = 1;

/// Exit code of `run` where there is no policy that could be made current: another try changes nothing.
pub const NO_POLICY: u8 = 3;

/// What every command's exit code means.
const EXIT_CODES: &str = "\
Exit codes:
  0  done: nothing is wrong, or the packet passes
  1  done, and there is something to see: `explain` dropped the packet,
     `drift` found some, `status` found an interface not as it should be
  2  not done: the command line or the host file is wrong, or something
     could not be read; `check` and `packs --lint` found errors,
     `preflight` a refusal
  3  not done: `run` has no last good policy, or with --fallback can use
     neither that nor the host file named there; with --host it is 2

With --json an error is an object on standard error:
{\"ok\": false, \"error\": \"…\"}
What `check` and `packs --lint` find is on standard output, errors too.";

/// Holds a gateway to the network flows that its vendors document.
#[derive(Debug, Parser)]
#[command(name = "portreeve", version, propagate_version = true, after_help = EXIT_CODES)]
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
    #[command(after_help = "\
Examples:
  portreeve check host.toml
  portreeve check --site plant.toml --json")]
    Check(check::CheckArgs),
    /// Show the compiled rules, each with its source and why it is on
    #[command(after_help = "\
Examples:
  portreeve rules host.toml
  portreeve rules host.toml --all    # and what is off, with the condition that keeps it so")]
    Rules(rules::RulesArgs),
    /// Explain the verdict on a first packet; exit 0 when it passes, 1 when it is dropped
    #[command(after_help = "\
Examples:
  portreeve explain host.toml 'in tcp 198.51.100.7:40000 -> 443'
  portreeve explain host.toml 'out udp -> [2001:db8::53]:53'
  portreeve explain host.toml 'in icmp 198.51.100.7 ->'")]
    Explain(explain::ExplainArgs),
    /// Judge a pcap or pcapng packet by packet
    #[command(after_help = "\
Examples:
  portreeve replay host.toml capture.pcapng --simulate
  portreeve replay host.toml capture.pcap --json | jq 'select(.verdict == \"drop\")'")]
    Replay(replay::ReplayArgs),
    /// Report what this machine can do, and what stands in the way; exit 0, or 2 if it can't be done
    #[command(after_help = "\
Examples:
  portreeve preflight
  portreeve preflight host.toml --try    # on interfaces that are down")]
    Preflight(preflight::PreflightArgs),
    /// Make a host file's policy current, then watch, export and report
    Run(run::RunArgs),
    /// Show what stands now, proven with a packet
    Status(status::StatusArgs),
    /// Show every documented flow, with what was counted for it
    Flows(flows::FlowsArgs),
    /// Show what was dropped or would have been, where, why, and from whom
    #[command(after_help = "\
Examples:
  portreeve drops --top 5
  portreeve drops --top 0    # all that was counted")]
    Drops(drops::DropsArgs),
    /// Show where network, documents and kernel disagree; exit 0 for none, 1, or 2 if that can't be told
    #[command(after_help = "\
Examples:
  portreeve drift
  portreeve drift --html drift.html")]
    Drift(drift::DriftArgs),
    /// Show what a host file would change, and which live connections it would cut
    #[command(after_help = "\
Examples:
  portreeve plan host.toml
  portreeve plan host.toml --json")]
    Plan(plan::PlanArgs),
    /// Make a host file's policy current, with one store
    #[command(after_help = "\
Examples:
  portreeve apply host.toml
  portreeve apply host.toml --confirm-within 120s    # then `portreeve confirm`, or it goes back by itself")]
    Apply(apply::ApplyArgs),
    /// Keep the change that waits for its confirmation
    Confirm(confirm::ConfirmArgs),
    /// Go back to the policy before
    Rollback(confirm::RollbackArgs),
    /// Show flows and drops as they happen
    #[command(after_help = "\
Examples:
  portreeve top
  portreeve top --json --interval 10 >> flows.jsonl")]
    Top(top::TopArgs),
    /// Count what would be dropped, and let it pass
    Observe(modes::ObserveArgs),
    /// Drop what is not documented
    #[command(after_help = "\
Examples:
  portreeve enforce ingress    # egress goes on as it is
  portreeve enforce")]
    Enforce(modes::EnforceArgs),
    /// Take everything off
    Detach(modes::DetachArgs),
    /// Print what a shell needs to complete commands and flags
    #[command(after_help = "\
Examples:
  portreeve completions bash > /etc/bash_completion.d/portreeve
  portreeve completions fish > ~/.config/fish/completions/portreeve.fish")]
    Completions(completions::CompletionsArgs),
    /// Write the manual's pages
    Man(man::ManArgs),
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
    /// What drift is told from.
    #[error(transparent)]
    Seen(#[from] SeenError),
    /// A file that was asked for.
    #[error("cannot write {}", path.display())]
    Page {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
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
    /// It can't be one of the host's.
    #[error("`{name}` is not among the interfaces of [host]: it has {known}")]
    Interface {
        /// As it was typed.
        name: String,
        /// Those of the host file.
        known: String,
    },
    /// The kernel takes programs from root only.
    #[error("only root can have the kernel judge a capture; --simulate judges it in user space")]
    ReplayNeedsRoot,
    /// The kernel's programs.
    #[error(transparent)]
    Datapath(#[from] DatapathError),
}

/// How a command ended.
pub type CliResult = Result<ExitCode, CliError>;

impl Command {
    /// Whether a program reads the output.
    #[must_use]
    pub const fn is_json(&self) -> bool {
        match self {
            Self::Packs(packs::PacksArgs { json, .. })
            | Self::Check(check::CheckArgs { json, .. })
            | Self::Rules(rules::RulesArgs { json, .. })
            | Self::Explain(explain::ExplainArgs { json, .. })
            | Self::Replay(replay::ReplayArgs { json, .. })
            | Self::Preflight(preflight::PreflightArgs { json, .. })
            | Self::Status(status::StatusArgs { json, .. })
            | Self::Flows(flows::FlowsArgs { json })
            | Self::Drops(drops::DropsArgs { json, .. })
            | Self::Drift(drift::DriftArgs { json, .. })
            | Self::Plan(plan::PlanArgs { json, .. })
            | Self::Top(top::TopArgs { json, .. }) => *json,
            Self::Run(_)
            | Self::Apply(_)
            | Self::Confirm(_)
            | Self::Rollback(_)
            | Self::Observe(_)
            | Self::Enforce(_)
            | Self::Detach(_)
            | Self::Completions(_)
            | Self::Man(_) => false,
        }
    }
}

impl CliError {
    /// What is wrong in the host file, if that is the reason.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        let (Self::Control(error) | Self::Seen(SeenError::Control(error))) = self else { return None };
        let (ControlError::Policy(report) | ControlError::NoPolicy { report, .. }) = error else {
            return None;
        };
        Some(report)
    }

    /// The exit code.
    #[must_use]
    pub const fn code(&self) -> u8 {
        let no_policy = matches!(
            self,
            Self::Control(ControlError::NoPolicy { .. } | ControlError::Instance(InstanceError::NoPolicy(_)))
        );
        if no_policy { NO_POLICY } else { FAILED }
    }
}

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

    /// The same, to carry policies out: packs that others can write are refused.
    ///
    /// # Errors
    /// As [`Global::catalogue`]; who else can change a pack.
    pub fn trusted_catalogue(&self) -> Result<Catalogue, CatalogueError> {
        Catalogue::load_trusted(self.packs.as_deref())
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

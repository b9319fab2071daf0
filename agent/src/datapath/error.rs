//! What the kernel refuses, in words that fit a line or two.

use std::{io, path::PathBuf};

use aya::{
    EbpfError,
    maps::MapError,
    pin::PinError,
    programs::{ProgramError, links::LinkError},
};

/// Lines of the verifier's log that are shown: the last ones hold the complaint.
const LOG_LINES: usize = 6;

/// Why the datapath can't do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum DatapathError {
    /// The object does not load.
    #[error("cannot load the kernel programs: `portreeve preflight` tells what this machine lacks")]
    Object(#[source] Box<EbpfError>),
    /// The verifier refuses a program.
    #[error("the kernel refuses the program {program}: {source}\n{log}")]
    Refused {
        /// Which.
        program: &'static str,
        /// The error number.
        source: io::Error,
        /// The end of the verifier's log.
        log: String,
    },
    /// Something else about a program.
    #[error("{doing}")]
    Program {
        /// What was tried.
        doing: String,
        /// What the kernel said.
        source: Box<ProgramError>,
    },
    /// A map is missing, has another form, or can't be read.
    #[error("cannot use the map {name}")]
    Map {
        /// Which.
        name: &'static str,
        /// What the kernel said.
        source: Box<MapError>,
    },
    /// Nothing is loaded under this name.
    #[error("the kernel programs have no {0}: they are of another version")]
    Missing(&'static str),
    /// A pin can't be made.
    #[error("cannot pin {}", path.display())]
    Pin {
        /// Where.
        path: PathBuf,
        /// What the kernel said.
        source: Box<PinError>,
    },
    /// A link can't be asked.
    #[error("cannot read the link {what}")]
    Link {
        /// Which.
        what: String,
        /// What the kernel said.
        source: Box<LinkError>,
    },
    /// A folder or file can't be made or removed.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No such interface.
    #[error("there is no interface {0}: `ip link` lists them")]
    NoInterface(String),
    /// What it carries has no Ethernet header.
    #[error("{0} carries no Ethernet frames, and nothing else can be judged: leave it out of `interfaces`")]
    NoEthernet(String),
    /// Native XDP does not work there.
    #[error("{interface}: native XDP is refused: {why}")]
    Xdp {
        /// Where.
        interface: String,
        /// Why.
        why: String,
    },
    /// No filter can be put there.
    #[error("{interface}: this kernel has no TCX (Linux 6.6), and no filter can be attached: {why}")]
    Filter {
        /// Where.
        interface: String,
        /// Why.
        why: String,
    },
    /// More interfaces than are counted apart.
    #[error("more than {0} interfaces: name fewer under [host]")]
    Interfaces(u32),
    /// The addresses of this host can't be read.
    #[error("cannot read the addresses of this host")]
    Addresses(#[source] nix::Error),
    /// An interface's attributes can't be read.
    #[error("cannot ask the kernel about interface {index}")]
    Netlink {
        /// Its index.
        index: u32,
        /// What the kernel said.
        source: io::Error,
    },
    /// A frame that the kernel won't run.
    #[error("the kernel does not run a frame of {0} bytes")]
    Frame(usize),
    /// A program that was asked gave no verdict.
    #[error("the program gave no verdict")]
    Silent,
    /// The clock does not move.
    #[error("the kernel's clock can't be read: {0}")]
    Clock(String),
}

impl DatapathError {
    /// About a program; a verifier's log is cut to its end.
    pub(super) fn program(program: &'static str, doing: impl Into<String>, error: ProgramError) -> Self {
        if let ProgramError::LoadError { io_error, verifier_log } = error {
            return Self::Refused { program, source: io_error, log: end_of(&verifier_log.to_string()) };
        }
        Self::Program { doing: doing.into(), source: Box::new(error) }
    }

    pub(super) fn file(doing: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::File { doing, path: path.into(), source }
    }
}

/// The last lines of a log.
fn end_of(log: &str) -> String {
    let lines: Vec<_> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

/// The error number behind a refusal.
pub(super) fn errno(error: &ProgramError) -> Option<i32> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return io.raw_os_error();
        }
        source = error.source();
    }
    if let ProgramError::SyscallError(error) = error { error.io_error.raw_os_error() } else { None }
}

#[cfg(test)]
mod tests {
    use super::end_of;

    #[test]
    fn only_the_end_of_a_log_is_shown() {
        let log = (0..100).map(|n| format!("{n}: (b7) r0 = 0\n\n")).collect::<String>();
        let end = end_of(&log);
        assert_eq!(end.lines().count(), super::LOG_LINES);
        assert!(end.ends_with("99: (b7) r0 = 0"));
    }
}

//! Where the network, the host, the documents and the kernel disagree.

mod host;
mod idle;
mod kernel;
mod seen;
mod traffic;

use serde::Serialize;

pub(crate) use self::seen::answered;
pub use self::{
    host::{HostError, Listener, listeners},
    idle::{Idle, idle},
    seen::{Seen, SeenError},
};
use crate::control::View;

/// What kind of disagreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The kernel doesn't hold what it should.
    Kernel,
    /// Packets that no document explains.
    UndocumentedTraffic,
    /// A socket that waits for packets that no document explains.
    UndocumentedListener,
    /// A socket that waits on a port that only older versions used.
    LegacyPort,
    /// A documented flow that nothing on this host waits for.
    MissingListener,
    /// A documented flow that the product doesn't work without, and that nobody has used.
    UnusedFlow,
}

impl Kind {
    /// All of them, the most telling first.
    pub const ALL: [Self; 6] = [
        Self::Kernel,
        Self::UndocumentedTraffic,
        Self::UndocumentedListener,
        Self::LegacyPort,
        Self::MissingListener,
        Self::UnusedFlow,
    ];

    /// The word of outputs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::UndocumentedTraffic => "undocumented-traffic",
            Self::UndocumentedListener => "undocumented-listener",
            Self::LegacyPort => "legacy-port",
            Self::MissingListener => "missing-listener",
            Self::UnusedFlow => "unused-flow",
        }
    }
}

/// One disagreement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind.
    pub kind: Kind,
    /// What it is about: a port, a flow, an interface.
    pub subject: String,
    /// What was seen.
    pub seen: String,
    /// What the documents say that comes closest, or what should be.
    pub expected: String,
}

/// All findings, in the order of [`Kind::ALL`].
#[must_use]
pub fn findings(view: &View, seen: &Seen<'_>) -> Vec<Finding> {
    let mut findings = kernel::findings(view, seen);
    findings.extend(traffic::findings(&view.policy.rules, seen));
    findings.extend(host::findings(&view.policy, &seen.listeners));
    findings.extend(idle::findings(view.state.since, seen));
    findings
}

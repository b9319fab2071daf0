//! Why a policy doesn't fit the tables, and what to do about it.

use portreeve_common::{
    class::{MAX_CLASSES, MAX_LENGTHS, MAX_PEERS, MAX_RULES, MAX_SHARED},
    clause::{MAX_ALTERNATIVES, MAX_CLAUSES},
    counter::MAX_INTERFACES,
    settings::{MAX_CONTROL_PORTS, MAX_ETHERTYPES, MAX_RESOLVERS},
};

use super::NamesError;

/// Why a policy doesn't fit the tables.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// More flows than counters.
    #[error("the policy has {flows} flows, more than the {MAX_RULES} that can be counted")]
    Flows {
        /// How many.
        flows: usize,
    },
    /// More different sets of rules than class numbers.
    #[error("the policy needs more than {} classes of services", MAX_CLASSES - 1)]
    Classes,
    /// More rules on shared services than the list holds.
    #[error("more than {MAX_SHARED} rules share their services with others")]
    Shared,
    /// More ways to use one service than a look-up tries.
    #[error(
        "the rules of one service name {manners} groups, source ports or interfaces, more than {MAX_ALTERNATIVES}"
    )]
    Alternatives {
        /// How many.
        manners: usize,
    },
    /// More of them than the list holds.
    #[error("the policy's groups, source ports and interfaces make more than {MAX_CLAUSES} clauses")]
    Clauses,
    /// More control ports than the settings hold.
    #[error("data connections depend on {ports} control ports, more than {MAX_CONTROL_PORTS}")]
    ControlPorts {
        /// How many.
        ports: usize,
    },
    /// Two names with one number; or more than the table holds.
    #[error(transparent)]
    Names(#[from] NamesError),
    /// More flows to resolvers than the settings hold.
    #[error("the policy has {flows} flows to resolvers, more than {MAX_RESOLVERS}")]
    Resolvers {
        /// How many.
        flows: usize,
    },
    /// More prefixes than the peer table holds.
    #[error("the policy's peers make more than {MAX_PEERS} prefixes")]
    Peers,
    /// More prefix lengths among the peers of one service than a look-up tries, and too far apart to be split.
    #[error(
        "the peers of one service have {lengths} prefix lengths: more than {MAX_LENGTHS}, and too far apart to split"
    )]
    Lengths {
        /// How many, of one family.
        lengths: usize,
    },
    /// The peer table has no place for them with any seed.
    #[error("the policy's {peers} prefixes do not fit the peer table")]
    Unplaced {
        /// How many.
        peers: usize,
    },
    /// More than have places in the counters.
    #[error("more than {MAX_INTERFACES} interfaces were covered or are named")]
    Interfaces,
    /// A longer list than the settings hold.
    #[error("`ethertypes` lists {listed}, more than {MAX_ETHERTYPES}")]
    EtherTypes {
        /// How many.
        listed: usize,
    },
}

impl ImageError {
    /// What to do about it.
    #[must_use]
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::Flows { .. } | Self::Classes | Self::Shared => {
                "put the ports and peers of one purpose into one [[allow]]"
            }
            Self::Alternatives { .. } | Self::Clauses => {
                "bind fewer flows of one port to groups, source ports or interfaces"
            }
            Self::ControlPorts { .. } => "have fewer data flows with a control port of their own",
            Self::Names(_) => "write a wildcard in place of names below it, or addresses under [names]",
            Self::Resolvers { .. } => "list the resolvers of several flows in one",
            Self::Peers | Self::Lengths { .. } | Self::Unplaced { .. } => {
                "the kernel's tables have a fixed size: allow networks instead of single addresses"
            }
            Self::Interfaces => "name fewer interfaces, or forget old ones with `portreeve detach`",
            Self::EtherTypes { .. } => "list fewer, or write \"any\"",
        }
    }
}

//! What a document forbids, to be held against everything that a host allows.

use portreeve_common::Direction;
use serde::Deserialize;

use super::flow::{self, PeerRef, Protocol};

/// No rule of a host with this role may let such a flow begin.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Never {
    /// The role that must be on the host.
    pub role: String,
    /// As seen from the host.
    #[serde(deserialize_with = "flow::direction")]
    pub direction: Direction,
    /// `None`: whatever it is.
    #[serde(default)]
    pub protocol: Option<Protocol>,
    /// A fixed destination port; with `port_option` unset too, every port.
    #[serde(default)]
    pub port: Option<u16>,
    /// The option that holds the destination port.
    #[serde(default)]
    pub port_option: Option<String>,
    /// `any`, or those of the role's peers that it is about; an unset peer forbids nothing.
    pub peers: Vec<PeerRef>,
    /// Whose rules it binds.
    #[serde(default)]
    pub scope: Scope,
    /// Binds the site's own `[[allow]]` and `ping_from` too; else they only raise a warning.
    #[serde(default)]
    pub site: bool,
    /// Where the document says so.
    pub row: String,
    /// What it says, as the end of "never …, because".
    pub because: String,
}

/// Whose rules a never binds: breaking it is an error for them, and a warning for others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Every role of the host.
    #[default]
    Host,
    /// Roles of the same pack: the document says what its product needs, not what else may live on the host.
    Pack,
}

//! What a host can be in a vendor's document, and what it has to know for that.

use serde::Deserialize;

use super::option::OptionSpec;

/// One role of a document.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// What host files call it.
    pub name: String,
    /// Which product or server it is.
    pub help: String,
    /// Roles of the same pack that can't stand on the same host.
    #[serde(default)]
    pub excludes: Vec<String>,
    /// Why it excludes them.
    #[serde(default)]
    pub excludes_because: String,
    /// In the order in which defaults are found: a default may depend on options above it.
    #[serde(default, rename = "option")]
    pub options: Vec<OptionSpec>,
    /// The remote ends that its flows name.
    #[serde(default, rename = "peer")]
    pub peers: Vec<PeerSpec>,
    /// Networks that the host may have interfaces of their own for.
    #[serde(default, rename = "network")]
    pub networks: Vec<NetworkSpec>,
    /// Kinds of controller that a `machines` entry of this role may name.
    #[serde(default)]
    pub controllers: Vec<String>,
}

/// A remote end that the host file fills in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerSpec {
    /// What host files call it.
    pub name: String,
    /// Who that is.
    pub help: String,
    /// Without it the role can't work.
    #[serde(default)]
    pub required: bool,
    /// Only addresses that the public internet doesn't route.
    #[serde(default)]
    pub private: bool,
    /// An entry may state its own port in place of this option's: `{ address = "…", port = … }`.
    #[serde(default)]
    pub port_option: Option<String>,
}

/// A network of which a host file may say by which interfaces it is reached.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSpec {
    /// What host files call it.
    pub name: String,
    /// Which one that is.
    pub help: String,
}

impl Role {
    /// The option of this name.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&OptionSpec> {
        self.options.iter().find(|option| option.name == name)
    }

    /// The network of this name.
    #[must_use]
    pub fn network(&self, name: &str) -> Option<&NetworkSpec> {
        self.networks.iter().find(|network| network.name == name)
    }

    /// The peer of this name.
    #[must_use]
    pub fn peer(&self, name: &str) -> Option<&PeerSpec> {
        self.peers.iter().find(|peer| peer.name == name)
    }
}

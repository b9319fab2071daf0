//! The host of a case, and its host file.

use std::{collections::BTreeMap, net::IpAddr};

use portreeve_common::Direction;
use serde::{Deserialize, Serialize};

/// What a case says of its host.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Its own addresses.
    pub addresses: Vec<IpAddr>,
    /// The roles that it carries.
    pub roles: Vec<Role>,
    /// Its site rules.
    pub allow: Vec<Allow>,
    /// What it is besides its roles.
    pub baseline: Baseline,
}

/// A role of a pack.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// The pack's name.
    pub pack: String,
    /// The role's name in it.
    pub role: String,
    /// Options that differ from their defaults, or state them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, toml::Value>,
    /// Addresses of each peer list.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub peers: BTreeMap<String, Vec<String>>,
    /// Machine controllers that the role reads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub machines: Vec<Machine>,
}

/// A machine controller.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Its address.
    pub ip: IpAddr,
    /// Its kind, as the document spells it.
    pub controller: String,
}

/// A site rule.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allow {
    /// Its id.
    pub id: String,
    /// Who sends the first packet.
    #[serde(deserialize_with = "super::protocol::direction")]
    pub direction: Direction,
    /// As the host file spells it.
    pub protocol: String,
    /// A port, a range or a list, as the host file spells it.
    #[serde(default)]
    pub port: Option<toml::Value>,
    /// Addresses, prefixes or names.
    pub peers: Vec<String>,
}

/// What a host is besides its roles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// It gets its address by DHCP.
    #[serde(default)]
    pub dhcp: bool,
}

/// A host file, in the order in which it is written.
#[derive(Serialize)]
struct File<'a> {
    host: Identity<'a>,
    enforcement: Enforcement,
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline: Option<BaselineTable>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    role: &'a [Role],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allow: Vec<AllowTable<'a>>,
}

#[derive(Serialize)]
struct Identity<'a> {
    name: &'a str,
    addresses: &'a [IpAddr],
}

#[derive(Serialize)]
struct Enforcement {
    ingress: &'static str,
    egress: &'static str,
}

#[derive(Serialize)]
struct BaselineTable {
    dhcp: bool,
}

#[derive(Serialize)]
struct AllowTable<'a> {
    id: &'a str,
    direction: &'static str,
    protocol: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<&'a toml::Value>,
    peers: &'a [String],
    reason: &'static str,
}

impl Host {
    pub(super) fn toml(&self, name: &str) -> Result<String, toml::ser::Error> {
        let Self { addresses, roles, allow, baseline } = self;
        toml::to_string(&File {
            host: Identity { name, addresses },
            enforcement: Enforcement { ingress: "enforce", egress: "enforce" },
            baseline: baseline.dhcp.then_some(BaselineTable { dhcp: true }),
            role: roles,
            allow: allow.iter().map(Allow::table).collect(),
        })
    }
}

impl Allow {
    fn table(&self) -> AllowTable<'_> {
        let Self { id, direction, protocol, port, peers } = self;
        let direction = direction.name();
        AllowTable { id, direction, protocol, port: port.as_ref(), peers, reason: "verdict case" }
    }
}

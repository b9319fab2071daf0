//! The host file: what this host is, whom it talks to, and how strictly that is held.

pub mod allow;
mod binding;
mod contradiction;
pub mod duration;
mod ethertype;
mod identity;
mod keys;
mod machine;
pub mod management;
mod peers;
pub mod permissions;
mod role;
mod settings;
mod several;
mod value;

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use foldhash::{HashSet, HashSetExt as _};
use ipnet::IpNet;
use jiff::civil::Date;
use toml::de::DeTable;

pub(crate) use self::identity::{is_pattern, means};
pub(in crate::policy) use self::keys::{nearest, suggest};
pub(in crate::policy) use self::several::{Listed, read_site};
pub use self::{
    allow::Allow,
    binding::{Binding, is_covered},
    machine::Machine,
    management::Management,
    peers::{PeerEntry, PeerList},
    role::RoleUse,
};
use self::{keys::Keys, value::Text};
use super::catalogue::Catalogue;
use crate::diagnostic::{Report, Span};

/// A host file whose every value is valid, with defaults filled in.
#[derive(Clone, Debug)]
pub struct HostFile {
    /// The host's name, if the file gives one.
    pub name: Option<String>,
    /// Names or globs; empty: every physical interface.
    pub interfaces: Vec<String>,
    /// Empty: whatever the interfaces carry.
    pub addresses: Vec<IpAddr>,
    /// How strictly, and by which hook.
    pub enforcement: Enforcement,
    /// What passes beside the documents.
    pub baseline: Baseline,
    /// Sizes and times of the connection state.
    pub state: StateLimits,
    /// In the order of the file.
    pub roles: Vec<RoleUse>,
    /// In the order of the file.
    pub allows: Vec<Allow>,
    /// Addresses of names that are not to be learned.
    pub names: BTreeMap<String, Vec<IpAddr>>,
}

/// `[enforcement]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enforcement {
    /// Of packets towards the host.
    pub ingress: Mode,
    /// Of packets from the host.
    pub egress: Mode,
    /// When the agent is stopped on purpose.
    pub on_stop: OnStop,
    /// Where ingress packets are judged.
    pub hook: Hook,
}

/// Whether a verdict is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Drops are counted, and pass.
    Observe,
    /// Drops are dropped.
    Enforce,
}

/// What stays when the agent is stopped on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnStop {
    /// The programs stay and go on.
    Keep,
    /// The programs are taken off.
    Open,
}

/// Where ingress packets are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hook {
    /// Native XDP where it is there and costs less, else TC.
    Auto,
    /// Native XDP or nothing.
    Xdp,
    /// TC.
    Tc,
}

/// `[baseline]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baseline {
    /// This host is a DHCP client.
    pub dhcp: bool,
    /// Who may ping this host beside what roles document.
    pub ping_from: Option<PeerList>,
    /// Where `ping_from` stands.
    pub ping_from_at: Span,
    /// Which frames without IP pass.
    pub ethertypes: EtherTypes,
    /// Who may reach this host to look after it.
    pub management: Vec<Management>,
}

/// Which frames without IP pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EtherTypes {
    /// All, counted.
    Any,
    /// These; ascending.
    Listed(Vec<u16>),
}

/// `[state]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateLimits {
    /// Entries for flows that both sides have sent in.
    pub established: u32,
    /// Entries for flows that one side has sent in.
    pub embryonic: u32,
    /// An established TCP connection is forgotten after this long without a packet.
    pub tcp_idle: Duration,
    /// An answered UDP flow is forgotten after this long without a packet.
    pub udp_idle: Duration,
    /// How long after the first enforcement mid-stream TCP may be taken in; may be zero.
    pub adoption: Duration,
}

impl Default for Enforcement {
    fn default() -> Self {
        Self { ingress: Mode::Observe, egress: Mode::Observe, on_stop: OnStop::Keep, hook: Hook::Auto }
    }
}

impl Enforcement {
    /// Whether either direction drops.
    #[must_use]
    pub fn drops(&self) -> bool {
        self.ingress == Mode::Enforce || self.egress == Mode::Enforce
    }
}

impl Default for StateLimits {
    fn default() -> Self {
        Self {
            established: 65_536,
            embryonic: 16_384,
            tcp_idle: Duration::from_hours(24),
            udp_idle: Duration::from_secs(180),
            adoption: Duration::from_secs(60),
        }
    }
}

impl Default for Baseline {
    fn default() -> Self {
        Self {
            dhcp: false,
            ping_from: None,
            ping_from_at: 0..0,
            ethertypes: EtherTypes::Any,
            management: Vec::new(),
        }
    }
}

/// Reads the host file of a report; everything wrong in it is in the report, in the order of the file.
///
/// The value is `None` when there are errors.
#[must_use]
pub fn read(mut report: Report, catalogue: &Catalogue, today: Date) -> (Option<HostFile>, Report) {
    if report.has_errors() {
        return (None, report);
    }
    let host = parse(&mut report, catalogue, today);
    report.sort();
    (host.filter(|_| !report.has_errors()), report)
}

/// Reads the text of a host file that the report holds.
pub fn parse(report: &mut Report, catalogue: &Catalogue, today: Date) -> Option<HostFile> {
    let text = report.source.text.clone();
    let (table, errors) = DeTable::parse_recoverable(&text);
    for error in &errors {
        report.error(error.span().unwrap_or(0..0), error.message(), "the file has to be valid TOML");
    }
    if !errors.is_empty() {
        return None;
    }
    let keys = Keys::new("the host file", 0..0, table.get_ref());
    if let Some(at) = several::first_host(&keys) {
        let help = format!("`portreeve check --site {}` checks it", report.source.name);
        report.error(at, "this is a site file: it lists hosts", help);
        return None;
    }
    let host = sections(keys, catalogue, today, report);
    if host.roles.is_empty() && host.allows.is_empty() && !report.has_errors() {
        report.error(
            0..0,
            "the file has no role and no [[allow]]: nothing would be documented",
            "add a [[role]] with `pack` and `role`; `portreeve packs` lists them",
        );
    }
    Some(host)
}

fn sections(mut keys: Keys<'_>, catalogue: &Catalogue, today: Date, report: &mut Report) -> HostFile {
    let identity = keys.table("host", report).map(|keys| identity::read(keys, report)).unwrap_or_default();
    let enforcement =
        keys.table("enforcement", report).map(|keys| settings::enforcement(keys, report)).unwrap_or_default();
    let baseline =
        keys.table("baseline", report).map(|keys| settings::baseline(keys, report)).unwrap_or_default();
    let state = keys.table("state", report).map(|keys| settings::state(keys, report)).unwrap_or_default();
    let names = keys.table("names", report).map(|keys| identity::names(keys, report)).unwrap_or_default();
    let roles =
        role::read_all(keys.tables("role", report), catalogue, enforcement, &identity.interfaces, report);
    let allows =
        allow::read_all(keys.tables("allow", report), catalogue, today, &identity.interfaces, report);
    keys.finish(report);
    let identity::Identity { name, interfaces, addresses } = identity;
    HostFile { name, interfaces, addresses, enforcement, baseline, state, roles, allows, names }
}

/// The prefixes of a list as they stand, once each, and its names.
pub(crate) fn split(entries: impl IntoIterator<Item = super::address::Remote>) -> (Vec<IpNet>, Vec<String>) {
    let (mut prefixes, mut names) = (Vec::new(), Vec::new());
    let mut known = HashSet::new();
    for entry in entries {
        match entry {
            super::address::Remote::Net(net) if known.insert(net) => prefixes.push(net),
            super::address::Remote::Name(name) if !names.contains(&name) => names.push(name),
            super::address::Remote::Net(_) | super::address::Remote::Name(_) => {}
        }
    }
    (prefixes, names)
}

impl Text for Mode {
    const WORDS: &'static [(&'static str, Self)] = &[("observe", Self::Observe), ("enforce", Self::Enforce)];
}

impl Text for OnStop {
    const WORDS: &'static [(&'static str, Self)] = &[("keep", Self::Keep), ("open", Self::Open)];
}

impl Text for Hook {
    const WORDS: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("xdp", Self::Xdp), ("tc", Self::Tc)];
}

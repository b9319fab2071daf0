//! Sockets of this host against the flows that its documents state.

use std::{collections::BTreeSet, fs, io, net::IpAddr, ops::RangeInclusive};

use portreeve_common::{Direction, number::protocol};
use procfs::net::{TcpState, tcp, tcp6, udp, udp6};

use super::{Finding, Kind};
use crate::{
    control::protocol_name,
    policy::{
        Dormant, Off, Policy,
        rule::{Need, Service},
    },
};

/// Ports that the kernel hands out to clients: whoever waits there asked first.
const EPHEMERAL: &str = "/proc/sys/net/ipv4/ip_local_port_range";
/// A DHCP client waits here for what it asked for (RFC 2131).
const DHCP_CLIENT: u16 = 68;

/// A socket that waits for packets from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listener {
    /// TCP or UDP, by number.
    pub protocol: u8,
    /// Its port.
    pub port: u16,
}

/// Why this host's sockets are not known.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The kernel doesn't list them.
    #[error("cannot list this host's sockets")]
    Sockets(#[from] procfs::ProcError),
    /// The kernel doesn't say which ports are a client's.
    #[error("cannot read {EPHEMERAL}")]
    Ephemeral(#[source] io::Error),
}

/// The sockets of this network namespace that wait on other addresses than the loopback's, once each.
///
/// UDP sockets on ports that the kernel hands out belong to clients, and are left out. So are services in containers:
/// their sockets are in namespaces of their own.
///
/// # Errors
/// The kernel doesn't say.
pub fn listeners() -> Result<Vec<Listener>, HostError> {
    let away = |address: &IpAddr| !address.is_loopback();
    let mut found = BTreeSet::new();
    for socket in tcp()?.into_iter().chain(families(tcp6())?) {
        if socket.state == TcpState::Listen && away(&socket.local_address.ip()) {
            found.insert(Listener { protocol: protocol::TCP, port: socket.local_address.port() });
        }
    }
    let clients = ephemeral()?;
    for socket in udp()?.into_iter().chain(families(udp6())?) {
        let port = socket.local_address.port();
        let waits = socket.remote_address.port() == 0 && !clients.contains(&port);
        if waits && away(&socket.local_address.ip()) {
            found.insert(Listener { protocol: protocol::UDP, port });
        }
    }
    Ok(found.into_iter().collect())
}

/// A host without IPv6 has no such list.
fn families<T>(listed: procfs::ProcResult<Vec<T>>) -> procfs::ProcResult<Vec<T>> {
    match listed {
        Err(procfs::ProcError::NotFound(_)) => Ok(Vec::new()),
        other => other,
    }
}

fn ephemeral() -> Result<RangeInclusive<u16>, HostError> {
    let text = fs::read_to_string(EPHEMERAL).map_err(HostError::Ephemeral)?;
    let mut ports = text.split_whitespace().filter_map(|word| word.parse().ok());
    let range = ports.next().zip(ports.next()).map(|(first, last)| first..=last);
    range.ok_or_else(|| HostError::Ephemeral(io::ErrorKind::InvalidData.into()))
}

pub(super) fn findings(policy: &Policy, listeners: &[Listener]) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        listeners.iter().filter_map(|listener| undocumented(policy, *listener)).collect();
    findings.extend(missing(policy, listeners));
    findings
}

fn undocumented(policy: &Policy, listener: Listener) -> Option<Finding> {
    let Listener { protocol, port } = listener;
    let mut ingress = policy.rules.iter().filter(|rule| rule.direction == Direction::Ingress);
    let dhcp = policy.host.baseline.dhcp && protocol == protocol::UDP && port == DHCP_CLIENT;
    if dhcp || ingress.any(|rule| waits_for(&rule.service, listener)) {
        return None;
    }
    let mut dormant = policy.dormant.iter().filter(|flow| flow.direction == Direction::Ingress);
    let off = dormant.find(|flow| waits_for(&flow.service, listener));
    let expected = match off {
        Some(flow) => format!("{} documents it, but it is off: {}", flow.flow, flow.why),
        None => "no ingress flow of this host's documents".into(),
    };
    let kind = if off.is_some_and(is_legacy) { Kind::LegacyPort } else { Kind::UndocumentedListener };
    let subject = format!("{} {port}", protocol_name(protocol));
    Some(Finding { kind, subject, seen: "a socket waits there".into(), expected })
}

/// Packs call an option that opens what only old versions used `legacy_…`.
fn is_legacy(flow: &Dormant) -> bool {
    flow.off == Off::Version || flow.off == Off::Option && flow.why.contains("legacy_")
}

/// Flows that the product doesn't work without, and that nothing waits for. Of several ports one is enough.
fn missing(policy: &Policy, listeners: &[Listener]) -> impl Iterator<Item = Finding> {
    let ingress = policy.rules.iter().filter(|rule| rule.direction == Direction::Ingress);
    let required =
        ingress.filter(|rule| rule.origin.need == Need::Required && rule.service.ports().is_some());
    // Active data comes to a port that is opened for it.
    let own = required.filter(|rule| rule.control_port.is_none());
    let unheard = own.filter(|rule| !listeners.iter().any(|socket| waits_for(&rule.service, *socket)));
    unheard.map(|rule| Finding {
        kind: Kind::MissingListener,
        subject: rule.flow.clone(),
        seen: format!("nothing on this host waits on {}", rule.service),
        expected: rule.origin.purpose.clone(),
    })
}

fn waits_for(service: &Service, Listener { protocol, port }: Listener) -> bool {
    let ports = match (service, protocol) {
        (Service::Tcp(ports), protocol::TCP) | (Service::Udp(ports), protocol::UDP) => ports,
        (Service::Tcp(_) | Service::Udp(_) | Service::Echo | Service::Igmp | Service::Protocol(_), _) => {
            return false;
        }
    };
    ports.destination.iter().any(|range| range.contains(&port))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use jiff::civil::date;

    use super::*;
    use crate::policy::{self, Catalogue};

    const HOST: &str = r#"
[host]
name = "iem"
[[role]]
pack = "siemens-industrial-edge"
role = "ied"
options = { offering = "IEM OS" }
peers = { iem = ["198.51.100.20"], dns_servers = ["198.51.100.53"], ntp_servers = ["198.51.100.123"], ui_clients = "any" }
"#;

    fn found(listeners: &[Listener]) -> Vec<(Kind, String)> {
        let catalogue = Catalogue::built_in().unwrap();
        let policy = policy::compile("host.toml", HOST, &catalogue, date(2026, 11, 21)).unwrap();
        findings(&policy, listeners).into_iter().map(|finding| (finding.kind, finding.subject)).collect()
    }

    #[test]
    fn sockets_and_documents_are_held_against_each_other() {
        let socket = |protocol, port| Listener { protocol, port };
        assert_eq!(found(&[socket(6, 443)]), []);
        assert_eq!(found(&[]), [(Kind::MissingListener, "SIE-IED-03".into())]);
        let wanted = [
            (Kind::UndocumentedListener, "tcp 8080".into()),
            (Kind::UndocumentedListener, "udp 443".into()),
            (Kind::MissingListener, "SIE-IED-03".into()),
        ];
        assert_eq!(found(&[socket(6, 8080), socket(17, 443)]), wanted);
    }

    #[test]
    fn only_sockets_for_other_hosts_are_listed() {
        let open = TcpListener::bind("0.0.0.0:0").unwrap();
        let inside = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("0.0.0.0:0").unwrap();
        let listed = listeners().unwrap();
        let has = |protocol, address: std::net::SocketAddr| {
            listed.contains(&Listener { protocol, port: address.port() })
        };
        assert!(has(6, open.local_addr().unwrap()));
        assert!(!has(6, inside.local_addr().unwrap()));
        assert!(!has(17, client.local_addr().unwrap()));
    }
}

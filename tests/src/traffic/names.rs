//! A client that connects the moment it has a resolver's answer, again and again.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpStream, UdpSocket},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use simple_dns::{Packet, rdata::RData};

use crate::answer::question;

/// How long an answer or a connection may take at most.
const PATIENCE: Duration = Duration::from_secs(20);

/// What became of names and connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamesReport {
    /// Names that were asked for.
    pub names: u64,
    /// Names without an answer.
    pub unanswered: u64,
    /// Connections that never came about.
    pub refused: u64,
    /// SYNs that had to be sent again, as the kernel counts them.
    pub syns_again: u64,
    /// What went wrong first.
    pub first: Option<String>,
    /// The longest time from an answer to its connection, in milliseconds.
    pub slowest_ms: u64,
}

/// Asks `resolver` for `count` names, `n0.suffix` and so on from `first`, and connects to each address at once.
///
/// # Errors
/// There is no socket, or the system does not count.
pub fn connect_by_name(
    resolver: SocketAddr,
    suffix: &str,
    first: u32,
    count: u32,
    port: u16,
    v4: bool,
) -> io::Result<NamesReport> {
    let any: IpAddr = if resolver.is_ipv4() { [0; 4].into() } else { [0_u16; 8].into() };
    let before = syn_retransmissions()?;
    let mut report = NamesReport::default();
    for number in first..first + count {
        let name = format!("n{number}.{suffix}");
        report.names += 1;
        // A port of its own for each question, as libraries do.
        let socket = UdpSocket::bind((any, 0))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.connect(resolver)?;
        let address = match ask(&socket, (number & 0xffff) as u16, &name, v4) {
            Ok(address) => address,
            Err(error) => {
                report.unanswered += 1;
                report.first.get_or_insert_with(|| format!("{name}: {error}"));
                continue;
            }
        };
        let begin = Instant::now();
        if let Err(error) = TcpStream::connect_timeout(&SocketAddr::new(address, port), PATIENCE) {
            report.refused += 1;
            report.first.get_or_insert_with(|| format!("{name}, {address}: {error}"));
        }
        let took = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        report.slowest_ms = report.slowest_ms.max(took);
    }
    report.syns_again = syn_retransmissions()?.saturating_sub(before);
    Ok(report)
}

fn ask(socket: &UdpSocket, id: u16, name: &str, v4: bool) -> io::Result<IpAddr> {
    socket.send(&question(id, name, v4))?;
    let mut bytes = [0; 1_500];
    let length = socket.recv(&mut bytes)?;
    let packet = Packet::parse(bytes.get(..length).unwrap_or_default()).map_err(io::Error::other)?;
    let address = packet.answers.iter().find_map(|record| {
        if let RData::A(a) = &record.rdata {
            Some(IpAddr::V4(a.address.into()))
        } else if let RData::AAAA(aaaa) = &record.rdata {
            Some(IpAddr::V6(aaaa.address.into()))
        } else {
            None
        }
    });
    address.ok_or_else(|| io::Error::other("no address"))
}

/// `TcpExt: TCPSynRetrans` of this network namespace (`/proc/net/netstat`).
fn syn_retransmissions() -> io::Result<u64> {
    let text = std::fs::read_to_string("/proc/net/netstat")?;
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
    let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let mut pairs = names.split_whitespace().zip(values.split_whitespace());
    let value = pairs.find(|(name, _)| *name == "TCPSynRetrans").and_then(|(_, value)| value.parse().ok());
    value.ok_or_else(|| io::Error::other("/proc/net/netstat has no TCPSynRetrans"))
}

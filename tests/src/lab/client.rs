//! Clients: curl, dig, chronyd, ping and nmap, each with a short deadline and an answer that code can read.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::{Host, Output};

/// Seconds until a client gives up: far more than an answer takes here, and soon enough for a dropped packet.
const SECONDS: &str = "2";

/// What a scan learned of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// Something listens there.
    Open,
    /// The host answers that nothing does.
    Closed,
    /// No answer: packets are dropped.
    Filtered,
}

/// Fetches a page with curl, trusting any certificate.
///
/// # Errors
/// curl can't be started. A page that doesn't come is an `Ok` with curl's exit code.
pub fn fetch(host: &Host, url: &str) -> Result<Output> {
    host.run(["curl", "--silent", "--show-error", "--insecure", "--max-time", SECONDS, url])
}

/// Looks up a name with dig, at this resolver; `stdout` has an address a line.
///
/// # Errors
/// dig can't be started. No answer is an `Ok` with dig's exit code.
pub fn lookup(host: &Host, resolver: &str, name: &str, kind: &str) -> Result<Output> {
    let (server, time) = (format!("@{resolver}"), format!("+time={SECONDS}"));
    host.run(["dig", "+short", "+tries=1", &time, &server, kind, name])
}

/// Asks a time server with chronyd for this clock's offset, and leaves the clock alone (`-Q`).
///
/// # Errors
/// chronyd can't be started. No answer is an `Ok` with chronyd's exit code.
pub fn offset(host: &Host, server: &str) -> Result<Output> {
    let pid = host.lab().dir().join(format!("{}-chrony-client.pid", host.name()));
    let (source, pid) =
        (format!("server {server} iburst maxsamples 1"), format!("pidfile {}", pid.display()));
    host.run(["chronyd", "-Q", "-u", "root", "-t", "4", &source, "cmdport 0", &pid])
}

/// One echo request with ping.
///
/// # Errors
/// ping can't be started. No reply is an `Ok` with ping's exit code.
pub fn ping(host: &Host, address: &str) -> Result<Output> {
    host.run(["ping", "-n", "-c", "1", "-W", SECONDS, address])
}

/// Scans TCP ports with nmap's SYN scan.
///
/// # Errors
/// nmap fails, or says something that isn't a scan's result.
pub fn scan(host: &Host, address: &str, ports: &[u16]) -> Result<BTreeMap<u16, Port>> {
    let list = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
    let mut words = vec!["nmap", "-n", "-Pn", "-sS", "--max-retries", "1", "-T4", "-oG", "-", "-p", &list];
    if address.contains(':') {
        words.push("-6");
    }
    words.push(address);
    let output = host.run(words)?.ok()?;
    states(&output.stdout, ports).with_context(|| format!("nmap's answer can't be read: {}", output.stdout))
}

/// Reads nmap's greppable form: `Host: 192.0.2.10 ()  Ports: 22/filtered/tcp//ssh///, 443/open/tcp//https///`.
///
/// Where many ports are in the same state, it only names that state: `Ignored State: closed (198)`.
fn states(answer: &str, asked: &[u16]) -> Option<BTreeMap<u16, Port>> {
    let line = answer.lines().find_map(|line| line.split_once("Ports: "))?.1;
    let (listed, rest) = line.split_once('\t').unwrap_or((line, ""));
    let mut states = BTreeMap::new();
    if let Some((_, ignored)) = rest.split_once("Ignored State: ") {
        let state = state(ignored.split(' ').next()?)?;
        states.extend(asked.iter().map(|port| (*port, state)));
    }
    for port in listed.split(", ").map(str::trim).filter(|port| !port.is_empty()) {
        let mut parts = port.split('/');
        states.insert(parts.next()?.parse().ok()?, state(parts.next()?)?);
    }
    Some(states)
}

fn state(word: &str) -> Option<Port> {
    match word {
        "open" => Some(Port::Open),
        "closed" => Some(Port::Closed),
        "filtered" => Some(Port::Filtered),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Port, states};

    #[test]
    fn reads_a_scan() {
        let answer = "# Nmap 7.93 scan initiated\nHost: 192.0.2.10 ()\tStatus: Up\nHost: 192.0.2.10 ()\tPorts: \
                      22/filtered/tcp//ssh///, 80/closed/tcp//http///, 443/open/tcp//https///\n# Nmap done";
        let expected = [(22, Port::Filtered), (80, Port::Closed), (443, Port::Open)].into();
        assert_eq!(states(answer, &[22, 80, 443]), Some(expected));
        assert_eq!(states("# Nmap done: 0 hosts up", &[22]), None);
        let ignored = "Host: 192.0.2.10 ()\tPorts: 22/open/tcp//ssh///\tIgnored State: closed (2)";
        let expected = [(22, Port::Open), (23, Port::Closed), (24, Port::Closed)].into();
        assert_eq!(states(ignored, &[22, 23, 24]), Some(expected));
    }
}

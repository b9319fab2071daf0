//! The connections of this host that live: its own sockets, the flows that the kernel programs know, and those that the
//! kernel tracks.

pub(super) mod tracked;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
};

use portreeve_common::{Address, Direction, flow::FlowKey, number::protocol};
use procfs::{
    ProcError, net,
    net::{TcpNetEntry, TcpState},
    process::{FDTarget, Process, all_processes},
};

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Connection {
    pub(super) key: FlowKey,
    /// Who sent the first packet.
    pub(super) began: Direction,
    /// Who has its socket; connections of containers have none here.
    pub(super) process: Option<Owner>,
    /// It carries the session that asks.
    pub(super) own: bool,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Owner {
    /// Its number.
    pub pid: i32,
    /// Its name.
    pub name: String,
}

/// Those of sockets and of `flows`, each once.
///
/// # Errors
/// The kernel does not list the sockets.
pub(super) fn all(flows: &[(FlowKey, Direction)]) -> Result<Vec<Connection>, ProcError> {
    let (owners, own) = (owners()?, own()?);
    let mut connections: Vec<Connection> = Vec::new();
    let mut places: HashMap<FlowKey, usize> = HashMap::new();
    for (key, began, inode) in sockets()? {
        places.insert(key, connections.len());
        let is_own = own.inodes.contains(&inode) || own.said == Some(ends(&key));
        connections.push(Connection { key, began, process: owners.get(&inode).cloned(), own: is_own });
    }
    for (key, began) in flows {
        // Who began it is known better by who saw the first packet.
        if let Some(connection) = places.get(key).and_then(|place| connections.get_mut(*place)) {
            connection.began = *began;
        } else {
            connections.push(Connection { key: *key, began: *began, process: None, own: false });
        }
    }
    Ok(connections)
}

/// Those of sockets whose other end has answered.
///
/// # Errors
/// The kernel does not list the sockets.
pub(super) fn established() -> Result<Vec<(FlowKey, Direction)>, ProcError> {
    let flows =
        sockets_but(|state| matches!(state, TcpState::SynSent | TcpState::SynRecv | TcpState::NewSynRecv))?;
    Ok(flows.into_iter().map(|(key, began, _)| (key, began)).collect())
}

/// TCP sockets that are connected or closing, UDP sockets that are connected.
fn sockets() -> Result<Vec<(FlowKey, Direction, u64)>, ProcError> {
    sockets_but(|_| false)
}

fn sockets_but(no: impl Fn(&TcpState) -> bool) -> Result<Vec<(FlowKey, Direction, u64)>, ProcError> {
    let tcp: Vec<TcpNetEntry> = [net::tcp()?, net::tcp6().unwrap_or_default()].concat();
    let listening: BTreeSet<u16> = tcp
        .iter()
        .filter(|socket| socket.state == TcpState::Listen)
        .map(|socket| socket.local_address.port())
        .collect();
    let lives = |socket: &&TcpNetEntry| {
        !no(&socket.state) && !matches!(socket.state, TcpState::Listen | TcpState::Close | TcpState::TimeWait)
    };
    let mut sockets = Vec::new();
    for socket in tcp.iter().filter(lives) {
        // A port that is listened on is one that others call.
        let called = listening.contains(&socket.local_address.port());
        let began = if called { Direction::Ingress } else { Direction::Egress };
        sockets.push((key(socket.local_address, socket.remote_address, protocol::TCP), began, socket.inode));
    }
    for socket in [net::udp()?, net::udp6().unwrap_or_default()].concat() {
        if !socket.remote_address.ip().is_unspecified() {
            let key = key(socket.local_address, socket.remote_address, protocol::UDP);
            sockets.push((key, Direction::Egress, socket.inode));
        }
    }
    Ok(sockets)
}

fn key(local: SocketAddr, remote: SocketAddr, protocol: u8) -> FlowKey {
    let plain = |end: SocketAddr| Address::from(end.ip().to_canonical());
    FlowKey::new(plain(local), plain(remote), local.port(), remote.port(), protocol)
}

fn ends(key: &FlowKey) -> (Address, u16, Address, u16) {
    (*key.remote(), key.remote_port(), *key.local(), key.local_port())
}

/// The first process that has each socket. Processes come and go meanwhile.
fn owners() -> Result<BTreeMap<u64, Owner>, ProcError> {
    let mut owners = BTreeMap::new();
    for process in all_processes()?.flatten() {
        let Ok(stat) = process.stat() else { continue };
        for inode in inodes(&process) {
            owners.entry(inode).or_insert_with(|| Owner { pid: stat.pid, name: stat.comm.clone() });
        }
    }
    Ok(owners)
}

fn inodes(process: &Process) -> Vec<u64> {
    let files = process.fd().into_iter().flatten().flatten();
    let sockets = files.filter_map(|file| {
        let FDTarget::Socket(inode) = file.target else { return None };
        Some(inode)
    });
    sockets.collect()
}

/// What carries the session that asks: sockets of the processes that it runs under, and what ssh says of itself.
struct Own {
    inodes: BTreeSet<u64>,
    said: Option<(Address, u16, Address, u16)>,
}

fn own() -> Result<Own, ProcError> {
    let mut inodes = BTreeSet::new();
    let mut process = Process::myself()?;
    loop {
        inodes.extend(self::inodes(&process));
        let parent = process.stat()?.ppid;
        if parent <= 1 {
            break;
        }
        // Whoever can't be asked is no more.
        let Ok(next) = Process::new(parent) else { break };
        process = next;
    }
    let said = std::env::var("SSH_CONNECTION").ok().and_then(|said| session(&said));
    Ok(Own { inodes, said })
}

/// `SSH_CONNECTION`: the client's address and port, then the server's.
fn session(said: &str) -> Option<(Address, u16, Address, u16)> {
    let words: Vec<_> = said.split_whitespace().collect();
    let [client, client_port, server, server_port] = words.as_slice() else { return None };
    let address = |word: &str| word.split('%').next()?.parse::<IpAddr>().ok();
    let (client, server) = (address(client)?, address(server)?);
    let (client_port, server_port) = (client_port.parse().ok()?, server_port.parse().ok()?);
    Some((client.to_canonical().into(), client_port, server.to_canonical().into(), server_port))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_session_is_what_ssh_says() {
        let said = session("198.51.100.7 50000 192.0.2.10 22").unwrap();
        let client: IpAddr = "198.51.100.7".parse().unwrap();
        assert_eq!((said.0, said.1, said.3), (Address::from(client), 50_000, 22));
        assert!(session("fe80::1%eth0 50000 fe80::2%eth0 22").is_some());
        assert!(session("198.51.100.7").is_none());
    }

    #[test]
    fn our_own_sockets_are_found_with_their_process() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stream = TcpStream::connect(address).unwrap();
        let client = stream.local_addr().unwrap();
        let both = all(&[]).unwrap();
        let of = |local: SocketAddr, remote: SocketAddr| {
            let key = key(local, remote, protocol::TCP);
            both.iter().find(|connection| connection.key == key).unwrap()
        };
        let (called, calling) = (of(address, client), of(client, address));
        assert_eq!((called.began, calling.began), (Direction::Ingress, Direction::Egress));
        let pid = i32::try_from(std::process::id()).unwrap();
        assert_eq!(calling.process.as_ref().unwrap().pid, pid);
        assert!(calling.own, "a process runs under itself");
        assert_eq!(all(&[(calling.key, Direction::Ingress)]).unwrap().len(), both.len());
    }
}

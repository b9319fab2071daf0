//! The side that sends, waits for the echo, and compares.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{LONGEST_DATAGRAM, MOST_CONNECTIONS, Plan, Report, Transport};

/// Carries the plan out and waits for its end.
#[must_use]
pub fn exchange(plan: &Plan) -> Report {
    exchange_until(plan, &AtomicBool::new(false))
}

/// Carries the plan out until its end, or until `stop` is set; messages that are under way are waited for.
#[must_use]
pub fn exchange_until(plan: &Plan, stop: &AtomicBool) -> Report {
    let end = Instant::now() + plan.limit;
    thread::scope(|scope| {
        let connections = plan.connections.min(MOST_CONNECTIONS);
        let threads: Vec<_> =
            (0..connections).map(|id| scope.spawn(move || connection(plan, id, end, stop))).collect();
        let reports = threads.into_iter().map(|thread| thread.join().unwrap_or(Report { broken: 1, ..NEW }));
        reports.fold(Report::default(), Report::plus)
    })
}

/// One socket from its first message to its last.
fn connection(plan: &Plan, id: u16, end: Instant, stop: &AtomicBool) -> Report {
    let Ok(mut channel) = Channel::open(plan) else { return Report { refused: 1, ..NEW } };
    let mut report = NEW;
    for round in 0..plan.rounds {
        if Instant::now() >= end || stop.load(Ordering::Relaxed) {
            break;
        }
        let message = message(id, round, plan);
        let begin = Instant::now();
        report.sent += 1;
        match channel.echo(&message, plan.patience) {
            Ok(answer) if answer == message => report.answered += 1,
            Ok(_) => report.corrupted += 1,
            Err(_) => {
                report.lost += 1;
                if plan.transport == Transport::Tcp {
                    return Report { broken: 1, ..report };
                }
            }
        }
        let took = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        report.slowest_ms = report.slowest_ms.max(took);
        thread::sleep(plan.pause);
    }
    report
}

enum Channel {
    Stream(TcpStream),
    Datagrams(UdpSocket),
}

impl Channel {
    fn open(plan: &Plan) -> io::Result<Self> {
        match plan.transport {
            Transport::Tcp => {
                let stream = TcpStream::connect_timeout(&plan.target, plan.patience)?;
                stream.set_nodelay(true)?;
                stream.set_write_timeout(Some(plan.patience))?;
                Ok(Self::Stream(stream))
            }
            Transport::Udp => {
                let socket = UdpSocket::bind(any_address(plan.target))?;
                socket.connect(plan.target)?;
                Ok(Self::Datagrams(socket))
            }
        }
    }

    /// Sends and waits; an answer to an earlier datagram doesn't count.
    fn echo(&mut self, message: &[u8], patience: Duration) -> io::Result<Vec<u8>> {
        let end = Instant::now() + patience;
        let mut answer = vec![0; message.len()];
        match self {
            Self::Stream(stream) => {
                stream.write_all(message)?;
                let mut filled = 0;
                while filled < answer.len() {
                    stream.set_read_timeout(Some(left(end)?))?;
                    match stream.read(&mut answer[filled..])? {
                        0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                        length => filled += length,
                    }
                }
            }
            Self::Datagrams(socket) => {
                socket.send(message)?;
                loop {
                    socket.set_read_timeout(Some(left(end)?))?;
                    answer.resize(LONGEST_DATAGRAM, 0);
                    let length = socket.recv(&mut answer)?;
                    answer.truncate(length);
                    if answer.get(..HEADER) == message.get(..HEADER) {
                        break;
                    }
                }
            }
        }
        Ok(answer)
    }
}

fn left(end: Instant) -> io::Result<Duration> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// Who and which, then bytes that differ from message to message.
fn message(id: u16, round: u32, plan: &Plan) -> Vec<u8> {
    let longest = match plan.transport {
        Transport::Tcp => usize::MAX,
        Transport::Udp => LONGEST_DATAGRAM,
    };
    let mut bytes = vec![0; plan.bytes.clamp(HEADER, longest)];
    let seed = u64::from(id) << 32 | u64::from(round);
    let (header, rest) = bytes.split_at_mut(HEADER);
    header.copy_from_slice(&seed.to_be_bytes());
    fastrand::Rng::with_seed(seed).fill(rest);
    bytes
}

fn any_address(target: SocketAddr) -> SocketAddr {
    match target {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

const NEW: Report = Report {
    connections: 1,
    refused: 0,
    broken: 0,
    sent: 0,
    answered: 0,
    lost: 0,
    corrupted: 0,
    slowest_ms: 0,
};

/// The number that begins a message.
const HEADER: usize = 8;

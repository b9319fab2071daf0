//! The side that sends back what it gets.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::{Duration, Instant},
};

use nix::sys::socket::{Backlog, listen};

use super::{MOST_CONNECTIONS, Transport};

/// A bound echo server; clients may connect before it serves.
pub struct Server(Socket);

enum Socket {
    Stream(TcpListener),
    Datagrams(UdpSocket),
}

impl Server {
    /// Binds the address; port 0 takes any free one.
    ///
    /// # Errors
    /// When the system refuses the address.
    pub fn bind(transport: Transport, address: SocketAddr) -> io::Result<Self> {
        Ok(Self(match transport {
            Transport::Tcp => {
                let listener = TcpListener::bind(address)?;
                // Once more: the standard library lets 128 connections wait, and a busy machine drops the next SYN.
                listen(&listener, Backlog::new(WAITING)?)?;
                Socket::Stream(listener)
            }
            Transport::Udp => Socket::Datagrams(UdpSocket::bind(address)?),
        }))
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system doesn't tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        match &self.0 {
            Socket::Stream(listener) => listener.local_addr(),
            Socket::Datagrams(socket) => socket.local_addr(),
        }
    }
}

/// Echoes until the time is over; connections beyond [`MOST_CONNECTIONS`] are closed at once.
///
/// # Errors
/// When the socket fails as a whole; what happens to one connection ends only that.
pub fn serve(server: &Server, time: Duration) -> io::Result<()> {
    let end = Instant::now() + time;
    match &server.0 {
        Socket::Stream(listener) => serve_streams(listener, end),
        Socket::Datagrams(socket) => serve_datagrams(socket, end),
    }
}

fn serve_streams(listener: &TcpListener, end: Instant) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let open = AtomicU16::new(0);
    thread::scope(|scope| {
        while Instant::now() < end {
            match listener.accept() {
                Ok((stream, _)) if open.load(Ordering::Relaxed) < MOST_CONNECTIONS => {
                    open.fetch_add(1, Ordering::Relaxed);
                    scope.spawn(|| {
                        // A client that goes away ends its own connection.
                        let _ = echo(stream, end);
                        open.fetch_sub(1, Ordering::Relaxed);
                    });
                }
                Ok((_, _)) => {}
                Err(error) if is_pause(&error) => thread::sleep(TICK),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    })
}

fn echo(mut stream: TcpStream, end: Instant) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TICK))?;
    stream.set_write_timeout(Some(STUCK))?;
    let mut buffer = vec![0; BUFFER];
    while Instant::now() < end {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => stream.write_all(&buffer[..length])?,
            Err(error) if is_pause(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn serve_datagrams(socket: &UdpSocket, end: Instant) -> io::Result<()> {
    socket.set_read_timeout(Some(TICK))?;
    let mut buffer = vec![0; BUFFER];
    while Instant::now() < end {
        match socket.recv_from(&mut buffer) {
            // An answer that can't be sent is lost, and the client counts it.
            Ok((length, client)) => drop(socket.send_to(&buffer[..length], client)),
            Err(error) if is_pause(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Nothing has come yet, or an ICMP error of an earlier answer has.
fn is_pause(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionRefused, HostUnreachable, Interrupted, NetworkUnreachable, TimedOut, WouldBlock,
    };
    [WouldBlock, TimedOut, Interrupted, ConnectionRefused, HostUnreachable, NetworkUnreachable]
        .contains(&error.kind())
}

/// Connections that may wait to be accepted, as far as the system lets them.
const WAITING: i32 = 4_096;
/// How soon the end is seen.
const TICK: Duration = Duration::from_millis(20);
/// A client that reads nothing for so long is given up.
const STUCK: Duration = Duration::from_secs(30);
const BUFFER: usize = 1 << 16;

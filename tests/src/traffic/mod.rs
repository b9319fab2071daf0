//! Real traffic over real sockets, where every byte is checked: what an enforcement must never cut or change.

mod client;
mod names;
mod server;

use std::{net::SocketAddr, time::Duration};

use serde::{Deserialize, Serialize};

pub use client::{exchange, exchange_until};
pub use names::{NamesReport, connect_by_name};
pub use server::{Server, serve};

/// Which sockets are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Streams; one that loses a message is broken.
    Tcp,
    /// Datagrams; each may be lost on its own.
    Udp,
}

/// How much traffic, and for how long at most.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Which sockets.
    pub transport: Transport,
    /// Where the echo server listens.
    pub target: SocketAddr,
    /// Sockets that talk at the same time, each in a thread; at most [`MOST_CONNECTIONS`].
    pub connections: u16,
    /// Messages that each of them sends.
    pub rounds: u32,
    /// Length of each message, in bytes; UDP takes at most [`LONGEST_DATAGRAM`].
    pub bytes: usize,
    /// Between two messages of a socket.
    pub pause: Duration,
    /// How long an answer may take before it is lost.
    pub patience: Duration,
    /// After that no message is sent.
    pub limit: Duration,
}

/// What became of the traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Sockets that were asked for.
    pub connections: u64,
    /// Of these, those that never connected.
    pub refused: u64,
    /// Of these, streams that ended before their last message.
    pub broken: u64,
    /// Messages that were sent.
    pub sent: u64,
    /// Messages whose answer came with every byte as it was.
    pub answered: u64,
    /// Messages without an answer.
    pub lost: u64,
    /// Messages whose answer differs.
    pub corrupted: u64,
    /// The longest time that an answer took, in milliseconds.
    pub slowest_ms: u64,
}

impl Report {
    /// All sockets connected, and all answers came as they should.
    #[must_use]
    pub fn flawless(&self) -> bool {
        let Self { connections: _, refused, broken, sent, answered, lost, corrupted, slowest_ms: _ } = *self;
        sent > 0 && answered == sent && [refused, broken, lost, corrupted] == [0; 4]
    }

    fn plus(self, other: Self) -> Self {
        Self {
            connections: self.connections + other.connections,
            refused: self.refused + other.refused,
            broken: self.broken + other.broken,
            sent: self.sent + other.sent,
            answered: self.answered + other.answered,
            lost: self.lost + other.lost,
            corrupted: self.corrupted + other.corrupted,
            slowest_ms: self.slowest_ms.max(other.slowest_ms),
        }
    }
}

/// Threads that one process may reasonably start.
pub const MOST_CONNECTIONS: u16 = 1024;
/// What IPv6 and UDP headers leave of 64 KiB.
pub const LONGEST_DATAGRAM: usize = 65_487;

#[cfg(test)]
mod tests;

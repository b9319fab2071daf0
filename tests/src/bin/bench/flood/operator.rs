//! Those who use the server meanwhile.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use serde::Serialize;
use tokio::{net::TcpStream, time::timeout};

use super::plant::{Plant, address};
use crate::echo::{exchange, runtime};

/// Between two messages of a connection, and between two new connections.
const PAUSE: Duration = Duration::from_millis(500);
const BETWEEN: Duration = Duration::from_millis(10);
/// A live connection that gets no answer within this time is lost.
const PATIENCE: Duration = Duration::from_secs(20);
/// A new one has failed: long enough for one SYN to be sent again.
const HANDSHAKE: Duration = Duration::from_secs(3);
const MESSAGE: [u8; 64] = [b'm'; 64];

/// What became of them.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Outcome {
    /// Connections that kept exchanging bytes.
    pub(super) connections: usize,
    /// Of these, those that came to an end.
    pub(super) lost: usize,
    /// Their messages that came back as they were.
    pub(super) answered: u64,
    /// New connections that were tried.
    pub(super) handshakes: u64,
    /// Of these, those without an answer in time.
    pub(super) failed: u64,
    /// The slowest answer of a live connection.
    pub(super) slowest_ms: u64,
}

/// Keeps connections busy and tries new ones, until it is over. Of the calling thread's namespace.
pub(super) fn run(server: SocketAddr, connections: usize, over: &Arc<AtomicBool>) -> Result<Outcome> {
    runtime()?.block_on(async {
        let mut live = Vec::new();
        for stream in open(server, connections).await? {
            live.push(tokio::spawn(keep(stream, Arc::clone(over))));
        }
        let mut outcome = Outcome { connections, ..Outcome::default() };
        let mut tries = Vec::new();
        while !over.load(Ordering::Relaxed) {
            tries.push(tokio::spawn(timeout(HANDSHAKE, connect(server))));
            tokio::time::sleep(BETWEEN).await;
        }
        for one in tries {
            outcome.handshakes += 1;
            outcome.failed += u64::from(!matches!(one.await?, Ok(Ok(_))));
        }
        for one in live {
            let Kept { lost, answered, slowest } = one.await?;
            outcome.lost += usize::from(lost);
            outcome.answered += answered;
            outcome.slowest_ms = outcome.slowest_ms.max(u64::try_from(slowest.as_millis())?);
        }
        Ok(outcome)
    })
}

/// What became of one connection.
struct Kept {
    lost: bool,
    answered: u64,
    slowest: Duration,
}

async fn keep(mut stream: TcpStream, over: Arc<AtomicBool>) -> Kept {
    let mut kept = Kept { lost: false, answered: 0, slowest: Duration::ZERO };
    loop {
        // What was answered before tells nothing of a flood: each has to exchange once more after it.
        let last = over.load(Ordering::Relaxed);
        let begun = Instant::now();
        if !matches!(timeout(PATIENCE, exchange(&mut stream, &MESSAGE)).await, Ok(Ok(()))) {
            return Kept { lost: true, ..kept };
        }
        kept.answered += 1;
        kept.slowest = kept.slowest.max(begun.elapsed());
        if last {
            return kept;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn open(server: SocketAddr, connections: usize) -> Result<Vec<TcpStream>> {
    let mut streams = Vec::new();
    for _ in 0..connections {
        streams.push(timeout(PATIENCE, connect(server)).await.context("the server does not answer")??);
    }
    Ok(streams)
}

async fn connect(server: SocketAddr) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(server).await?;
    exchange(&mut stream, &MESSAGE).await?;
    Ok(stream)
}

/// Connections that say nothing.
pub(super) struct Idle {
    streams: Vec<std::net::TcpStream>,
}

impl Idle {
    /// Opens them; each has exchanged one message.
    pub(super) fn open(plant: &Plant, connections: usize) -> Result<Self> {
        let opened = || {
            runtime()?.block_on(async {
                let streams = open(address()?, connections).await?;
                Ok(streams.into_iter().map(TcpStream::into_std).collect::<Result<_, _>>()?)
            })
        };
        Ok(Self { streams: plant.users.within(opened)? })
    }

    /// How many there are, and how many of them don't answer any more.
    pub(super) fn wake(self, plant: &Plant) -> Result<(usize, usize)> {
        let connections = self.streams.len();
        let lost = plant.users.within(|| {
            runtime()?.block_on(async {
                let mut tasks = Vec::new();
                for stream in self.streams {
                    let mut stream = TcpStream::from_std(stream)?;
                    tasks.push(tokio::spawn(async move {
                        !matches!(timeout(PATIENCE, exchange(&mut stream, &MESSAGE)).await, Ok(Ok(())))
                    }));
                }
                let mut lost = 0;
                for task in tasks {
                    lost += usize::from(task.await?);
                }
                Ok(lost)
            })
        })?;
        Ok((connections, lost))
    }
}

//! Connections a second: opened, one message there and back, closed by the server.

use std::{
    net::SocketAddr,
    panic::resume_unwind,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::pair::{Pair, SERVER};
use crate::{
    echo::{LAST, runtime, serve},
    policy::OPEN,
};

/// Of one measurement.
const TIME: Duration = Duration::from_millis(700);
/// Connections at a time.
const AT_ONCE: usize = 16;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// So many a second.
pub(super) fn measure(pair: &Pair) -> Result<f64> {
    let address = SocketAddr::new(SERVER.parse()?, OPEN);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let server = scope.spawn(|| serve(&pair.edge, address, &stop));
        let counted = pair.client.within(|| runtime()?.block_on(count(address)));
        stop.store(true, Ordering::Relaxed);
        server.join().unwrap_or_else(|panic| resume_unwind(panic))?;
        counted
    })
}

async fn count(address: SocketAddr) -> Result<f64> {
    wait_for(address).await?;
    let begun = Instant::now();
    let tasks: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            tokio::spawn(async move {
                let mut done = 0_u32;
                while begun.elapsed() < TIME {
                    tokio::time::timeout(PATIENCE, once(address)).await.context("a connection hangs")??;
                    done += 1;
                }
                anyhow::Ok(done)
            })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        done += task.await??;
    }
    ensure!(done > 0, "no connection");
    Ok(f64::from(done) / begun.elapsed().as_secs_f64())
}

async fn once(address: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&[LAST]).await?;
    let mut answer = Vec::new();
    // Until the server has closed: it is there that the connection lingers.
    stream.read_to_end(&mut answer).await?;
    ensure!(answer == [LAST], "another answer");
    Ok(())
}

/// The server has just been started.
async fn wait_for(address: SocketAddr) -> Result<()> {
    let begun = Instant::now();
    while let Err(error) = once(address).await {
        if begun.elapsed() > PATIENCE {
            return Err(error).context("the server can't be reached");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

//! A server for thousands of connections on one thread, in a host's namespace: it sends back what it gets.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result};
use portreeve_tests::lab::Host;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// A message that begins with it is answered, and then the server closes.
pub(crate) const LAST: u8 = b'q';
/// Longest message.
const LONGEST: usize = 4_096;
/// How soon the end is seen.
const TICK: Duration = Duration::from_millis(20);

/// Serves until `stop`.
pub(crate) fn serve(host: &Host, address: SocketAddr, stop: &AtomicBool) -> Result<()> {
    host.within(|| {
        runtime()?.block_on(async {
            let listener = TcpListener::bind(address).await.with_context(|| format!("{address}"))?;
            while !stop.load(Ordering::Relaxed) {
                let Ok(accepted) = tokio::time::timeout(TICK, listener.accept()).await else { continue };
                if let Ok((stream, _)) = accepted {
                    tokio::spawn(echo(stream));
                }
            }
            Ok(())
        })
    })
}

/// One thread, so that its namespace is everybody's.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Sends a message and waits for it to come back.
pub(crate) async fn exchange(stream: &mut TcpStream, message: &[u8]) -> std::io::Result<()> {
    stream.write_all(message).await?;
    let mut answer = vec![0; message.len()];
    stream.read_exact(&mut answer).await?;
    if answer == message { Ok(()) } else { Err(std::io::ErrorKind::InvalidData.into()) }
}

/// A client that goes away ends its own connection.
async fn echo(mut stream: TcpStream) {
    let mut buffer = vec![0; LONGEST];
    // Small messages go at once.
    let _unset = stream.set_nodelay(true);
    while let Ok(length) = stream.read(&mut buffer).await {
        let Some(message) = buffer.get(..length).filter(|message| !message.is_empty()) else { break };
        if stream.write_all(message).await.is_err() || message.first() == Some(&LAST) {
            break;
        }
    }
}

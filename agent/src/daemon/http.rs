//! As much HTTP as a scraper needs: `GET /metrics`, one request a connection. Scrapers are served beside the daemon's own
//! work, which only says what the text is: nobody keeps it, or another scraper, waiting.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc, oneshot},
    time::{sleep, timeout},
};

/// A scraper that takes longer is gone.
const PATIENCE: Duration = Duration::from_secs(2);
/// Connections at once; more wait in the listener's queue, until slow ones are given up.
const CONNECTIONS: usize = 64;
/// After a connection that could not be taken: descriptors may be short for a moment.
const PAUSE: Duration = Duration::from_millis(100);
/// Longer requests are not a scraper's.
const LONGEST: usize = 8 << 10;
const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a scrape shows, or why there is nothing to show.
pub type Text = Result<String, String>;
/// A scraper that waits for the text.
pub type Asker = oneshot::Sender<Text>;

/// The scrapers that have sent their request.
#[derive(Debug)]
pub struct Scrapers {
    asking: mpsc::Receiver<Asker>,
}

impl Scrapers {
    /// Serves those that come; without a listener nobody does.
    #[must_use]
    pub fn serve(listener: Option<TcpListener>) -> Self {
        let (ask, asking) = mpsc::channel(CONNECTIONS);
        if let Some(listener) = listener {
            tokio::spawn(accept(listener, ask));
        }
        Self { asking }
    }

    /// The next one that waits for the text.
    pub async fn next(&mut self) -> Asker {
        match self.asking.recv().await {
            Some(asker) => asker,
            None => std::future::pending().await,
        }
    }
}

async fn accept(listener: TcpListener, ask: mpsc::Sender<Asker>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let ask = ask.clone();
                tokio::spawn(async move {
                    answer(&stream, &ask).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "a scraper could not be taken");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Answers one connection; what goes wrong there is the other end's to notice.
async fn answer(stream: &TcpStream, ask: &mpsc::Sender<Asker>) {
    let served = async {
        let request = read(stream).await?;
        let response = match refusal(&request) {
            Some(response) => response,
            None => metrics(text(ask).await),
        };
        write(stream, response.as_bytes()).await
    };
    match timeout(PATIENCE, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a scraper went away"),
        Err(_late) => tracing::debug!("a scraper was too slow"),
    }
}

/// The daemon's text.
async fn text(ask: &mpsc::Sender<Asker>) -> Text {
    const ENDS: &str = "the daemon ends";
    let (asker, answer) = oneshot::channel();
    ask.send(asker).await.map_err(|_ended| ENDS.to_owned())?;
    answer.await.map_err(|_ended| ENDS.to_owned())?
}

/// Up to the empty line that ends a request's head.
async fn read(stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut request = Vec::new();
    let mut chunk = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < LONGEST {
        stream.readable().await?;
        match stream.try_read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => request.extend_from_slice(chunk.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(request)
}

async fn write(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What is answered to anything but a scrape.
fn refusal(request: &[u8]) -> Option<String> {
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    match (method, path.split('?').next().unwrap_or_default()) {
        ("GET", "/metrics") => None,
        (_, "/metrics") => Some(response("405 Method Not Allowed", "text/plain", "only GET\n")),
        _ => Some(response("404 Not Found", "text/plain", "only /metrics\n")),
    }
}

fn metrics(text: Text) -> String {
    match text {
        Ok(text) => response("200 OK", KIND, &text),
        Err(why) => response("503 Service Unavailable", "text/plain", &(why + "\n")),
    }
}

fn response(status: &str, kind: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_metrics_are_served() {
        let refused = |request: &str| refusal(request.as_bytes()).unwrap_or_default();
        assert_eq!(refused("GET /metrics HTTP/1.1\r\n\r\n"), "");
        assert_eq!(refused("GET /metrics?x=1 HTTP/1.1\r\n\r\n"), "");
        assert!(refused("GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
        assert!(refused("POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405"));
        assert!(refused("").starts_with("HTTP/1.1 404"));
        assert!(metrics(Ok("x 1\n".into())).ends_with("\r\n\r\nx 1\n"));
        assert!(metrics(Err("gone".into())).starts_with("HTTP/1.1 503"));
    }

    /// Clients that send nothing kept the daemon from its watch, and others from their scrape, for two seconds each.
    #[test]
    fn a_silent_client_keeps_nobody_waiting() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let mut scrapers = Scrapers::serve(Some(listener));
            let mut silent = Vec::new();
            for _ in 0..8 {
                silent.push(TcpStream::connect(address).await.unwrap());
            }
            let scrape = async {
                let stream = TcpStream::connect(address).await.unwrap();
                write(&stream, b"GET /metrics HTTP/1.1\r\n\r\n").await.unwrap();
                // The answer's head ends as a request's does; its body came with it.
                String::from_utf8(read(&stream).await.unwrap()).unwrap()
            };
            let daemon = async {
                scrapers.next().await.send(Ok("x 1\n".into())).unwrap();
            };
            let (answer, ()) = tokio::join!(scrape, daemon);
            assert!(answer.ends_with("x 1\n"), "{answer}");
            // They are still there: it was not their being given up that let the scrape through.
            for client in &silent {
                assert_eq!(client.try_read(&mut [0; 1]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
            }
        });
    }
}

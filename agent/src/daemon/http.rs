//! As much HTTP as a scraper needs: `GET /metrics`, one request a connection.

use std::{io, time::Duration};

use tokio::{net::TcpStream, time::timeout};

/// A scraper that takes longer is gone: nobody may keep the daemon waiting.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longer requests are not a scraper's.
const LONGEST: usize = 8 << 10;
const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers one connection; what goes wrong there is the other end's to notice.
pub async fn answer<F: FnOnce() -> Result<String, String>>(asked: io::Result<TcpStream>, metrics: F) {
    let Ok(stream) = asked else { return };
    let served = async {
        let request = read(&stream).await?;
        write(&stream, response(&request, metrics).as_bytes()).await
    };
    match timeout(PATIENCE, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a scraper went away"),
        Err(_late) => tracing::debug!("a scraper was too slow"),
    }
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

fn response(request: &[u8], metrics: impl FnOnce() -> Result<String, String>) -> String {
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = path.split('?').next().unwrap_or_default();
    let (status, kind, body) = match (method, path) {
        ("GET", "/metrics") => match metrics() {
            Ok(text) => ("200 OK", KIND, text),
            Err(why) => ("503 Service Unavailable", "text/plain", why + "\n"),
        },
        (_, "/metrics") => ("405 Method Not Allowed", "text/plain", "only GET\n".into()),
        _ => ("404 Not Found", "text/plain", "only /metrics\n".into()),
    };
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

#[cfg(test)]
mod tests {
    use super::response;

    #[test]
    fn only_metrics_are_served() {
        let ask = |request: &str| response(request.as_bytes(), || Ok("x 1\n".into()));
        assert!(ask("GET /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 OK\r\n"));
        assert!(ask("GET /metrics?x=1 HTTP/1.1\r\n\r\n").ends_with("\r\n\r\nx 1\n"));
        assert!(ask("GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
        assert!(ask("POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405"));
        assert!(ask("").starts_with("HTTP/1.1 404"));
        let failed = response(b"GET /metrics HTTP/1.1\r\n\r\n", || Err("gone".into()));
        assert!(failed.starts_with("HTTP/1.1 503"));
    }
}

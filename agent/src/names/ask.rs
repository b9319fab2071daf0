//! Asking a resolver: by UDP, and by TCP where the answer does not fit.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use portreeve_common::dns::PORT;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use super::message::{self, Told};

/// How long a resolver has for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest answer by UDP to a question that announces no room for more (RFC 1035, section 2.3.4); some send more.
const LONGEST: usize = 4_096;

/// What a resolver answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Who.
    pub resolver: IpAddr,
    /// The addresses, each with its lifetime in seconds.
    pub addresses: Vec<(IpAddr, u32)>,
}

/// Asks one resolver after the other for a name's addresses of both families, until one answers; `whole`: by TCP at once,
/// since the answer is known not to fit. `None`: none of them answered.
pub async fn ask(resolvers: &[IpAddr], name: &str, whole: bool) -> Option<Answer> {
    for resolver in resolvers {
        let mut addresses = Vec::new();
        let mut answered = false;
        for v4 in [true, false] {
            match timeout(2 * PATIENCE, family(*resolver, name, v4, whole)).await {
                Ok(Ok(told)) => {
                    answered = true;
                    addresses.extend(told.addresses);
                }
                Ok(Err(error)) => tracing::debug!(%resolver, name, %error, "a resolver does not answer"),
                Err(_elapsed) => tracing::debug!(%resolver, name, "a resolver does not answer in time"),
            }
        }
        if answered {
            return Some(Answer { resolver: *resolver, addresses });
        }
    }
    None
}

async fn family(resolver: IpAddr, name: &str, v4: bool, whole: bool) -> io::Result<Told> {
    let resolver = SocketAddr::new(resolver, PORT);
    if !whole {
        let told = by_udp(resolver, name, v4).await?;
        if !told.truncated {
            return Ok(told);
        }
    }
    by_tcp(resolver, name, v4).await
}

async fn by_udp(resolver: SocketAddr, name: &str, v4: bool) -> io::Result<Told> {
    let any: IpAddr = if resolver.is_ipv4() { [0; 4].into() } else { [0_u16; 8].into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(resolver).await?;
    let id = number();
    socket.send(&message::question(id, name, v4).map_err(io::Error::other)?).await?;
    let mut bytes = vec![0; LONGEST];
    let answered = async {
        loop {
            let length = socket.recv(&mut bytes).await?;
            // Somebody else's answer is not waited for in vain: the right one may still come.
            if let Ok(told) = message::told(bytes.get(..length).unwrap_or_default(), id, name, v4) {
                return io::Result::Ok(told);
            }
        }
    };
    timeout(PATIENCE, answered).await.map_err(io::Error::from)?
}

async fn by_tcp(resolver: SocketAddr, name: &str, v4: bool) -> io::Result<Told> {
    let exchange = async {
        let mut stream = TcpStream::connect(resolver).await?;
        let id = number();
        let question = message::question(id, name, v4).map_err(io::Error::other)?;
        let length = u16::try_from(question.len()).map_err(io::Error::other)?;
        // In one segment, as the kernel programs read it.
        stream.write_all(&[&length.to_be_bytes(), question.as_slice()].concat()).await?;
        let length = stream.read_u16().await?;
        let mut bytes = vec![0; length.into()];
        stream.read_exact(&mut bytes).await?;
        message::told(&bytes, id, name, v4).map_err(io::Error::other)
    };
    timeout(PATIENCE, exchange).await.map_err(io::Error::from)?
}

/// A transaction's number that nobody guesses.
fn number() -> u16 {
    use std::hash::{BuildHasher as _, Hasher as _, RandomState};
    let [high, low, ..] = RandomState::new().build_hasher().finish().to_be_bytes();
    u16::from_be_bytes([high, low])
}

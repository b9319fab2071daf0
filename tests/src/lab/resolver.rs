//! A resolver: Debian's dnsmasq, knowing only the names that it is given.

use anyhow::Result;

use super::{Host, Server, process};

/// A resolver to be.
#[derive(Debug)]
#[must_use = "a server runs only after `start`"]
pub struct Resolver {
    host: Host,
    names: Vec<(String, String)>,
}

impl Resolver {
    /// On this host, knowing nothing yet.
    pub fn new(host: &Host) -> Self {
        Self { host: host.clone(), names: Vec::new() }
    }

    /// Another name, with an address of either family.
    pub fn name(mut self, name: &str, address: &str) -> Self {
        self.names.push((name.to_owned(), address.to_owned()));
        self
    }

    /// Starts it, and waits until it listens on UDP and TCP port 53.
    ///
    /// # Errors
    /// dnsmasq is missing or fails; the message holds what it said.
    pub fn start(self) -> Result<Server> {
        process::find("dnsmasq")?;
        let Self { host, names } = self;
        let mut words: Vec<String> = [
            "dnsmasq",
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--no-resolv",
            "--no-hosts",
            "--user=root",
            "--pid-file=",
            "--log-facility=-",
            "--log-queries",
        ]
        .map(str::to_owned)
        .into();
        words.extend(names.iter().map(|(name, address)| format!("--host-record={name},{address}")));
        host.spawn(words)?.listening("udp", 53)?.listening("tcp", 53)
    }
}

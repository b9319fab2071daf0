//! A time server: Debian's chronyd, which serves this machine's clock and never touches it (`-x`).

use std::fs;

use anyhow::Result;

use super::{Host, Server, process};

/// A time server.
#[derive(Debug)]
pub struct TimeServer;

impl TimeServer {
    /// Starts one on this host, and waits until it listens on UDP port 123.
    ///
    /// # Errors
    /// chronyd is missing or fails; the message holds what it said.
    pub fn start(host: &Host) -> Result<Server> {
        process::find("chronyd")?;
        let dir = host.lab().dir();
        let settings = dir.join(format!("{}-chrony.conf", host.name()));
        let pid = dir.join(format!("{}-chrony.pid", host.name()));
        fs::write(&settings, format!("local stratum 8\nallow\ncmdport 0\npidfile {}\n", pid.display()))?;
        let settings = settings.to_string_lossy().into_owned();
        host.spawn(["chronyd", "-d", "-x", "-u", "root", "-f", &settings])?.listening("udp", 123)
    }
}

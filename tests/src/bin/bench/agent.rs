//! The agent itself, as a user runs it: its programs stay when it has ended.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use anyhow::{Result, ensure};
use portreeve_tests::lab::{Agent, Host, PATIENCE};

/// A machine with much else to do takes long to verify the programs.
const SLOW: Duration = Duration::from_secs(180);

/// Enforces a host file on a host, and ends the daemon.
pub(crate) fn enforce(host: &Host, file: &Path) -> Result<Agent> {
    let agent = Agent::new(host, &Agent::program()?)?;
    let file = file.to_string_lossy();
    let mut daemon = agent.spawn(["run", "--host", &file, "--metrics", "127.0.0.1:9464"])?;
    daemon.wait_until("is ready", SLOW, |daemon| Ok(daemon.log()?.contains(" ready ")))?;
    let status = agent.command(["status"])?;
    ensure!(status.stdout.contains("enforcing"), "{status}");
    daemon.stop(PATIENCE)?;
    Ok(agent)
}

/// For root alone: the agent refuses what others can write.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text)?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o600))?)
}

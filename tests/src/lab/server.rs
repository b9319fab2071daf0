//! A server in a host: a child of ours with a log, ended when it is dropped.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, ExitStatus},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{Host, PATIENCE, process, wait_for};

/// A server has this long to end when it is asked to; then it is killed.
const FAREWELL: Duration = Duration::from_secs(3);

/// Servers so far, for the names of their logs.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A running server.
#[derive(Debug)]
pub struct Server {
    host: Host,
    command: String,
    child: Child,
    log: PathBuf,
}

impl Server {
    pub(super) fn spawn(host: &Host, mut command: Command) -> Result<Self> {
        let typed = process::typed(&command);
        let name = typed.split(' ').next().and_then(|program| program.rsplit('/').next()).unwrap_or("server");
        let log = format!("{}-{name}-{}.log", host.name(), COUNT.fetch_add(1, Ordering::Relaxed));
        let log = host.lab().dir().join(log);
        let file = File::create(&log).with_context(|| format!("can't write {}", log.display()))?;
        command.stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("can't start `{typed}`"))?;
        Ok(Self { host: host.clone(), command: typed, child, log })
    }

    /// Waits until it listens on a port, for [`PATIENCE`] at most.
    ///
    /// # Errors
    /// It ends instead, or does not listen in time; the message holds the end of its log.
    pub fn listening(mut self, protocol: &str, port: u16) -> Result<Self> {
        let host = self.host.clone();
        self.wait_until(&format!("listens on {protocol} {port}"), PATIENCE, |_| {
            host.listens(protocol, port)
        })?;
        Ok(self)
    }

    /// Waits until `ready` says yes of it.
    ///
    /// # Errors
    /// It ends instead, or `ready` fails or says no for `patience`; the message holds the end of its log.
    pub fn wait_until(
        &mut self,
        what: &str,
        patience: Duration,
        mut ready: impl FnMut(&Self) -> Result<bool>,
    ) -> Result<()> {
        let what = format!("`{}` on {}: {what}", self.command, self.host.name());
        let waited = wait_for(&what, patience, || {
            if let Some(status) = self.ended()? {
                bail!("{what}: ended with {status}");
            }
            ready(self)
        });
        waited.with_context(|| process::tail(&self.log))
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// The kernel can't tell.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// It has ended and has been waited for.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).context("a process id that is none")?;
        kill(Pid::from_raw(pid), signal).with_context(|| format!("can't signal `{}`", self.command))
    }

    /// Asks it to end with SIGTERM, and waits until it has.
    ///
    /// # Errors
    /// It still runs after `patience`.
    pub fn stop(&mut self, patience: Duration) -> Result<ExitStatus> {
        if self.ended()?.is_none() {
            self.signal(Signal::SIGTERM)?;
        }
        self.wait(patience)
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// It still runs after `patience`.
    pub fn wait(&mut self, patience: Duration) -> Result<ExitStatus> {
        let what = format!("`{}` on {} ends", self.command, self.host.name());
        let mut status = None;
        wait_for(&what, patience, || {
            status = self.ended()?;
            Ok(status.is_some())
        })?;
        status.context(what)
    }

    /// What it has written so far.
    ///
    /// # Errors
    /// The log can't be read.
    pub fn log(&self) -> Result<String> {
        fs::read_to_string(&self.log).with_context(|| format!("can't read {}", self.log.display()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.stop(FAREWELL).is_err() {
            // It may have ended meanwhile, and what still runs is killed with its namespace.
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

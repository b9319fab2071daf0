//! Portreeve itself in a host, with every folder of its own inside the lab.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use super::{Host, Output, PATIENCE, Server};

/// Where it serves `/metrics`; loopback, so each host has its own.
const METRICS: &str = "127.0.0.1:9464";

/// An agent of a host: its command line and its daemon.
#[derive(Clone, Debug)]
pub struct Agent {
    host: Host,
    program: PathBuf,
    instance: String,
    packs: Option<PathBuf>,
    bpffs: PathBuf,
    no_tcx: bool,
}

impl Agent {
    /// For this host, from this program. One host has one agent.
    ///
    /// # Errors
    /// The program isn't there.
    pub fn new(host: &Host, program: &Path) -> Result<Self> {
        ensure!(program.is_file(), "{} is not built", program.display());
        let (program, instance, bpffs) = (program.to_owned(), host.name().to_owned(), host.lab().bpffs());
        Ok(Self { host: host.clone(), program, instance, packs: None, bpffs, no_tcx: false })
    }

    /// The same with packs of this folder beside those that are built in.
    #[must_use]
    pub fn with_packs(self, folder: &Path) -> Self {
        Self { packs: Some(folder.to_owned()), ..self }
    }

    /// The same as on a kernel without TCX.
    #[must_use]
    pub fn without_tcx(self) -> Self {
        Self { no_tcx: true, ..self }
    }

    /// Where [`Agent::new`] finds the program in a suite: what `cargo xtask test` built and named.
    ///
    /// # Errors
    /// The suite was not started by `cargo xtask test`.
    pub fn program() -> Result<PathBuf> {
        let named = std::env::var_os("PORTREEVE");
        named.map(PathBuf::from).context("PORTREEVE doesn't name the program: run this by `cargo xtask test`")
    }

    /// Starts the daemon with a host file, and waits until it serves metrics.
    ///
    /// # Errors
    /// It ends instead; the message holds the end of its log.
    pub fn start(&self, host_file: &Path) -> Result<Server> {
        let mut words = self.words(["run"]);
        words.extend(["--host".into(), host_file.into(), "--metrics".into(), METRICS.into()]);
        let mut server = self.host.spawn(words)?;
        server.wait_until("serves metrics", PATIENCE, |_| Ok(self.scrape()?.success()))?;
        Ok(server)
    }

    /// Runs a command that works on this instance: `["drops", "--json"]`.
    ///
    /// # Errors
    /// It can't be started. A failing command is an `Ok` with its code.
    pub fn command<I, S>(&self, words: I) -> Result<Output>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.host.run(self.words(words))
    }

    /// A command on this instance, for those who want its environment.
    ///
    /// # Errors
    /// There is no such host any more.
    pub fn prepare<I, S>(&self, words: I) -> Result<Command>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.host.command(self.words(words))
    }

    /// The same instance by another program.
    #[must_use]
    pub fn with_program(&self, program: &Path) -> Self {
        Self { program: program.to_owned(), ..self.clone() }
    }

    /// Another instance on the same host.
    #[must_use]
    pub fn with_instance(&self, name: &str) -> Self {
        Self { instance: name.to_owned(), ..self.clone() }
    }

    /// The same instance with its pins elsewhere.
    #[must_use]
    pub fn with_bpffs(&self, folder: &Path) -> Self {
        Self { bpffs: folder.to_owned(), ..self.clone() }
    }

    /// Starts a command that goes on, like `run`; its output goes to a log.
    ///
    /// # Errors
    /// It can't be started.
    pub fn spawn<I, S>(&self, words: I) -> Result<Server>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.host.spawn(self.words(words))
    }

    /// Where it remembers.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.folder("state").join(&self.instance)
    }

    /// Where its pins are.
    #[must_use]
    pub fn pins(&self) -> PathBuf {
        self.bpffs.join(&self.instance)
    }

    fn folder(&self, kind: &str) -> PathBuf {
        self.host.lab().dir().join(format!("{}-{kind}", self.host.name()))
    }

    /// What it exports now.
    ///
    /// # Errors
    /// It doesn't answer.
    pub fn metrics(&self) -> Result<String> {
        Ok(self.scrape()?.ok()?.stdout)
    }

    fn scrape(&self) -> Result<Output> {
        let url = format!("http://{METRICS}/metrics");
        self.host.run(["curl", "--silent", "--show-error", "--fail", "--max-time", "2", &url])
    }

    /// The program, a command, and the flags that keep it inside the lab.
    fn words<I, S>(&self, command: I) -> Vec<PathBuf>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let mut words: Vec<PathBuf> = Vec::new();
        if self.no_tcx {
            words.extend(["env".into(), "PORTREEVE_NO_TCX=1".into()]);
        }
        words.push(self.program.clone());
        words.extend(command.into_iter().map(|word| PathBuf::from(word.as_ref())));
        words.extend(["--instance".into(), self.instance.clone().into()]);
        words.extend(["--bpffs".into(), self.bpffs.clone()]);
        words.extend(["--state-dir".into(), self.folder("state"), "--run-dir".into(), self.folder("run")]);
        if let Some(folder) = &self.packs {
            words.extend(["--packs".into(), folder.clone()]);
        }
        words
    }
}

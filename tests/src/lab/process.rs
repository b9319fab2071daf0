//! Commands: run with a deadline, their output kept, their failure told with what they said.

use std::{
    ffi::{OsStr, OsString},
    fmt, fs,
    io::Read,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::{PATIENCE, interrupt};

/// What a finished command left.
#[derive(Clone, Debug)]
pub struct Output {
    /// As it was typed, for messages.
    pub command: String,
    /// `None`: a signal ended it.
    pub code: Option<i32>,
    /// Standard output, with anything that isn't UTF-8 replaced.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
    /// From start to end.
    pub took: Duration,
}

impl Output {
    /// Whether it ended with 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// Itself, if it ended with 0.
    ///
    /// # Errors
    /// Another exit code; the message holds what the command said.
    pub fn ok(self) -> Result<Self> {
        if self.success() {
            return Ok(self);
        }
        bail!("{self}")
    }

    /// Itself, if it did *not* end with 0.
    ///
    /// # Errors
    /// The exit code 0.
    pub fn refused(self) -> Result<Self> {
        if self.success() {
            bail!("should have failed: {self}")
        }
        Ok(self)
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "`{}` ended with {code}", self.command)?,
            None => write!(f, "`{}` was ended by a signal", self.command)?,
        }
        for said in [self.stderr.trim(), self.stdout.trim()] {
            if !said.is_empty() {
                write!(f, "\n{said}")?;
            }
        }
        Ok(())
    }
}

/// Runs a command on the machine itself.
pub(super) fn run<I, S>(words: I) -> Result<Output>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    finish(command(words)?, PATIENCE)
}

/// A command of its words; the first one names the program.
pub(super) fn command<I, S>(words: I) -> Result<Command>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut words = words.into_iter();
    let Some(program) = words.next() else { bail!("a command needs a program") };
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null());
    Ok(command)
}

/// Waits for the end of a command, and ends it after `patience`.
pub(super) fn finish(mut command: Command, patience: Duration) -> Result<Output> {
    interrupt::hold();
    let typed = typed(&command);
    let begin = Instant::now();
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("can't start `{typed}`"))?;
    let readers = (read(child.stdout.take()), read(child.stderr.take()));
    let status = loop {
        interrupt::hold();
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if begin.elapsed() > patience {
            child.kill()?;
            child.wait()?;
            bail!("`{typed}` did not end within {} s", patience.as_secs_f32());
        }
        thread::sleep(Duration::from_millis(2));
    };
    interrupt::hold();
    let (stdout, stderr) = (text(readers.0)?, text(readers.1)?);
    Ok(Output { command: typed, code: status.code(), stdout, stderr, took: begin.elapsed() })
}

type Reader = thread::JoinHandle<std::io::Result<Vec<u8>>>;

fn read(pipe: Option<impl Read + Send + 'static>) -> Option<Reader> {
    let mut pipe = pipe?;
    Some(thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).map(|_| bytes)
    }))
}

fn text(reader: Option<Reader>) -> Result<String> {
    let Some(reader) = reader else { return Ok(String::new()) };
    match reader.join() {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes?).into_owned()),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// The command as one would type it, without the words that only lead into a namespace.
pub(super) fn typed(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
    let own = words.iter().position(|word| word == "--").map_or(0, |end| end + 1);
    let own = if words.first().is_some_and(|word| word == "ip") { own } else { 0 };
    words.get(own..).unwrap_or(&words).join(" ")
}

/// Where a program is on the path, which for root's programs may need the `sbin` folders.
pub(super) fn find(program: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let sbin = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(sbin)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .with_context(|| format!("`{program}` is missing: run `cargo xtask setup`"))
}

/// `PATH` with the `sbin` folders, where Debian keeps nginx and chronyd.
pub(super) fn path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    path
}

/// The last lines of a log, for messages.
pub(super) fn tail(log: &std::path::Path) -> String {
    const LINES: usize = 20;
    let text = fs::read_to_string(log).unwrap_or_else(|error| format!("{}: {error}", log.display()));
    let lines: Vec<_> = text.lines().collect();
    lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default().join("\n")
}

//! One instance on this machine: its folders, its lock, and what it remembers from one start to the next.

mod state;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use nix::unistd::geteuid;
use tempfile::NamedTempFile;

pub use self::state::{Generation, Resume, State};
use crate::{crash, datapath::Pins};

/// Where state is kept unless told otherwise.
pub const DEFAULT_STATE: &str = "/var/lib/portreeve";
/// Where a running instance has its lock unless told otherwise.
pub const DEFAULT_RUN: &str = "/run/portreeve";

/// The file that a daemon keeps locked.
const DAEMON: &str = "daemon";
/// `status` holds the daemon's lock for a glance: a daemon that starts just then tries again.
const ATTEMPTS: u32 = 10;
const GLANCE: Duration = Duration::from_millis(20);

/// Why an instance can't be worked on.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// Only root may.
    #[error("this needs root: try again with sudo")]
    NotRoot,
    /// Nobody started it.
    #[error("instance `{0}` is not running here: `portreeve run --host HOST.toml` starts it")]
    Unknown(String),
    /// Its state has no policy.
    #[error("instance `{0}` has no last good policy: name a host file with --host")]
    NoPolicy(String),
    /// Another daemon has it.
    #[error("instance `{0}` has a daemon already: `portreeve apply HOST.toml` changes its policy")]
    Running(String),
    /// A file can't be read or written.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The state is not what this version writes.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        source: serde_json::Error,
    },
}

/// An instance's name and places.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Its name.
    pub name: String,
    /// Its maps, programs and links.
    pub pins: Pins,
    state: PathBuf,
    run: PathBuf,
}

/// Held while anything of an instance changes.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Instance {
    /// Its folders below these.
    #[must_use]
    pub fn new(name: &str, bpffs: &Path, state: &Path, run: &Path) -> Self {
        let pins = Pins::new(bpffs, name);
        Self { name: name.into(), pins, state: state.join(name), run: run.join(name) }
    }

    /// Takes the lock, waiting for who has it.
    ///
    /// # Errors
    /// Not root, or the lock's file can't be made.
    pub fn lock(&self) -> Result<Lock, InstanceError> {
        let (file, path) = self.open("lock")?;
        file.lock().map_err(|source| InstanceError::File { doing: "lock", path, source })?;
        Ok(Lock { _file: file })
    }

    /// Takes the daemon's lock, which it keeps as long as it runs.
    ///
    /// # Errors
    /// Not root; another daemon has it.
    pub fn lock_daemon(&self) -> Result<Lock, InstanceError> {
        let (file, path) = self.open(DAEMON)?;
        for _ in 0..ATTEMPTS {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(fs::TryLockError::WouldBlock) => thread::sleep(GLANCE),
                Err(fs::TryLockError::Error(source)) => {
                    return Err(InstanceError::File { doing: "lock", path, source });
                }
            }
        }
        Err(InstanceError::Running(self.name.clone()))
    }

    /// Whether a daemon runs.
    ///
    /// # Errors
    /// The lock's file can't be made.
    pub fn has_daemon(&self) -> Result<bool, InstanceError> {
        let (file, path) = self.open(DAEMON)?;
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(fs::TryLockError::WouldBlock) => Ok(true),
            Err(fs::TryLockError::Error(source)) => Err(InstanceError::File { doing: "lock", path, source }),
        }
    }

    fn open(&self, name: &str) -> Result<(File, PathBuf), InstanceError> {
        if !geteuid().is_root() {
            return Err(InstanceError::NotRoot);
        }
        make(&self.run)?;
        let path = self.run.join(name);
        let opened = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        match opened {
            Ok(file) => Ok((file, path)),
            Err(source) => Err(InstanceError::File { doing: "open", path, source }),
        }
    }

    /// What is remembered; `None` if nothing ever was.
    ///
    /// # Errors
    /// The file can't be read, or is damaged.
    pub fn state(&self) -> Result<Option<State>, InstanceError> {
        let newest = read_state(self.state_file());
        match (&newest, read_state(self.older_state_file())) {
            // Power was lost between two renames, or the disk has lost a part of the newest one.
            (Ok(None), Ok(Some(older))) => Ok(Some(older)),
            (Err(error @ InstanceError::Damaged { .. }), Ok(Some(older))) => {
                tracing::warn!(%error, "the state before it is used");
                Ok(Some(older))
            }
            _ => newest,
        }
    }

    /// What is remembered of an instance that is in the kernel.
    ///
    /// # Errors
    /// Not root, or it is not there.
    pub fn running(&self) -> Result<State, InstanceError> {
        if !geteuid().is_root() {
            return Err(InstanceError::NotRoot);
        }
        let state = if self.pins.exist() { self.state()? } else { None };
        let state = state.filter(|state| state.ticks_per_second > 0);
        state.ok_or_else(|| InstanceError::Unknown(self.name.clone()))
    }

    /// Remembers.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn remember(&self, state: &State) -> Result<(), InstanceError> {
        let path = self.state_file();
        let text = serde_json::to_string_pretty(state)
            .map_err(|source| InstanceError::Damaged { path: path.clone(), source })?;
        let new = self.prepare(&path, text.as_bytes())?;
        // The one before stays beside it. Between the two renames there is only that one, which says the same of what
        // the kernel has: nothing is stored there before this returns.
        if matches!(read_state(path.clone()), Ok(Some(_))) {
            let older = self.older_state_file();
            fs::rename(&path, &older).map_err(|source| InstanceError::File {
                doing: "write",
                path: older,
                source,
            })?;
            crash::point();
        }
        self.put(new, &path)
    }

    /// The last good policy's host file; it may not be there.
    #[must_use]
    pub fn host_file(&self) -> PathBuf {
        self.state.join("host.toml")
    }

    /// Keeps a host file's text as the last good policy.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn keep_host_file(&self, text: &str) -> Result<(), InstanceError> {
        self.write(&self.host_file(), text.as_bytes())
    }

    /// Forgets what belongs to the maps that are gone; the last good policy stays.
    ///
    /// # Errors
    /// The file can't be removed.
    pub fn forget(&self) -> Result<(), InstanceError> {
        // The older one first: what is left, if this is cut short, is still the newest.
        for path in [self.older_state_file(), self.state_file()] {
            crash::point();
            match fs::remove_file(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(InstanceError::File { doing: "remove", path, source });
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn state_file(&self) -> PathBuf {
        self.state.join("state.json")
    }

    fn older_state_file(&self) -> PathBuf {
        self.state.join("state.old.json")
    }

    /// All or nothing: a new file that takes the old one's place once it is on the disk.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), InstanceError> {
        self.put(self.prepare(path, bytes)?, path)
    }

    /// A new file on the disk, without its name.
    fn prepare(&self, path: &Path, bytes: &[u8]) -> Result<NamedTempFile, InstanceError> {
        crash::point();
        make(&self.state)?;
        let failed = |source| InstanceError::File { doing: "write", path: path.into(), source };
        let mut file = NamedTempFile::new_in(&self.state).map_err(failed)?;
        crash::point();
        file.write_all(bytes).map_err(failed)?;
        crash::point();
        file.as_file().sync_all().map_err(failed)?;
        Ok(file)
    }

    fn put(&self, file: NamedTempFile, path: &Path) -> Result<(), InstanceError> {
        let failed = |source| InstanceError::File { doing: "write", path: path.into(), source };
        crash::point();
        file.persist(path).map_err(|error| failed(error.error))?;
        crash::point();
        File::open(&self.state).and_then(|folder| folder.sync_all()).map_err(failed)
    }
}

/// `None` if there is none.
fn read_state(path: PathBuf) -> Result<Option<State>, InstanceError> {
    match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(InstanceError::File { doing: "read", path, source }),
        Ok(text) => {
            let state = serde_json::from_str(&text);
            state.map(Some).map_err(|source| InstanceError::Damaged { path, source })
        }
    }
}

/// A folder that only root looks into.
fn make(folder: &Path) -> Result<(), InstanceError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| InstanceError::File { doing: "make", path: folder.into(), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn state_comes_back_as_it_was_and_only_root_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let instance = Instance::new("default", folder.path(), &folder.path().join("state"), folder.path());
        assert!(instance.state().unwrap().is_none());
        let mut state = State::begin(250).unwrap();
        assert_eq!(state.slots.interfaces.give("b").unwrap(), 0);
        instance.remember(&state).unwrap();
        let back = instance.state().unwrap().unwrap();
        assert_eq!((back.secret, back.slots, back.since), (state.secret, state.slots, state.since));
        assert_ne!(back.secret, [0; 2]);
        let mode = fs::metadata(folder.path().join("state/default/state.json")).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn damaged_state_is_named_and_the_one_before_it_stands_in() {
        let folder = tempfile::tempdir().unwrap();
        let instance = Instance::new("default", folder.path(), folder.path(), folder.path());
        instance.write(&instance.state_file(), b"{").unwrap();
        assert!(instance.state().unwrap_err().to_string().ends_with("state.json is damaged"));
        let mut state = State::begin(250).unwrap();
        instance.remember(&state).unwrap();
        state.generation = 1;
        instance.remember(&state).unwrap();
        assert_eq!(instance.state().unwrap().unwrap().generation, 1);
        for broken in ["", "{", "{}"] {
            instance.write(&instance.state_file(), broken.as_bytes()).unwrap();
            assert_eq!(instance.state().unwrap().unwrap().generation, 0, "{broken:?}");
        }
        // What is damaged never takes the place of what is whole.
        instance.remember(&state).unwrap();
        instance.write(&instance.state_file(), b"{").unwrap();
        assert_eq!(instance.state().unwrap().unwrap().generation, 0);
        instance.forget().unwrap();
        assert!(instance.state().unwrap().is_none());
    }
}

//! Whether a host file is safe to obey: who owns it, and who may change it.

use std::{
    fs::{File, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use nix::unistd::Uid;

/// Write permission for the group or for others.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Why a file is not obeyed.
#[derive(Debug, thiserror::Error)]
pub enum PermissionError {
    /// It can't be opened.
    #[error("cannot open {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else may change what is enforced.
    #[error("{} can be written by others (mode {mode:04o}): run `chmod go-w {}`", path.display(), path.display())]
    Writable {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Somebody else owns it, and so may change it.
    #[error("{} belongs to user {owner}: root or user {caller} has to own it", path.display())]
    Owner {
        /// The file.
        path: PathBuf,
        /// Who owns it.
        owner: u32,
        /// Who asks.
        caller: u32,
    },
    /// A folder, pipe or device.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// A file, pipe or device.
    #[error("{} is not a folder", path.display())]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
}

impl PermissionError {
    /// What would be right.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Open { .. } | Self::NotAFile { .. } => {
                "name a file that exists and that this user may read"
            }
            Self::NotAFolder { .. } => "name a folder that exists and that this user may read",
            Self::Writable { .. } | Self::Owner { .. } => "only root or this user may be able to change it",
        }
    }
}

/// Checks that nobody but root and the caller can change a file.
///
/// # Errors
/// Names who else could.
pub fn permissions(path: &Path) -> Result<(), PermissionError> {
    open(path).map(drop)
}

/// Opens a file that nobody but root and the caller can change; what is checked is what will be read.
///
/// # Errors
/// Names who else could.
pub fn open(path: &Path) -> Result<File, PermissionError> {
    let failed = |source| PermissionError::Open { path: path.into(), source };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    judge(path, &metadata, Uid::effective())?;
    Ok(file)
}

/// Checks that nobody but root and the caller can put files into a folder, or take them out.
///
/// # Errors
/// Names who else could.
pub fn folder(path: &Path) -> Result<(), PermissionError> {
    let metadata = path.metadata().map_err(|source| PermissionError::Open { path: path.into(), source })?;
    if !metadata.is_dir() {
        return Err(PermissionError::NotAFolder { path: path.into() });
    }
    ours(path, &metadata, Uid::effective())
}

fn judge(path: &Path, metadata: &Metadata, caller: Uid) -> Result<(), PermissionError> {
    if !metadata.is_file() {
        return Err(PermissionError::NotAFile { path: path.into() });
    }
    ours(path, metadata, caller)
}

fn ours(path: &Path, metadata: &Metadata, caller: Uid) -> Result<(), PermissionError> {
    let path = path.to_owned();
    let mode = metadata.mode() & 0o7777;
    let (owner, caller) = (metadata.uid(), caller.as_raw());
    if mode & WRITABLE_BY_OTHERS != 0 {
        return Err(PermissionError::Writable { path, mode });
    }
    if owner != 0 && owner != caller {
        return Err(PermissionError::Owner { path, owner, caller });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn only_the_owner_may_write() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (mode, fine) in [(0o600, true), (0o644, true), (0o444, true), (0o664, false), (0o646, false)] {
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
            let result = permissions(file.path());
            assert_eq!(result.is_ok(), fine, "{mode:o}: {result:?}");
        }
        let message = permissions(file.path()).unwrap_err().to_string();
        assert!(message.contains("mode 0646") && message.contains("chmod go-w"), "{message}");
    }

    #[test]
    fn a_stranger_may_not_own_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o600)).unwrap();
        let metadata = file.as_file().metadata().unwrap();
        let stranger = Uid::from_raw(metadata.uid() + 1);
        let result = judge(file.path(), &metadata, stranger);
        // A file of root's is everybody's to obey.
        assert_eq!(result.is_ok(), metadata.uid() == 0);
    }

    #[test]
    fn folders_and_missing_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(permissions(folder.path()), Err(PermissionError::NotAFile { .. })));
        assert!(matches!(permissions(&folder.path().join("none")), Err(PermissionError::Open { .. })));
    }
}

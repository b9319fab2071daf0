//! bpf-linker: whether it is there, runs, and whose LLVM it uses.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The release that is known to work with Debian's LLVM 22.
pub(crate) const VERSION: &str = "0.10.3";

/// Debian's LLVM, as a program that is linked to it names it.
const LIBRARY: &[u8] = b"libLLVM.so.22";

/// What kind of linker this machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Linker {
    /// None on the path, or in cargo's folder of programs.
    Missing,
    /// One that doesn't start: its LLVM has been removed.
    Broken,
    /// One that uses Debian's LLVM 22.
    Debian,
    /// One that uses the LLVM of rustup's compiler, or its own.
    Other,
}

impl Linker {
    /// Looks for it, starts it, and reads which library it names.
    pub(super) fn find(path: &[PathBuf]) -> Self {
        let Some(file) = path.iter().map(|folder| folder.join("bpf-linker")).find(|file| file.is_file())
        else {
            return Self::Missing;
        };
        let mut version = Command::new(&file);
        let runs = version.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !runs.is_ok_and(|status| status.success()) {
            return Self::Broken;
        }
        if names(&file, LIBRARY) { Self::Debian } else { Self::Other }
    }
}

fn names(file: &Path, library: &[u8]) -> bool {
    fs::read(file).is_ok_and(|bytes| bytes.windows(library.len()).any(|window| window == library))
}

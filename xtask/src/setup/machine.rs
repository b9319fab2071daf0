//! A machine as far as setup is concerned: what is there, and what can be had.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{
    linker::Linker,
    need::{Need, Purpose},
    plan::{CONFLICTS, TOOLCHAIN},
};

/// Debian's `core` for the kernel's target.
const DEBIAN_CORE: &str = "/usr/lib/rustlib/bpfel-unknown-none/lib";

/// How to become root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rights {
    /// Already.
    Root,
    /// By `sudo`, without being asked for a password.
    Sudo,
    /// Not at all.
    None,
}

/// rustup's nightly toolchain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nightly {
    /// There is no rustup.
    NoRustup,
    /// rustup, without a nightly or without the sources of `core`.
    Incomplete,
    /// With the sources: it can build `core` for the kernel.
    Ready,
}

/// What is there. Plain data, so that a test can make any machine.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// Whether it is a Debian or a child of it.
    pub(crate) apt: bool,
    /// Who we are.
    pub(crate) rights: Rights,
    /// Whether Debian's toolchain for the kernel is complete.
    pub(crate) debian_toolchain: bool,
    /// Whether Debian's LLVM, which the linker is built against, is complete.
    pub(crate) debian_llvm: bool,
    /// Installed packages that can't stand beside Debian's toolchain.
    pub(crate) conflicts: Vec<&'static str>,
    /// What the package lists offer, by package; empty until [`Machine::with_offers`] has asked.
    pub(crate) offers: BTreeMap<String, String>,
    /// The other toolchain.
    pub(crate) nightly: Nightly,
    /// The linker.
    pub(crate) linker: Linker,
    /// Programs that the purposes need and that are missing.
    pub(crate) missing: BTreeSet<Need>,
}

impl Machine {
    /// Looks around, without starting anything that takes long.
    pub(super) fn survey(purposes: &[Purpose]) -> Self {
        let path = search_path();
        let apt = has(&path, "apt-get") && has(&path, "dpkg-query");
        let debian_toolchain = Path::new(DEBIAN_CORE).is_dir()
            && ["/usr/bin/cargo", "/usr/bin/rustc"].iter().all(|file| Path::new(file).is_file());
        let debian_llvm = ["bin/llvm-config", "lib/libPolly.a", "include/llvm-c/Core.h"]
            .iter()
            .all(|file| Path::new("/usr/lib/llvm-22").join(file).exists());
        let needs = purposes.iter().flat_map(|purpose| purpose.needs());
        Self {
            apt,
            rights: rights(&path),
            debian_toolchain,
            debian_llvm,
            conflicts: if apt && !debian_toolchain { conflicts() } else { Vec::new() },
            offers: BTreeMap::new(),
            nightly: nightly(&path),
            linker: Linker::find(&path),
            missing: needs.filter(|need| !need.met(&path)).collect(),
        }
    }

    /// Whether package lists are needed: something is missing, and apt may have it.
    pub(super) fn needs_lists(&self) -> bool {
        let packages = !self.debian_toolchain || (self.linker != Linker::Debian && !self.debian_llvm);
        let build = packages && !self.nightly_ready();
        self.apt && self.rights != Rights::None && (build || !self.missing.is_empty())
    }

    /// Itself, knowing what the package lists of this machine offer of what it lacks.
    pub(super) fn with_offers(mut self) -> Self {
        if self.needs_lists() {
            let missing = self.missing.iter().map(|need| need.package);
            self.offers = offers(TOOLCHAIN.into_iter().chain(missing));
        }
        self
    }

    /// Whether Debian's packages build the kernel programs here and now.
    pub(super) fn debian_ready(&self) -> bool {
        self.debian_toolchain && self.linker == Linker::Debian
    }

    /// Whether rustup's nightly does. A linker with Debian's LLVM reads its code too.
    pub(super) fn nightly_ready(&self) -> bool {
        let linker = matches!(self.linker, Linker::Debian | Linker::Other);
        !self.debian_toolchain && self.nightly == Nightly::Ready && linker
    }
}

/// `PATH`, root's folders, and cargo's, whether or not the shell has them.
fn search_path() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = env::split_paths(&path).collect();
    folders.extend(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders.extend(home("CARGO_HOME", ".cargo").map(|home| home.join("bin")));
    folders
}

fn home(variable: &str, folder: &str) -> Option<PathBuf> {
    env::var_os(variable)
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(folder)))
}

fn has(path: &[PathBuf], program: &str) -> bool {
    path.iter().any(|folder| folder.join(program).is_file())
}

fn rights(path: &[PathBuf]) -> Rights {
    if nix::unistd::geteuid().is_root() {
        return Rights::Root;
    }
    let mut sudo = Command::new("sudo");
    sudo.args(["-n", "true"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if has(path, "sudo") && sudo.status().is_ok_and(|status| status.success()) {
        return Rights::Sudo;
    }
    Rights::None
}

/// By its files: asking rustup would take longer, and may make it install one.
fn nightly(path: &[PathBuf]) -> Nightly {
    if !has(path, "rustup") {
        return Nightly::NoRustup;
    }
    let toolchains = home("RUSTUP_HOME", ".rustup").map(|home| home.join("toolchains"));
    let entries = toolchains.and_then(|folder| folder.read_dir().ok()).into_iter().flatten().flatten();
    let complete = entries.map(|entry| entry.path()).any(|folder| {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        is_nightly(&name) && folder.join("lib/rustlib/src/rust/library/core").is_dir()
    });
    if complete { Nightly::Ready } else { Nightly::Incomplete }
}

/// `nightly-x86_64-unknown-linux-gnu`, and not `nightly-2026-01-01-…`, which nobody asks for by `nightly`.
fn is_nightly(toolchain: &str) -> bool {
    let rest = toolchain.strip_prefix("nightly-");
    rest.is_some_and(|host| !host.starts_with(|first: char| first.is_ascii_digit()))
}

fn conflicts() -> Vec<&'static str> {
    let mut query = Command::new("dpkg-query");
    query.args(["-W", "-f", "${Package} ${db:Status-Status}\n"]).args(CONFLICTS);
    let listed = query.stderr(Stdio::null()).output().map(|output| output.stdout).unwrap_or_default();
    let listed = String::from_utf8_lossy(&listed).into_owned();
    CONFLICTS
        .into_iter()
        .filter(|package| listed.lines().any(|line| line == format!("{package} installed")))
        .collect()
}

fn offers(packages: impl Iterator<Item = &'static str>) -> BTreeMap<String, String> {
    let mut policy = Command::new("apt-cache");
    policy.arg("policy").args(packages).env("LC_ALL", "C");
    let said = policy.output().map(|output| output.stdout).unwrap_or_default();
    candidates(&String::from_utf8_lossy(&said))
}

/// Reads `apt-cache policy`: a line `package:`, then lines of which one is `  Candidate: version`.
fn candidates(policy: &str) -> BTreeMap<String, String> {
    let mut offers = BTreeMap::new();
    let mut package = "";
    for line in policy.lines() {
        if let Some(version) = line.trim().strip_prefix("Candidate: ") {
            if version != "(none)" {
                offers.insert(package.to_owned(), version.to_owned());
            }
        } else if !line.starts_with(' ') {
            package = line.trim_end_matches(':');
        }
    }
    offers
}

#[cfg(test)]
mod tests {
    use super::{candidates, is_nightly};

    #[test]
    fn reads_candidates() {
        let policy = "rustc-web:\n  Installed: (none)\n  Candidate: 1.96.0+dfsg1-1~deb12u2\n  Version table:\n     \
                      1.85.0 500\nllvm-22:\n  Installed: (none)\n  Candidate: (none)\n";
        let expected = [("rustc-web".to_owned(), "1.96.0+dfsg1-1~deb12u2".to_owned())].into();
        assert_eq!(candidates(policy), expected);
    }

    #[test]
    fn a_dated_nightly_is_not_nightly() {
        assert!(is_nightly("nightly-x86_64-unknown-linux-gnu"));
        assert!(!is_nightly("nightly-2026-01-01-x86_64-unknown-linux-gnu"));
        assert!(!is_nightly("stable-x86_64-unknown-linux-gnu"));
    }
}

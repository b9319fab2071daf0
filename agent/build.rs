//! Builds the kernel programs into `OUT_DIR/datapath`; it installs nothing, `cargo xtask setup` does.
#![forbid(unsafe_code)]

use std::{
    env, fmt,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, bail};
use aya_build::{Package, Toolchain};

/// Debian's packages install a toolchain here, with a prebuilt `core` for the kernel's target.
const DEBIAN_PREFIX: &str = "/usr";
const DEBIAN_CORE: &str = "/usr/lib/rustlib/bpfel-unknown-none/lib";

/// What the programs are made of besides the eBPF crate's own folder, which aya-build watches.
const SOURCES: [&str; 4] = ["build.rs", "../common", "../Cargo.toml", "../Cargo.lock"];

/// Set for the second run of this script.
const AGAIN: &str = "PORTREEVE_BUILD_AGAIN";

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Cargo prints this as an error of its own, without the script's other output around it.
            println!("cargo::error={error:#}");
            ExitCode::FAILURE
        }
    }
}

/// aya-build takes what it has no argument for from the environment. Only another process can be given one without
/// changing our own under the feet of whoever reads it: this script starts itself again.
fn build() -> Result<()> {
    let path = search_path()?;
    let toolchain = toolchain(&path)?;
    if env::var_os(AGAIN).is_some() {
        let package = Package { name: "portreeve-ebpf", root_dir: "../ebpf", ..Package::default() };
        return aya_build::build_ebpf([package], toolchain).context("the kernel programs do not build");
    }
    for source in SOURCES {
        println!("cargo:rerun-if-changed={source}");
    }
    if !has(&path, "bpf-linker") {
        bail!(Missing("bpf-linker"));
    }
    let script = env::current_exe().context("the build script has no path")?;
    let ended = Command::new(script).env(AGAIN, "1").envs(settings(path, &toolchain)).status();
    if !ended.context("the build script can't be started again")?.success() {
        // The other process has said why.
        std::process::exit(1);
    }
    Ok(())
}

fn settings(path: String, toolchain: &Toolchain<'_>) -> Vec<(&'static str, String)> {
    let mut settings = vec![
        // The kernel programs want whole-program optimisation, whatever the agent's profile says.
        ("CARGO_PROFILE_RELEASE_LTO", "true".to_owned()),
        // Cargo repeats every line of ours at every later build, so only complaints may be among them.
        ("CARGO_TERM_QUIET", "true".to_owned()),
    ];
    match toolchain {
        Toolchain::Nightly => settings.push(("PATH", path)),
        Toolchain::Custom(prefix) => {
            // Where there is no rustup, aya-build takes the first cargo on the path.
            settings.push(("PATH", format!("{prefix}/bin:{path}")));
            // aya-ebpf uses one unstable feature. Its name alone keeps nightly out of every other crate.
            settings.push(("RUSTC_BOOTSTRAP", "aya_ebpf".to_owned()));
        }
    }
    settings
}

/// `PATH`, then where `cargo install` puts programs: not every shell has that folder on its path.
fn search_path() -> Result<String> {
    let home = env::var("CARGO_HOME").context("cargo did not say where its home is")?;
    Ok(format!("{}:{home}/bin", env::var("PATH").unwrap_or_default()))
}

fn toolchain(path: &str) -> Result<Toolchain<'static>> {
    if Path::new(DEBIAN_CORE).is_dir() && has("/usr/bin", "cargo") && has("/usr/bin", "rustc") {
        return Ok(Toolchain::Custom(DEBIAN_PREFIX));
    }
    if has(path, "rustup") && nightly_has_sources() {
        return Ok(Toolchain::Nightly);
    }
    bail!(Missing("a Rust toolchain that compiles for the kernel"));
}

/// Nightly builds `core` for the kernel's target itself, from the component `rust-src`.
fn nightly_has_sources() -> bool {
    let sysroot = Command::new("rustup").args(["run", "nightly", "rustc", "--print", "sysroot"]).output();
    sysroot.is_ok_and(|sysroot| {
        let sysroot = PathBuf::from(String::from_utf8_lossy(&sysroot.stdout).trim());
        sysroot.join("lib/rustlib/src/rust/library/core").is_dir()
    })
}

fn has(path: &str, program: &str) -> bool {
    env::split_paths(path).any(|folder| folder.join(program).is_file())
}

/// What isn't there, and what to type about it.
#[derive(Debug)]
struct Missing(&'static str);

impl std::error::Error for Missing {}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is missing: run `cargo xtask setup`", self.0)
    }
}

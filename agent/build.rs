//! Builds the kernel programs into `OUT_DIR/datapath`; it installs nothing, `cargo xtask setup` does.
//!
//! A command of our own and not aya-build, which fixes the compiler's flags: on the kernel's third instruction set
//! (since Linux 5.1) the programs are a tenth shorter, and the verifier follows their bounds more easily.

use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, bail};
use object::{
    build::elf::{Builder, SectionData},
    elf::SHT_STRTAB,
};

/// Debian's packages install a toolchain here, with a prebuilt `core` for the kernel's target.
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CORE: &str = "/usr/lib/rustlib/bpfel-unknown-none/lib";

/// What the programs are made of.
const SOURCES: [&str; 5] = ["build.rs", "../ebpf", "../common", "../Cargo.toml", "../Cargo.lock"];

/// Programs of the benchmark: built beside the others, and no part of the agent.
const BENCH: &str = "bench-programs";

/// Who compiles for the kernel.
enum Toolchain {
    /// Debian's packages.
    Debian,
    /// Nightly of rustup, which builds `core` from its sources.
    Nightly,
}

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Cargo prints this as an error of its own, without the script's other output around it.
            for line in format!("{error:#}").lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<()> {
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    let path = search_path()?;
    if !has(&path, "bpf-linker") {
        bail!(Missing("bpf-linker"));
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").context("cargo did not say where output goes")?);
    let target = target()?;
    // Apart from the workspace's own, which this build holds locked.
    let folder = out.join("target");
    let mut command = cargo(toolchain(&path)?);
    command.args(["build", "--package", "portreeve-ebpf", "--bins", "--release", "--target", target]);
    command.arg("--target-dir").arg(&folder).env("PATH", &path);
    command.env("CARGO_ENCODED_RUSTFLAGS", flags()?);
    // The kernel programs want whole-program optimisation, whatever the agent's profile says.
    command.env("CARGO_PROFILE_RELEASE_LTO", "true").env("CARGO_TERM_QUIET", "true");
    for inherited in ["RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "RUSTFLAGS"] {
        command.env_remove(inherited);
    }
    let output = command.output().context("cannot start cargo for the kernel programs")?;
    if !output.status.success() {
        bail!("the kernel programs do not build\n{}", String::from_utf8_lossy(&output.stderr));
    }
    for name in ["datapath", BENCH] {
        let built = folder.join(target).join("release").join(name);
        let object = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
        let object = without_debug(&object).with_context(|| format!("{} is no object", built.display()))?;
        fs::write(out.join(name), object).with_context(|| format!("cannot write {name}"))?;
    }
    // The benchmark's build script reads it as `DEP_PORTREEVE_DATAPATH_BENCH`.
    println!("cargo::metadata=bench={}", out.join(BENCH).display());
    Ok(())
}

/// The linker made types and lines of the debug information (`.BTF`, `.BTF.ext`); four fifths of the object are needed no
/// more, and would be read into the agent's memory at each start.
fn without_debug(object: &[u8]) -> Result<Vec<u8>> {
    let mut builder = Builder::read(object)?;
    for section in &mut builder.sections {
        let name = section.name.as_slice();
        section.delete = name.starts_with(b".debug") || name.starts_with(b".rel.debug");
    }
    // The linker keeps the names of sections beside those of symbols, the builder apart.
    let names = builder.sections.add();
    names.name = b".shstrtab".as_slice().into();
    names.sh_type = SHT_STRTAB;
    names.sh_addralign = 1;
    names.data = SectionData::SectionString;
    builder.delete_orphans();
    let mut written = Vec::new();
    builder.write(&mut written)?;
    Ok(written)
}

fn cargo(toolchain: Toolchain) -> Command {
    match toolchain {
        Toolchain::Debian => {
            let mut cargo = Command::new(DEBIAN_CARGO);
            // aya-ebpf uses one unstable feature. Its name alone keeps nightly out of every other crate.
            cargo.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "aya_ebpf");
            cargo
        }
        Toolchain::Nightly => {
            let mut cargo = Command::new("rustup");
            cargo.args(["run", "nightly", "cargo", "-Zbuild-std=core"]).env_remove("RUSTC");
            cargo
        }
    }
}

/// The kernel's target of this machine's byte order.
fn target() -> Result<&'static str> {
    match env::var("CARGO_CFG_TARGET_ENDIAN").context("cargo did not say the byte order")?.as_str() {
        "big" => Ok("bpfeb-unknown-none"),
        _ => Ok("bpfel-unknown-none"),
    }
}

/// aya-ebpf asks for the architecture; the linker writes types only where it finds debug information.
fn flags() -> Result<String> {
    let architecture = env::var("CARGO_CFG_TARGET_ARCH").context("cargo did not say the architecture")?;
    let architecture = format!("--cfg=bpf_target_arch=\"{architecture}\"");
    Ok([&architecture, "-Cdebuginfo=2", "-Ctarget-cpu=v3", "-Clink-arg=--btf"].join("\x1f"))
}

/// `PATH`, then where `cargo install` puts programs: not every shell has that folder on its path.
fn search_path() -> Result<String> {
    let home = env::var("CARGO_HOME").context("cargo did not say where its home is")?;
    Ok(format!("{}:{home}/bin", env::var("PATH").unwrap_or_default()))
}

fn toolchain(path: &str) -> Result<Toolchain> {
    if Path::new(DEBIAN_CORE).is_dir()
        && [DEBIAN_CARGO, DEBIAN_RUSTC].iter().all(|it| Path::new(it).is_file())
    {
        return Ok(Toolchain::Debian);
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

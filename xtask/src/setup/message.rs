//! What setup says: what it will do, or what its user has to do.

use std::fmt;

use super::{
    linker::VERSION,
    plan::{Impossible, Plan, Step, TOOLCHAIN, Way},
};

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Debian => "eBPF by Debian's rustc and LLVM 22",
            Self::Nightly => "eBPF by rustup's nightly",
        })
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { way, steps } = self;
        writeln!(f, "setup: {way}, {} to do", steps.len())?;
        steps.iter().try_for_each(|step| writeln!(f, "  - {step}"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packages { names, sudo } => {
                let by = if *sudo { " by sudo" } else { "" };
                write!(f, "install packages{by}: {}", names.join(" "))
            }
            Self::DebianLinker => {
                write!(f, "install bpf-linker {VERSION} with LLVM 22 (about 90 s on two cores)")
            }
            Self::Nightly => f.write_str("install rustup's nightly with rust-src"),
            Self::RustupLinker => f.write_str("install bpf-linker with the LLVM of rustup's compiler"),
        }
    }
}

impl std::error::Error for Impossible {}

impl fmt::Display for Impossible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeedsRoot { packages } => write!(
                f,
                "packages are missing, and only root may install them; run\n\n    sudo apt-get update && sudo apt-get \
                 install --no-install-recommends {}\n\nand then this again",
                packages.join(" ")
            ),
            Self::NoToolchain { why } => write!(
                f,
                "this machine can't build eBPF programs yet: {why}, and there is no rustup. One of the two is needed:\n  \
                 - Debian 12 or later with {}\n  - rustup (https://rustup.rs), from which `cargo xtask setup` gets the \
                 rest without root",
                TOOLCHAIN.join(", ")
            ),
            Self::Programs { programs } => write!(
                f,
                "programs are missing, and there is no apt-get to install them: {}",
                programs.join(", ")
            ),
        }
    }
}

//! Asks bpf-linker for single loads where the programs read unaligned fields, if its LLVM can do that.

use std::{env, process::Command};

/// Since LLVM 22: the kernel's verifier allows unaligned access where the CPU does, so eight byte loads become one.
const FEATURE: &str = "allows-misaligned-mem-access";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let kernel = env::var("TARGET").is_ok_and(|target| target.starts_with("bpf"));
    if kernel && linker_knows(FEATURE) {
        println!("cargo:rustc-link-arg-bins=--cpu-features=+{FEATURE}");
    }
}

/// Only speed hangs on it: a linker that can't be asked is not asked for the feature.
fn linker_knows(feature: &str) -> bool {
    let help = Command::new("bpf-linker").arg("--help").output();
    help.is_ok_and(|help| String::from_utf8_lossy(&help.stdout).contains(feature))
}

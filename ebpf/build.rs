//! Asks bpf-linker for what makes the programs fast, as far as the one that is installed knows it.

use std::{env, process::Command};

/// What to look for in the linker's help, and what to pass it.
const WISHES: [(&str, &str); 2] = [
    // Since LLVM 22: the kernel's verifier allows unaligned access where the CPU does, so eight byte loads become one.
    ("allows-misaligned-mem-access", "--cpu-features=+allows-misaligned-mem-access"),
    // Else clearing a hundred bytes is a call of a loop over bytes, which costs more than the rest of a packet's way.
    ("--disable-expand-memcpy-in-order", "--disable-expand-memcpy-in-order"),
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if env::var("TARGET").is_ok_and(|target| target.starts_with("bpf")) {
        let help = help();
        for (_, argument) in WISHES.iter().filter(|(name, _)| help.contains(name)) {
            println!("cargo:rustc-link-arg-bins={argument}");
        }
    }
}

/// Only speed hangs on it: a linker that can't be asked is asked for nothing.
fn help() -> String {
    let help = Command::new("bpf-linker").arg("--help").output();
    help.map(|help| String::from_utf8_lossy(&help.stdout).into_owned()).unwrap_or_default()
}

//! `cargo xtask fuzz`: builds the fuzzers with the compiler that everything else is built with, and runs them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    cargo,
    setup::{self, Purpose},
};

/// What libFuzzer wants of the code that it watches. Sanitizers would need a nightly compiler, and the workspace has no
/// `unsafe` here for them to find.
const FLAGS: [&str; 6] = [
    "--cfg fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Flags are for what is built for it, and so not for build scripts.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The fuzzers.
const FUZZERS: [&str; 6] = ["parser", "answer", "decision", "pack", "host", "capture"];

/// What fuzzing takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these: parser, answer, decision, pack, host, capture.
    fuzzers: Vec<String>,
    /// How long each of them runs.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// Runs them one after the other. New inputs go into the build folder, what fails into `fuzz/artifacts`.
///
/// # Errors
/// A fuzzer is unknown, does not build, or finds something; what it found has been shown.
pub(crate) fn main(args: &Args) -> Result<()> {
    setup::ensure(&[Purpose::Build, Purpose::Fuzz])?;
    let chosen = |name: &&str| args.fuzzers.is_empty() || args.fuzzers.iter().any(|wanted| wanted == name);
    for wanted in &args.fuzzers {
        ensure!(FUZZERS.contains(&wanted.as_str()), "no fuzzer {wanted}: there are {}", FUZZERS.join(", "));
    }
    let folder = cargo::workspace().join("fuzz");
    let mut build = cargo::command("build");
    build.current_dir(&folder).args(["--target", TARGET]).env("RUSTFLAGS", FLAGS.join(" "));
    cargo::run(&mut build)?;
    for name in FUZZERS.iter().filter(|name| chosen(name)) {
        run(&folder, name, args.seconds)?;
    }
    Ok(())
}

fn run(folder: &Path, name: &str, seconds: u32) -> Result<()> {
    eprintln!("fuzz: {name}, {seconds} s");
    let made =
        |path: PathBuf| fs::create_dir_all(&path).with_context(|| format!("can't make {}", path.display()));
    let (found, artifacts) = (folder.join("target/corpus").join(name), folder.join("artifacts").join(name));
    made(found.clone())?;
    made(artifacts.clone())?;
    let mut fuzzer = Command::new(folder.join("target").join(TARGET).join("debug").join(name));
    fuzzer.args([&found, &folder.join("corpus").join(name)]);
    fuzzer.arg(format!("-artifact_prefix={}/", artifacts.display()));
    fuzzer.args([&format!("-max_total_time={seconds}"), "-max_len=4096", "-print_final_stats=1"]);
    let status = fuzzer.status().with_context(|| format!("can't start {fuzzer:?}"))?;
    ensure!(status.success(), "{name} has found something: see {}", artifacts.display());
    Ok(())
}

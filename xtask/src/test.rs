//! `cargo xtask test`: the tests that need nothing, then the privileged suites, and one total.

use std::{
    fmt,
    io::{BufRead, BufReader},
    process::{Command, ExitCode, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    cargo, demo,
    setup::{self, Purpose},
    step,
};

/// What the tests take.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only tests whose name contains this.
    #[arg(long)]
    filter: Option<String>,
    /// Ten times as many sequences against the model.
    #[arg(long)]
    nightly: bool,
}

/// Runs them all, whatever fails on the way; the last line that it prints is the total.
///
/// # Errors
/// This machine can't build or lacks a program.
pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let begin = Instant::now();
    setup::ensure(&[Purpose::Build, Purpose::Test, Purpose::Demo])?;
    let mut total = Total::default();
    total.suite("tests without privileges", &[], args)?;
    if nix::unistd::geteuid().is_root() {
        total.privileged(args)?;
    } else {
        eprintln!(
            "test: the privileged suites load programs into the kernel and make namespaces; run them with"
        );
        eprintln!("      sudo -E env PATH=\"$PATH\" cargo xtask test");
        total.broken.push("privileged suites: they need root".to_owned());
    }
    if let Some(filter) = &args.filter {
        ensure!(total.passed + total.failed > 0, "no test's name contains {filter:?}");
    }
    println!("\n{total} ({})", step::seconds(begin.elapsed()));
    Ok(if total.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What all suites came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Total {
    passed: u32,
    failed: u32,
    ignored: u32,
    /// Names of the tests that failed.
    failures: Vec<String>,
    /// What went wrong without a failed test saying so.
    broken: Vec<String>,
}

impl Total {
    /// The suites that need root, with the agent that they run.
    fn privileged(&mut self, args: &Args) -> Result<()> {
        // The agent that the suites run can be told to die at any of its writes.
        let agent = ["--package", "portreeve", "--features", "portreeve/crash-points"];
        if let Err(error) = cargo::run(cargo::command("build").args(agent)) {
            self.broken.push(format!("privileged suites: {error:#}"));
            return Ok(());
        }
        self.suite("privileged suites", &["--package", "portreeve-tests"], args)?;
        if args.filter.is_none() {
            self.demo();
        }
        Ok(())
    }

    /// The README's first command, with the agent of the suites.
    fn demo(&mut self) {
        println!("test: the demo");
        match demo::both(&cargo::target().join("debug/portreeve")) {
            Ok(()) => self.passed += 1,
            Err(error) => {
                println!("{error:#}");
                self.failed += 1;
                self.failures.push("the demo".to_owned());
            }
        }
    }

    /// Runs one `cargo test`, shows what it says, and adds it up.
    fn suite(&mut self, name: &str, packages: &[&str], args: &Args) -> Result<()> {
        println!("test: {name}");
        let mut command = cargo::command("test");
        command.args(packages).arg("--no-fail-fast");
        // Suites that run the agent find it by this name.
        command.env("PORTREEVE", cargo::target().join("debug/portreeve"));
        if args.nightly {
            command.env("PORTREEVE_NIGHTLY", "1");
        }
        if let Some(filter) = &args.filter {
            command.args(["--", filter]);
        }
        let failed = self.failed;
        let success = self.read(&mut command)?;
        if !success && self.failed == failed {
            self.broken.push(format!("{name}: did not build, or crashed"));
        }
        Ok(())
    }

    fn read(&mut self, command: &mut Command) -> Result<bool> {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("can't start cargo")?;
        let output = child.stdout.take().context("cargo has no output")?;
        for line in BufReader::new(output).lines() {
            let line = line?;
            self.add(&line);
            println!("{line}");
        }
        Ok(child.wait()?.success())
    }

    /// Adds `test result: ok. 3 passed; 0 failed; 1 ignored; …` and `test name ... FAILED`; other lines say nothing.
    fn add(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("test ") else { return };
        if let Some(name) = rest.strip_suffix(" ... FAILED") {
            self.failures.push(name.to_owned());
        }
        let Some((_, counts)) = rest.strip_prefix("result: ").and_then(|rest| rest.split_once(". ")) else {
            return;
        };
        for count in counts.split("; ") {
            let Some((number, kind)) = count.split_once(' ') else { continue };
            let Ok(number) = number.parse::<u32>() else { continue };
            match kind {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }

    fn good(&self) -> bool {
        self.failed == 0 && self.broken.is_empty()
    }
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, failed, ignored, failures, broken } = self;
        failures.iter().try_for_each(|name| writeln!(f, "failed: {name}"))?;
        broken.iter().try_for_each(|what| writeln!(f, "broken: {what}"))?;
        if *ignored > 0 {
            writeln!(f, "ignored: {ignored}")?;
        }
        write!(f, "total: {passed} passed, {failed} failed")
    }
}

#[cfg(test)]
mod tests {
    use super::Total;

    #[test]
    fn adds_up_what_cargo_says() {
        let mut total = Total::default();
        for line in [
            "running 4 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.01s",
            "test result: FAILED. 2 passed; 5 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
            "test tests::result ... ok",
            "test tests::wrong ... FAILED",
        ] {
            total.add(line);
        }
        let failures = vec!["tests::wrong".to_owned()];
        assert_eq!(total, Total { passed: 5, failed: 5, ignored: 1, failures, broken: vec![] });
        assert!(!total.good());
        assert_eq!(total.to_string(), "failed: tests::wrong\nignored: 1\ntotal: 5 passed, 5 failed");
    }
}

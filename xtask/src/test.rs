//! `cargo xtask test`: the tests that need nothing, then the privileged suites, and one total.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    cargo,
    setup::{self, Purpose},
    step,
};

/// What the tests take.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only tests whose name contains this.
    #[arg(long)]
    filter: Option<String>,
}

/// Runs them all, whatever fails on the way.
///
/// # Errors
/// A test failed, did not build, or could not run because this isn't root.
pub(crate) fn main(args: &Args) -> Result<()> {
    let begin = Instant::now();
    setup::ensure(&[Purpose::Build, Purpose::Test])?;
    let mut total = Total::default();
    total.suite("tests without privileges", &[], args)?;
    if nix::unistd::geteuid().is_root() {
        cargo::run(cargo::command("build").args(["--package", "portreeve"]))?;
        total.suite("privileged suites", &["--package", "portreeve-tests"], args)?;
    } else {
        eprintln!(
            "test: the privileged suites need root: they load programs into the kernel and make namespaces"
        );
        eprintln!("      run them with: sudo -E env PATH=\"$PATH\" cargo xtask test");
        total.broken.push("privileged suites: not root");
    }
    let Total { passed, failed, ignored, broken } = total;
    if ignored > 0 {
        println!("{ignored} ignored");
    }
    for what in &broken {
        println!("{what}");
    }
    println!("total: {passed} passed, {failed} failed ({})", step::seconds(begin.elapsed()));
    if let Some(filter) = &args.filter {
        ensure!(passed + failed > 0, "no test's name contains {filter:?}");
    }
    if failed > 0 || !broken.is_empty() {
        bail!("not all tests passed");
    }
    Ok(())
}

/// What all suites came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Total {
    passed: u32,
    failed: u32,
    ignored: u32,
    /// Suites that did not end well without a failed test saying so: they didn't build, or crashed.
    broken: Vec<&'static str>,
}

impl Total {
    /// Runs one `cargo test`, shows what it says, and adds it up.
    fn suite(&mut self, name: &'static str, packages: &[&str], args: &Args) -> Result<()> {
        println!("test: {name}");
        let mut command = cargo::command("test");
        command.args(packages).arg("--no-fail-fast");
        // Suites that run the agent find it by this name.
        command.env("PORTREEVE", cargo::target().join("debug/portreeve"));
        if let Some(filter) = &args.filter {
            command.args(["--", filter]);
        }
        let failed = self.failed;
        let success = self.read(&mut command)?;
        if !success && self.failed == failed {
            self.broken.push(name);
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

    /// Adds `test result: ok. 3 passed; 0 failed; 1 ignored; …`; other lines say nothing.
    fn add(&mut self, line: &str) {
        let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
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
        ] {
            total.add(line);
        }
        assert_eq!(total, Total { passed: 5, failed: 5, ignored: 1, broken: vec![] });
    }
}

//! Installing, step by step.

use std::process::Command;

use anyhow::{Context as _, Result};

use super::{
    linker::VERSION,
    machine::{Machine, Rights},
    plan::{Plan, Step},
};
use crate::step;

/// Installs packages without starting what they bring: nobody asked for a web server on this machine.
///
/// Chrony may start where systemd runs, since Debian lets it take the place of another time daemon. A machine that has
/// a policy on starting services keeps it.
const APT: &str = r#"
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    cat >"$policy" <<'END'
#!/bin/sh
case "$1" in chrony*) if [ -d /run/systemd/system ]; then exit 0; fi ;; esac
exit 101
END
    chmod 755 "$policy"
fi
apt-get install --yes --no-install-recommends "$@"
case " $* " in *" nginx-light "*)
    if [ -d /run/systemd/system ]; then systemctl disable --quiet nginx; fi ;;
esac
"#;

/// Gets the package lists, and what they offer of what is missing.
pub(super) fn refresh(machine: Machine) -> Machine {
    let mut update = as_root(machine.rights == Rights::Sudo, "apt-get");
    let updated = step::run("read the package lists (apt-get update)", update.arg("update"));
    if let Err(error) = updated {
        // One source of many may be gone: what the others offer is still worth a try.
        eprintln!("    {error:#}\n    going on with the lists that are there");
    }
    machine.with_offers()
}

/// Does what the plan says.
pub(super) fn perform(plan: &Plan) -> Result<()> {
    let all = plan.steps.len();
    for (n, step) in plan.steps.iter().enumerate() {
        let mut command = command(step);
        step::run(&format!("[{}/{all}] {step}", n + 1), &mut command)
            .with_context(|| format!("can't {step}"))?;
    }
    Ok(())
}

fn command(step: &Step) -> Command {
    match step {
        Step::Packages { names, sudo } => {
            let mut apt = as_root(*sudo, "sh");
            apt.args(["-ec", APT, "sh"]).args(names);
            apt
        }
        Step::DebianLinker => {
            let mut cargo = cargo_install(&format!("bpf-linker@{VERSION}"));
            cargo.args(["--no-default-features", "--features", "llvm-22"]);
            cargo.env("LLVM_PREFIX", "/usr/lib/llvm-22");
            cargo
        }
        Step::Nightly => {
            let mut rustup = Command::new("rustup");
            let component = ["--component", "rust-src"];
            rustup.args(["toolchain", "install", "nightly", "--profile", "minimal"]).args(component);
            rustup
        }
        Step::RustupLinker => cargo_install("bpf-linker"),
    }
}

/// From the home folder: the workspace's own settings are no business of a program that gets installed.
fn cargo_install(what: &str) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["install", "--locked", "--force", what]).current_dir("/");
    cargo
}

fn as_root(sudo: bool, program: &str) -> Command {
    let words = ["DEBIAN_FRONTEND=noninteractive", program];
    let mut command = Command::new(if sudo { "sudo" } else { "env" });
    if sudo {
        command.args(["-n", "env"]);
    }
    command.args(words);
    command
}

//! `cargo xtask vm`: the kernel programs on other kernels, in virtual machines without any help of the processor's.

mod hooks;
mod root;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use self::hooks::Said;
use crate::{
    cargo,
    setup::{self, Purpose},
    step,
};

/// Debian's kernels: a name, and the pattern of their packages, of which the highest version counts.
const KERNELS: [(&str, &str); 3] = [
    ("6.1", r"^linux-image-6\.1\..*-cloud-amd64$"),
    ("6.12", r"^linux-image-6\.12\..*-cloud-amd64$"),
    ("6.12-rt", r"^linux-image-6\.12\..*-rt-amd64$"),
];

/// Seconds until a machine is stopped, and how `timeout` says that it was.
const LONGEST: &str = "3600";
const TIMED_OUT: i32 = 124;

/// What the machines take.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these kernels: 6.1, 6.12, 6.12-rt.
    kernels: Vec<String>,
    /// Sequences against the model: the machines are some twenty times slower, and with fewer it misses some flows.
    #[arg(long, default_value_t = 20_000)]
    sequences: u32,
}

/// Boots each kernel, runs the suites there, lets an agent enforce there, and lists which kernel gets which hook.
///
/// # Errors
/// A kernel can't be had, or a suite fails there; what it said has been shown.
pub(crate) fn main(args: &Args) -> Result<()> {
    setup::ensure(&[Purpose::Build, Purpose::Vm])?;
    for wanted in &args.kernels {
        ensure!(KERNELS.iter().any(|(name, _)| name == wanted), "no kernel {wanted}");
    }
    let folder = cargo::target().join("vm");
    let initramfs = root::pack(&folder, args.sequences)?;
    let (mut failed, mut list) = (Vec::new(), Vec::new());
    for (name, pattern) in KERNELS {
        if !args.kernels.is_empty() && !args.kernels.iter().any(|wanted| wanted == name) {
            continue;
        }
        let image = image(&folder.join(name), pattern)?;
        println!("vm: {name}: {}", image.display());
        let initramfs = root::with_modules(&initramfs, &folder.join(name))?;
        let said = boot(&image, &initramfs)?;
        if !said.passed {
            failed.push(name);
        }
        list.push(said);
    }
    list.iter().for_each(|said| print!("vm: {said}"));
    ensure!(failed.is_empty(), "not everything passed on {}", failed.join(", "));
    Ok(())
}

/// The kernel of the newest package of this name; it is fetched once.
fn image(folder: &Path, pattern: &str) -> Result<PathBuf> {
    fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
    if let Some(image) = found(&folder.join("boot"))? {
        return Ok(image);
    }
    let listed = Command::new("apt-cache").args(["search", "--names-only", pattern]).output()?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let names = listed.lines().filter_map(|line| line.split(' ').next());
    let newest = names.max_by_key(|name| version(name)).with_context(|| format!("no package {pattern}"))?;
    step::run(
        &format!("fetch {newest}"),
        Command::new("sh").current_dir(folder).args([
            "-ec",
            "apt-get download \"$1\"; dpkg -x ./*.deb .; rm ./*.deb",
            "sh",
            newest,
        ]),
    )?;
    found(&folder.join("boot"))?.with_context(|| format!("{newest} holds no kernel"))
}

/// The numbers in a package's name.
fn version(name: &str) -> Vec<u32> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

fn found(boot: &Path) -> Result<Option<PathBuf>> {
    if !boot.is_dir() {
        return Ok(None);
    }
    let mut entries = fs::read_dir(boot)?.filter_map(Result::ok).map(|entry| entry.path());
    Ok(entries
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz"))))
}

/// What a machine with this kernel said, which is shown as it comes.
fn boot(image: &Path, initramfs: &Path) -> Result<Said> {
    let mut machine = Command::new("timeout");
    machine.args([
        LONGEST,
        "qemu-system-x86_64",
        "-accel",
        "tcg,thread=multi",
        "-cpu",
        "max",
        "-smp",
        "2",
        "-m",
        "2048",
    ]);
    machine.args(["-nographic", "-no-reboot", "-append", "console=ttyS0 quiet panic=-1", "-kernel"]);
    machine.arg(image).arg("-initrd").arg(initramfs).stdin(Stdio::null());
    let mut machine = machine.stdout(Stdio::piped()).spawn().context("can't start qemu-system-x86_64")?;
    let mut console = String::new();
    for line in BufReader::new(machine.stdout.take().context("no console")?).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        println!("{}", line.trim_end());
        console.push_str(&line);
        console.push('\n');
    }
    let status = machine.wait()?;
    if status.code() == Some(TIMED_OUT) {
        eprintln!("vm: stopped after {LONGEST} s");
    }
    Ok(Said::read(&console))
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_compare_by_number() {
        let names = ["linux-image-6.1.0-9-cloud-amd64", "linux-image-6.1.0-54-cloud-amd64"];
        assert!(version(names[0]) < version(names[1]));
        assert_eq!(version("linux-image-6.12.117+deb12-rt-amd64"), [6, 12, 117, 12, 64]);
    }
}

//! `cargo xtask vm`: the kernel programs on other kernels, in virtual machines without any help of the processor's.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};

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

/// The suites that run there: they load the programs and ask them, and need no network.
const SUITES: [&str; 2] = ["cases_kernel", "model"];

/// What the first program of a machine does. Its last line is what the task waits for.
const INIT: &str = "#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t bpf bpf /sys/fs/bpf
/bin/busybox uname -rv
ulimit -l unlimited
export PORTREEVE_SEQUENCES=@SEQUENCES@
code=0
for suite in @SUITES@; do /tests/$suite --nocapture 2>&1 || code=1; done
echo vm: $code
/bin/busybox poweroff -f
";

/// What the machines take.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these kernels: 6.1, 6.12, 6.12-rt.
    kernels: Vec<String>,
    /// Sequences against the model: the machines are some twenty times slower.
    #[arg(long, default_value_t = 5_000)]
    sequences: u32,
}

/// Boots each kernel and runs the suites there.
///
/// # Errors
/// A kernel can't be had, or a suite fails there; what it said has been shown.
pub(crate) fn main(args: &Args) -> Result<()> {
    setup::ensure(&[Purpose::Build, Purpose::Vm])?;
    for wanted in &args.kernels {
        ensure!(KERNELS.iter().any(|(name, _)| name == wanted), "no kernel {wanted}");
    }
    let folder = cargo::target().join("vm");
    let initramfs = initramfs(&folder, args.sequences)?;
    let mut failed = Vec::new();
    for (name, pattern) in KERNELS {
        if !args.kernels.is_empty() && !args.kernels.iter().any(|wanted| wanted == name) {
            continue;
        }
        let image = image(&folder.join(name), pattern)?;
        println!("vm: {name}: {}", image.display());
        if !boots(&image, &initramfs)? {
            failed.push(name);
        }
    }
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

/// A first file system: busybox, the suites, and the libraries that they are linked with.
fn initramfs(folder: &Path, sequences: u32) -> Result<PathBuf> {
    let root = folder.join("root");
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    for made in ["bin", "tests"] {
        fs::create_dir_all(root.join(made))?;
    }
    fs::copy("/bin/busybox", root.join("bin/busybox")).context("no static busybox")?;
    for suite in SUITES {
        let (from, to) = (built(suite)?, root.join("tests").join(suite));
        run(Command::new("strip").arg("-o").args([&to, &from]))?;
        libraries(&from, &root)?;
    }
    packs(&root)?;
    let init = INIT.replace("@SEQUENCES@", &sequences.to_string()).replace("@SUITES@", &SUITES.join(" "));
    fs::write(root.join("init"), init)?;
    run(Command::new("chmod").arg("+x").arg(root.join("init")))?;
    let archive = folder.join("initramfs");
    let pack = "find . | cpio --quiet -o -H newc | gzip -1 > \"$1\"";
    run(Command::new("sh").current_dir(&root).args(["-ec", pack, "sh"]).arg(&archive))?;
    Ok(archive)
}

/// The program of a suite, built if it is not.
fn built(suite: &str) -> Result<PathBuf> {
    let mut build = cargo::command("test");
    build.args(["--package", "portreeve-tests", "--test", suite, "--no-run", "--message-format", "json"]);
    let output = build.stderr(Stdio::inherit()).output().context("can't start cargo")?;
    ensure!(output.status.success(), "{suite} does not build");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // The last program of the build is the suite; those before it are what it runs.
    let named = text.lines().filter(|line| line.contains(&format!("\"name\":\"{suite}\"")));
    let program =
        named.filter_map(|line| line.split_once("\"executable\":\"")?.1.split('"').next()).next_back();
    program.map(PathBuf::from).with_context(|| format!("cargo names no program for {suite}"))
}

fn libraries(program: &Path, root: &Path) -> Result<()> {
    let listed = Command::new("ldd").arg(program).output().context("can't start ldd")?;
    for word in
        String::from_utf8_lossy(&listed.stdout).split_whitespace().filter(|word| word.starts_with('/'))
    {
        let to = root.join(word.trim_start_matches('/'));
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(word, &to).with_context(|| format!("can't copy {word}"))?;
    }
    Ok(())
}

/// The packs that the suites read, where they look for them.
fn packs(root: &Path) -> Result<()> {
    let from = cargo::workspace().join("tests/tests/rules/packs").canonicalize()?;
    let to = root.join(from.strip_prefix("/")?);
    fs::create_dir_all(&to)?;
    for entry in fs::read_dir(&from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("can't start {command:?}"))?;
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(())
}

/// Whether all suites passed on this kernel.
fn boots(image: &Path, initramfs: &Path) -> Result<bool> {
    let mut machine = Command::new("timeout");
    machine.args([
        "1800",
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
    let output = machine.output().context("can't start qemu-system-x86_64")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{said}");
    Ok(said.lines().any(|line| line.trim() == "vm: 0"))
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

//! The first file system of a virtual machine, and what its first program does.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::cargo;

/// The suites that run there: they load the programs, ask them, and attach them to cables of their own.
const SUITES: [&str; 2] = ["attached", "model"];
/// What the host files there ask for. `status` runs a packet through the programs that are attached.
const HOOKS: [&str; 2] = ["xdp", "tc"];
/// Modules of switches, of cables, and of the traffic control that kernels without TCX have; each after what it needs.
const MODULES: [&str; 6] = ["llc", "stp", "bridge", "veth", "sch_ingress", "cls_bpf"];
/// Programs that set cables up: busybox has some of them, but not all that they do here.
const TOOLS: [&str; 4] = ["ip", "ss", "mount", "setpriv"];
/// Where they are.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

const HOST: &str = r#"[host]
name = "vm"
interfaces = ["enp2s0"]

[enforcement]
ingress = "enforce"
egress = "enforce"
hook = "@HOOK@"

[[allow]]
id = "SITE-1"
direction = "ingress"
protocol = "tcp"
port = 443
peers = "any"
reason = "user interface"
"#;

/// What the first program of a machine does.
const INIT: &str = include_str!("init.sh");

/// A first file system: busybox, the suites, the agent, and the libraries that they are linked with.
///
/// # Errors
/// Something does not build, or can't be copied.
pub(super) fn pack(folder: &Path, sequences: u32) -> Result<PathBuf> {
    let root = folder.join("root");
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    for made in ["bin", "tests"] {
        fs::create_dir_all(root.join(made))?;
    }
    fs::copy("/bin/busybox", root.join("bin/busybox")).context("no static busybox")?;
    let suites = SUITES.map(|suite| (suite, built(suite)));
    let own = [("portreeve", agent()), ("traffic", Ok(cargo::target().join("debug/traffic")))];
    let tools = TOOLS.map(|tool| (tool, found(tool)));
    for (name, program) in suites.into_iter().chain(own).chain(tools) {
        let (from, to) = (program?, root.join("tests").join(name));
        run(Command::new("strip").arg("-o").args([&to, &from]))?;
        libraries(&from, &root)?;
    }
    for hook in HOOKS {
        fs::write(root.join("tests").join(format!("{hook}.toml")), HOST.replace("@HOOK@", hook))?;
    }
    packs(&root)?;
    let init = INIT.replace("@SEQUENCES@", &sequences.to_string());
    let init = init.replace("@HOOKS@", &HOOKS.join(" ")).replace("@MODULES@", &MODULES.join(" "));
    fs::write(root.join("init"), init)?;
    run(Command::new("chmod").arg("+x").arg(root.join("init")))?;
    let archive = folder.join("initramfs");
    let pack = "find . | cpio --quiet -o -H newc | gzip -1 > \"$1\"";
    run(Command::new("sh").current_dir(&root).args(["-ec", pack, "sh"]).arg(&archive))?;
    Ok(archive)
}

/// The same with a kernel's modules behind it: archives may follow each other.
///
/// # Errors
/// A module is missing.
pub(super) fn with_modules(initramfs: &Path, kernel: &Path) -> Result<PathBuf> {
    let root = kernel.join("root");
    fs::create_dir_all(root.join("modules"))?;
    for module in MODULES {
        // Later kernels have them packed.
        let unpack = "file=$(find lib/modules -name \"$1.ko*\" | head -n 1); test -n \"$file\"; \
                      case $file in *.xz) xz -dc \"$file\";; *) cat \"$file\";; esac > root/modules/$1.ko";
        run(Command::new("sh").current_dir(kernel).args(["-ec", unpack, "sh", module]))
            .with_context(|| format!("no module {module}"))?;
    }
    let archive = kernel.join("initramfs");
    let pack = "{ cat \"$1\"; cd root; find modules | cpio --quiet -o -H newc | gzip -1; } > \"$2\"";
    run(Command::new("sh").current_dir(kernel).args(["-ec", pack, "sh"]).args([initramfs, &archive]))?;
    Ok(archive)
}

fn found(tool: &str) -> Result<PathBuf> {
    let at = FOLDERS.iter().map(|folder| Path::new(folder).join(tool));
    at.into_iter().find(|path| path.is_file()).with_context(|| format!("no program {tool}"))
}

/// The agent, built if it is not.
fn agent() -> Result<PathBuf> {
    cargo::run(cargo::command("build").args(["--package", "portreeve"]))?;
    Ok(cargo::target().join("debug/portreeve"))
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

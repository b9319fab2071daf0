//! The kernel: its version and what follows from it, JIT, BTF, bpffs, our rights.

use std::{fs, path::Path};

use nix::sys::{
    statfs::{BPF_FS_MAGIC, statfs},
    utsname::uname,
};
use procfs::process::Process;

use super::{Finding, MACHINE};

/// The oldest kernel that the programs are tried on (`cargo xtask vm`).
const OLDEST: (u32, u32) = (6, 1);
/// TCX, which egress and ingress without native XDP are attached by (Linux commit e420bed02507).
const TCX: (u32, u32) = (6, 6);
/// Where a bpffs belongs.
const BPFFS: &str = "/sys/fs/bpf";
/// The kernel's own types.
const BTF: &str = "/sys/kernel/btf/vmlinux";
/// Capabilities by their bit (`capability.h`).
const CAPABILITIES: [(u32, &str); 4] =
    [(12, "CAP_NET_ADMIN"), (21, "CAP_SYS_ADMIN"), (38, "CAP_PERFMON"), (39, "CAP_BPF")];
/// `CAP_SYS_ADMIN` stands in for the two newer ones.
const SYS_ADMIN: u32 = 21;

/// Major and minor number of the kernel that runs; `None` if it has none.
pub(super) fn version() -> Option<(u32, u32)> {
    parse(&uname().ok()?.release().to_string_lossy())
}

fn parse(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

pub(super) fn findings(version: Option<(u32, u32)>) -> Vec<Finding> {
    vec![kernel(version), btf(), jit(), hardening(), bpffs(), capabilities()]
}

fn kernel(version: Option<(u32, u32)>) -> Finding {
    let Some((major, minor)) = version else {
        return Finding::unknown(MACHINE, "kernel", "its version has no numbers");
    };
    let seen = format!("Linux {major}.{minor}");
    if (major, minor) >= TCX {
        return Finding::ok(MACHINE, "kernel", format!("{seen}: links for XDP, TCX for TC"));
    }
    if (major, minor) < OLDEST {
        let advice = "use Linux 6.1 or later: on older kernels nobody has tried whether the programs load";
        return Finding::refused(MACHINE, "kernel", seen, advice);
    }
    let seen = format!("{seen} has no TCX: TC is filters of clsact");
    let advice = "others can put theirs before, or take ours off; Linux 6.6 or later keeps them from it";
    Finding::warning(MACHINE, "kernel", seen, advice)
}

fn btf() -> Finding {
    if Path::new(BTF).exists() {
        return Finding::ok(MACHINE, "BTF", BTF);
    }
    let advice = "use a kernel that is built with CONFIG_DEBUG_INFO_BTF";
    Finding::refused(MACHINE, "BTF", format!("{BTF} is missing"), advice)
}

fn jit() -> Finding {
    let check = "JIT";
    match setting("bpf_jit_enable") {
        Ok(1) => Finding::ok(MACHINE, check, "on"),
        Ok(0) => {
            let seen = "off: each packet costs many times more";
            Finding::warning(MACHINE, check, seen, "sysctl net.core.bpf_jit_enable=1")
        }
        Ok(_) => Finding::warning(MACHINE, check, "on, for debugging", "sysctl net.core.bpf_jit_enable=1"),
        // A kernel that always compiles has no such setting in some namespaces.
        Err(error) => Finding::unknown(MACHINE, check, error),
    }
}

fn hardening() -> Finding {
    let check = "JIT hardening";
    match setting("bpf_jit_harden") {
        Ok(0) => Finding::ok(MACHINE, check, "off"),
        Ok(1) => Finding::ok(MACHINE, check, "for programs of unprivileged users only"),
        Ok(_) => {
            let seen = "for all programs: each packet costs more";
            Finding::warning(MACHINE, check, seen, "sysctl net.core.bpf_jit_harden=1, if your rules allow it")
        }
        Err(error) => Finding::unknown(MACHINE, check, error),
    }
}

fn setting(name: &str) -> Result<u32, String> {
    let path = format!("/proc/sys/net/core/{name}");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    text.trim().parse().map_err(|_no_number| format!("{path} holds no number"))
}

fn bpffs() -> Finding {
    let check = "bpffs";
    if statfs(BPFFS).is_ok_and(|found| found.filesystem_type() == BPF_FS_MAGIC) {
        return Finding::ok(MACHINE, check, BPFFS);
    }
    let mounts = Process::myself().and_then(|own| own.mountinfo());
    let elsewhere = mounts.into_iter().flatten().find(|mount| mount.fs_type == "bpf");
    match elsewhere {
        Some(mount) => {
            let seen = format!("not at {BPFFS}, but at {}", mount.mount_point.display());
            Finding::warning(
                MACHINE,
                check,
                seen,
                "name a folder on it with --bpffs, or let `run` mount another",
            )
        }
        None => Finding::warning(
            MACHINE,
            check,
            "not mounted",
            "`run` mounts it; the service needs it: `mount -t bpf bpf /sys/fs/bpf`",
        ),
    }
}

fn capabilities() -> Finding {
    let check = "capabilities";
    let effective = match Process::myself().and_then(|own| own.status()) {
        Ok(status) => status.capeff,
        Err(error) => return Finding::unknown(MACHINE, check, error),
    };
    let has = |bit: u32| effective & (1 << bit) != 0;
    let missing = |bit: u32| !has(bit) && (bit == 12 || !has(SYS_ADMIN));
    let missing: Vec<_> =
        CAPABILITIES.iter().filter(|(bit, _)| missing(*bit)).map(|(_, name)| *name).collect();
    if missing.is_empty() {
        return Finding::ok(MACHINE, check, CAPABILITIES.map(|(_, name)| name).join(", "));
    }
    Finding::refused(MACHINE, check, format!("{} missing", missing.join(", ")), "run this as root")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::Level;

    #[test]
    fn releases_have_two_numbers() {
        assert_eq!(parse("6.18.44-fc-v595"), Some((6, 18)));
        assert_eq!(parse("6.1.0-40-cloud-amd64"), Some((6, 1)));
        assert_eq!(parse("unknown"), None);
    }

    #[test]
    fn a_kernel_without_tcx_is_warned_of_and_an_older_one_refused() {
        assert_eq!(kernel(Some((5, 15))).level, Level::Refused);
        assert_eq!(kernel(Some((6, 1))).level, Level::Warning);
        assert_eq!(kernel(Some((6, 5))).level, Level::Warning);
        assert_eq!(kernel(Some((6, 6))).level, Level::Ok);
        assert_eq!(kernel(Some((7, 0))).level, Level::Ok);
        assert_eq!(kernel(None).level, Level::Warning);
    }
}

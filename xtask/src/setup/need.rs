//! Needs: programs that tasks run, and the Debian packages that bring them.

use std::path::Path;

/// What a need is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Compiling the kernel programs.
    Build,
    /// Format, lints, documentation.
    Lint,
    /// The privileged suites.
    Test,
    /// The demo.
    Demo,
    /// The benchmark.
    Bench,
    /// The fuzzers.
    Fuzz,
    /// Other kernels.
    Vm,
    /// The Debian package.
    Dist,
    /// A trial of the package.
    DistCheck,
}

impl Purpose {
    /// What everybody needs who works on the project; packages are made by few.
    pub(crate) const ALL: [Self; 7] =
        [Self::Build, Self::Lint, Self::Test, Self::Demo, Self::Bench, Self::Fuzz, Self::Vm];

    /// What a task with this purpose runs. What the build needs is decided by [`super::plan`].
    pub(super) fn needs(self) -> Vec<Need> {
        match self {
            Self::Build => Vec::new(),
            Self::Lint => LINT.into(),
            Self::Test => [LAB.as_slice(), &SUITES].concat(),
            Self::Demo => LAB.into(),
            Self::Bench => BENCH.into(),
            // libFuzzer is C++.
            Self::Fuzz => vec![need("c++", "g++")],
            Self::Vm => VM.into(),
            Self::Dist => DIST.into(),
            Self::DistCheck => TRIAL.into(),
        }
    }
}

/// A program, or a file where there is no program, and its package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Need {
    /// What is looked for: a name on the path, or an absolute path.
    pub(crate) file: &'static str,
    /// Debian's and Ubuntu's package.
    pub(crate) package: &'static str,
}

const fn need(file: &'static str, package: &'static str) -> Need {
    Need { file, package }
}

/// rustup brings the last two; beside Debian's cargo they are packages of their own.
const LINT: [Need; 3] =
    [need("git", "git"), need("cargo-fmt", "rustfmt-web"), need("cargo-clippy", "rust-web-clippy")];

/// What the lab of `portreeve-tests` runs, and all that the demo needs.
const LAB: [Need; 13] = [
    need("ip", "iproute2"),
    need("ss", "iproute2"),
    need("mount", "mount"),
    need("setpriv", "util-linux"),
    need("ethtool", "ethtool"),
    need("nginx", "nginx-light"),
    need("openssl", "openssl"),
    need("dnsmasq", "dnsmasq-base"),
    need("chronyd", "chrony"),
    need("dig", "dnsutils"),
    need("curl", "curl"),
    need("nmap", "nmap"),
    need("ping", "iputils-ping"),
];

/// Tools that we did not write, for the suites to send, record and compare with.
const SUITES: [Need; 17] = [
    need("systemd-analyze", "systemd"),
    need("tcpdump", "tcpdump"),
    need("tcpreplay", "tcpreplay"),
    // Debian's own python has Debian's modules; another one that comes first on the path hasn't.
    need("/usr/lib/python3/dist-packages/scapy/__init__.py", "python3-scapy"),
    need("nc.openbsd", "netcat-openbsd"),
    need("nft", "nftables"),
    need("iptables", "iptables"),
    need("hping3", "hping3"),
    need("xdp-loader", "xdp-tools"),
    need("bpftool", "bpftool"),
    need("ssh", "openssh-client"),
    need("sshd", "openssh-server"),
    need("snmpget", "snmp"),
    need("snmpd", "snmpd"),
    need("snmptrapd", "snmptrapd"),
    need("vsftpd", "vsftpd"),
    need("udhcpc", "udhcpc"),
];

/// The lab's, and peers to measure beside.
const BENCH: [Need; 9] = [
    need("ip", "iproute2"),
    need("ss", "iproute2"),
    need("mount", "mount"),
    need("setpriv", "util-linux"),
    need("ethtool", "ethtool"),
    need("nft", "nftables"),
    need("iptables-restore", "iptables"),
    need("xdp-filter", "xdp-tools"),
    need("iperf3", "iperf3"),
];

const VM: [Need; 9] = [
    need("qemu-system-x86_64", "qemu-system-x86"),
    need("/bin/busybox", "busybox-static"),
    need("cpio", "cpio"),
    need("strip", "binutils"),
    need("xz", "xz-utils"),
    need("ip", "iproute2"),
    need("ss", "iproute2"),
    need("mount", "mount"),
    need("setpriv", "util-linux"),
];

const DIST: [Need; 5] = [
    need("git", "git"),
    need("dpkg-deb", "dpkg"),
    need("dpkg-shlibdeps", "dpkg-dev"),
    need("strip", "binutils"),
    need("gzip", "gzip"),
];

const TRIAL: [Need; 4] = [
    need("debootstrap", "debootstrap"),
    need("unshare", "util-linux"),
    need("ip", "iproute2"),
    need("tc", "iproute2"),
];

impl Need {
    /// Whether it is there, on this path.
    pub(super) fn met(&self, path: &[std::path::PathBuf]) -> bool {
        if self.file.starts_with('/') {
            return Path::new(self.file).is_file();
        }
        path.iter().any(|folder| folder.join(self.file).is_file())
    }
}

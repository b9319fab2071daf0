//! The lab: a plant network of namespaces on one machine, which is gone when its [`Lab`] is.
//!
//! ```text
//!   edge          iem         intruder        one namespace a host,
//!  enp2s0        eth0           eth0          documentation addresses only
//!    │             │              │
//!  ┌─┴─────────────┴──────────────┴─┐
//!  │ edge-enp2s0  iem-eth0  …       │         the switch: a namespace with a bridge
//!  └────────────────────────────────┘
//! ```
//!
//! Everything that a lab makes carries its id (`<pid>-<n>`): namespaces, the folder of logs and settings, the bpffs
//! in it. So one function removes it, called on drop, on panic (which drops), on SIGINT and SIGTERM, and by
//! the next run for one that was killed. Nothing is ever created in the machine's own network namespace.

mod agent;
mod capture;
mod client;
mod host;
mod interface;
mod interrupt;
mod process;
mod resolver;
mod sender;
mod server;
mod sweep;
mod time;
mod web;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

pub use self::{
    agent::Agent,
    capture::{send_capture, write_capture},
    client::{Port, fetch, lookup, offset, ping, scan},
    host::{Host, HostBuilder},
    process::Output,
    resolver::Resolver,
    sender::Sender,
    server::Server,
    sweep::{Leftovers, dead as sweep},
    time::TimeServer,
    web::Web,
};

/// How long a command may run, and a server may take to answer, unless a caller says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The switch's bridge.
const BRIDGE: &str = "br0";

/// Programs that every lab needs; `cargo xtask setup` brings them.
const PROGRAMS: [&str; 4] = ["ip", "setpriv", "ss", "mount"];

/// Labs of this process so far: the second half of a lab's id.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// Whether this process has swept and listens for signals.
static PREPARED: Mutex<bool> = Mutex::new(false);

/// A private network with a switch, a folder and a bpffs of its own.
///
/// Hosts and servers keep their lab alive; it is removed with the last of them.
#[derive(Clone, Debug)]
pub struct Lab {
    bench: Arc<Bench>,
}

/// What is removed at the end.
#[derive(Debug)]
struct Bench {
    id: String,
    dir: PathBuf,
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Err(error) = sweep::lab(&self.id) {
            eprintln!("lab {}: not cleaned up: {error:#}", self.id);
        }
    }
}

impl Lab {
    /// Makes the folder, the bpffs and the switch, and removes what dead earlier runs left behind.
    ///
    /// # Errors
    /// Not root, a program is missing, or the kernel refuses a namespace, a bridge or a bpffs.
    pub fn new() -> Result<Self> {
        ensure!(nix::unistd::geteuid().is_root(), "network namespaces need root");
        for program in PROGRAMS {
            process::find(program)?;
        }
        prepare()?;
        let id = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let dir = Path::new(sweep::FOLDER).join(&id);
        // From here on, dropping removes what there is.
        let lab = Self { bench: Arc::new(Bench { id, dir }) };
        let bpffs = lab.bpffs();
        fs::create_dir_all(&bpffs).with_context(|| format!("can't make {}", bpffs.display()))?;
        process::run(["mount", "-t", "bpf", "bpf", &bpffs.to_string_lossy()])?.ok()?;
        lab.build_switch()?;
        Ok(lab)
    }

    /// Describes a host, to be plugged into the switch by [`HostBuilder::up`].
    pub fn host(&self, name: &str) -> HostBuilder {
        HostBuilder::new(self.clone(), name)
    }

    /// `<pid>-<n>`: what the names of everything in it begin with.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.bench.id
    }

    /// For settings, logs and whatever else a test writes.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.bench.dir
    }

    /// The lab's own bpffs. It stands outside `/sys`, which `ip netns exec` mounts anew in every host.
    #[must_use]
    pub fn bpffs(&self) -> PathBuf {
        self.bench.dir.join("bpf")
    }

    /// The network namespace of a host, as `ip netns` knows it.
    fn namespace(&self, host: &str) -> String {
        format!("{}{}-{host}", sweep::PREFIX, self.bench.id)
    }

    fn switch(&self) -> String {
        self.namespace("switch")
    }

    fn build_switch(&self) -> Result<()> {
        let switch = self.switch();
        process::run(["ip", "netns", "add", &switch])?.ok()?;
        let inside = ["ip", "netns", "exec", &switch];
        let quiet = "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6";
        process::run(inside.into_iter().chain(["sh", "-c", quiet]))?.ok()?;
        let bridge = ["link", "add", BRIDGE, "type", "bridge", "stp_state", "0", "mcast_snooping", "0"];
        process::run(["ip", "-n", &switch].into_iter().chain(bridge))?.ok()?;
        process::run(["ip", "-n", &switch, "link", "set", BRIDGE, "up"])?.ok()?;
        Ok(())
    }
}

/// Once a process: removes leftovers of runs that are dead, and sees to signals.
fn prepare() -> Result<()> {
    let mut prepared = PREPARED.lock().unwrap_or_else(PoisonError::into_inner);
    if !*prepared {
        sweep::run(std::process::id()).context("an earlier process with our id left something behind")?;
        sweep::dead()?;
        interrupt::install()?;
        *prepared = true;
    }
    Ok(())
}

/// Asks again until `ready` says yes.
///
/// # Errors
/// `ready` fails, or still says no after `patience`; `what` then names what was awaited.
pub fn wait_for(what: &str, patience: Duration, mut ready: impl FnMut() -> Result<bool>) -> Result<()> {
    let begin = Instant::now();
    while !ready()? {
        interrupt::hold();
        if begin.elapsed() > patience {
            bail!("{what}: not within {} s", patience.as_secs_f32());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

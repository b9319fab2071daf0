//! A server with two cables: one to those who use it, one to those who flood it.

use std::{
    fs,
    net::SocketAddr,
    panic::resume_unwind,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use nix::net::if_::if_nametoindex;
use portreeve_tests::lab::{Host, Lab};

use super::operator::{self, Outcome};
use crate::{
    echo,
    policy::OPEN,
    programs::{Plan, Programs},
    stack::{enforce, nftables},
    testrun,
};

/// The server's interfaces: for its users, and for the flood.
const USERS: &str = "enp2s0";
const FLOODED: &str = "enp3s0";
const SERVER: &str = "2001:db8:1::10";
/// The forged sources are of this network; what the server answers goes to the flooder, who takes no notice.
const FORGED: &str = "2001:db8:bad::/48";
const FLOODER: &str = "2001:db8:2::66";
/// As in the flood's frames.
const MAC: &str = "02:00:00:00:00:02";
const SOURCE_PORTS: u32 = 60_000;
/// Between two bursts of a flood.
const TICK: Duration = Duration::from_millis(2);
/// New connections are tried before the flood and behind it, too.
const MARGIN: Duration = Duration::from_secs(1);

/// What stands before the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wall {
    /// Portreeve with the hook that it chooses by itself.
    Ours,
    /// nftables with state.
    State,
}

impl Wall {
    pub(super) const ALL: [Self; 2] = [Self::Ours, Self::State];

    /// In outputs.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ours => "portreeve, hook auto",
            Self::State => "nft set with state",
        }
    }
}

/// The three hosts, and the server's process.
pub(super) struct Plant {
    pub(super) wall: Wall,
    edge: Host,
    pub(super) users: Host,
    flooder: Host,
    stop: Arc<AtomicBool>,
    server: Option<JoinHandle<Result<()>>>,
    _lab: Lab,
}

impl Plant {
    /// Builds it; the server serves.
    pub(super) fn build(wall: Wall) -> Result<Self> {
        let lab = Lab::new()?;
        let (users, flooder) = (lab.host("users").up()?, lab.host("flooder").up()?);
        let edge = lab.host("edge").interface(USERS).wired_to(&users, "eth1").addr("2001:db8:1::10/64");
        let edge = edge.interface(FLOODED).mac(MAC).wired_to(&flooder, "eth1").addr("2001:db8:2::10/64");
        let edge = edge.route(FORGED, FLOODER).up()?;
        for (host, address) in [(&users, "2001:db8:1::20/64"), (&flooder, "2001:db8:2::66/64")] {
            host.run(["ip", "address", "add", address, "dev", "eth1", "nodad"])?.ok()?;
        }
        edge.run(["ethtool", "-K", FLOODED, "gro", "on"])?.ok()?;
        match wall {
            Wall::Ours => enforce(&lab, &edge, &[USERS, FLOODED])?,
            Wall::State => nftables(&lab, &edge)?,
        }
        let stop = Arc::new(AtomicBool::new(false));
        let (host, until) = (edge.clone(), Arc::clone(&stop));
        let address = address()?;
        let server = thread::spawn(move || echo::serve(&host, address, &until));
        Ok(Self { wall, edge, users, flooder, stop, server: Some(server), _lab: lab })
    }

    /// Floods it, and tells packets a second and what became of the users.
    pub(super) fn flood(
        &self,
        programs: &mut Programs,
        sources: u32,
        each: u32,
        rate: u32,
        connections: usize,
    ) -> Result<(f64, Outcome)> {
        let over = Arc::new(AtomicBool::new(false));
        thread::scope(|scope| {
            let users = scope.spawn(|| self.users.within(|| operator::run(address()?, connections, &over)));
            let flooded = with_margin(|| self.flooder.within(|| send(programs, sources, each, rate)));
            over.store(true, Ordering::Relaxed);
            let outcome = users.join().unwrap_or_else(|panic| resume_unwind(panic))?;
            Ok((flooded?, outcome))
        })
    }

    /// Frames that came out of the flood's cable so far.
    pub(super) fn received(&self) -> Result<u64> {
        self.edge.within(|| {
            let devices = fs::read_to_string("/proc/thread-self/net/dev")?;
            let device = devices.lines().find_map(|line| line.trim().strip_prefix(&format!("{FLOODED}:")));
            let frames =
                device.and_then(|line| line.split_whitespace().nth(1)).context("no such interface")?;
            Ok(frames.parse()?)
        })
    }
}

impl Drop for Plant {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(server) = self.server.take() {
            // What it failed of has shown in the users' figures.
            drop(server.join());
        }
    }
}

/// Where the server listens.
pub(super) fn address() -> Result<SocketAddr> {
    Ok(SocketAddr::new(SERVER.parse()?, OPEN))
}

/// `work` with a pause before and behind it.
fn with_margin<T>(work: impl FnOnce() -> T) -> T {
    thread::sleep(2 * MARGIN);
    let done = work();
    thread::sleep(MARGIN);
    done
}

/// In bursts, so many that the rate is kept; a sender that is too slow doesn't catch up for more than one of them.
fn send(programs: &mut Programs, sources: u32, each: u32, rate: u32) -> Result<f64> {
    let interface = if_nametoindex("eth1")?;
    programs.plan(&Plan { interface, ports: SOURCE_PORTS, addresses: sources, each, ..Plan::default() })?;
    let frame = testrun::flood()?;
    let all = sources * each;
    let most = rate / 20;
    let (begun, mut sent) = (Instant::now(), 0);
    while sent < all {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some millions")]
        let due = (begun.elapsed().as_secs_f64() * f64::from(rate)) as u32;
        let now = due.saturating_sub(sent).min(most).min(all - sent);
        if now == 0 {
            thread::sleep(TICK);
            continue;
        }
        programs.send(&frame, now)?;
        sent += now;
    }
    Ok(f64::from(sent) / begun.elapsed().as_secs_f64())
}

/// Bytes of an entry of the kernel's connection tracking: the object, and the hash table's share of it.
pub(super) fn conntrack_bytes() -> Result<f64> {
    let slabs = fs::read_to_string("/proc/slabinfo")?;
    let slab =
        slabs.lines().find(|line| line.starts_with("nf_conntrack ")).context("no nf_conntrack slab")?;
    let object: f64 = slab.split_whitespace().nth(3).context("no object size")?.parse()?;
    let read = |name: &str| -> Result<f64> {
        let path = format!("/proc/sys/net/netfilter/nf_conntrack_{name}");
        Ok(fs::read_to_string(path)?.trim().parse()?)
    };
    // A bucket is one pointer, and a connection stands in two of them.
    Ok(object + 8.0 * read("buckets")? / read("max")?)
}

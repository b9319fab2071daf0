//! Every verdict case by programs that are attached to a cable: natively, by links and as filters of clsact. Each gets the
//! verdict, for the reason, that programs get which are only run; with headers in pages and in later buffers too. Needs
//! root.

use std::{fs, thread, time::Instant};

use anyhow::{Result, bail, ensure};
use portreeve::datapath::{
    clsact,
    pins::Hook,
    traced::{Classifiers, Traced},
};
use portreeve_common::{Direction, Reason};
use portreeve_tests::{
    case::Loaded,
    frame::{Body, frame},
    lab::{Host, Lab, PATIENCE, Sender},
    step::Step,
};

const INTERFACE: &str = "enp2s0";
const WIRE: &str = "wire";
/// Since then there are links for classifiers.
const LINKS: [u32; 2] = [6, 6];
/// An Ethernet header, and no more.
const ETHERNET: u32 = 14;

/// An interface with the programs in front of it, and a sender for each direction. Neither end has an address: what is
/// sent goes no farther.
struct Cable {
    inbound: Sender,
    outbound: Sender,
    _lab: Lab,
}

/// How frames are put on a cable.
type Sends = fn(&Host, &str) -> Result<Sender>;

impl Cable {
    fn plug(traced: &mut Traced, ingress: Hook, by: Classifiers, sends: Sends) -> Result<Self> {
        let lab = Lab::new()?;
        let peer = lab.host("peer").up()?;
        let edge = lab.host("edge").interface(INTERFACE).wired_to(&peer, WIRE).up()?;
        for (host, name) in [(&peer, WIRE), (&edge, INTERFACE)] {
            // Nobody speaks but we.
            host.run(["sh", "-ec", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6"])?.ok()?;
            host.run(["ip", "link", "set", name, "mtu", "9000"])?.ok()?;
        }
        edge.within(|| Ok(traced.attach(INTERFACE, ingress, by)?))?;
        Ok(Self { inbound: sends(&peer, WIRE)?, outbound: sends(&edge, INTERFACE)?, _lab: lab })
    }

    /// The verdict on a frame that comes by.
    fn judge(&mut self, traced: &mut Traced, step: &Step, at: u64) -> Result<Reason> {
        traced.ask(u32::try_from(step.bytes.len())?, at)?;
        match step.direction {
            Direction::Ingress => self.inbound.send(&step.bytes)?,
            Direction::Egress => self.outbound.send(&step.bytes)?,
        }
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if let Some((reason, _)) = traced.answer()? {
                return Ok(reason);
            }
            thread::yield_now();
        }
        bail!("a frame of {} bytes never came by: {:02x?}", step.bytes.len(), step.bytes)
    }

    /// Whether helpers read of a frame that comes by and that they need not read where it lies in one piece.
    fn is_helped(&mut self, traced: &mut Traced, direction: Direction) -> Result<bool> {
        traced.clear_scratch()?;
        self.judge(traced, &Step { direction, bytes: plain() }, 0)?;
        Ok(traced.has_scratch()?)
    }
}

/// The ways to attach classifiers that this kernel has.
fn classifiers() -> Result<Vec<Classifiers>> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let version: Vec<u32> = release.split(['.', '-', '+']).flat_map(str::parse).take(2).collect();
    let wanted = version.as_slice() >= LINKS.as_slice();
    let lab = Lab::new()?;
    let has = lab.host("edge").up()?.within(|| Ok(clsact::has_tcx("eth0")))?;
    ensure!(has == wanted, "links for classifiers on {release}: {has}");
    let links = if has { vec![Classifiers::Links] } else { vec![] };
    Ok([links, vec![Classifiers::Filters]].concat())
}

/// The verdict of the programs, run and not attached.
fn run(traced: &mut Traced, step: &Step, ingress: Hook, at: u64) -> Result<Reason> {
    let hook = Traced::hook(step.direction, ingress == Hook::Xdp);
    Ok(traced.judge(&step.bytes, u32::try_from(step.bytes.len())?, hook, at)?.0)
}

/// A frame that no helper reads where it lies in one piece.
fn plain() -> Vec<u8> {
    let body = Body::Tcp { flags: 2, sequence: 1, acknowledgment: 0 };
    frame().from("198.51.100.7:40000").to("192.0.2.10:9").body(body).bytes()
}

#[test]
fn frames_that_come_by_get_their_verdicts() -> Result<()> {
    let mut loaded = Loaded::new()?;
    let (mut cables, mut like) = (Vec::new(), vec![0, 1]);
    for by in classifiers()? {
        for (wanted, ingress) in [Hook::Xdp, Hook::Ingress].into_iter().enumerate() {
            cables.push(Cable::plug(&mut loaded.traced, ingress, by, Sender::whole)?);
            like.push(wanted);
            println!("cable {}: ingress by {}, classifiers as {by:?}", cables.len(), ingress.name());
        }
    }
    let cases = loaded.judge_all(&like, |traced, way, step, at| match way {
        0 => run(traced, step, Hook::Xdp, at),
        1 => run(traced, step, Hook::Ingress, at),
        cable => cables[cable - 2].judge(traced, step, at),
    })?;
    println!("{cases} cases by {} cables", cables.len());
    Ok(())
}

/// Of a socket buffer the programs address the linear part, and have to be given what lies in pages.
#[test]
fn headers_in_pages_are_read() -> Result<()> {
    let mut loaded = Loaded::new()?;
    let (mut cables, mut like) = (Vec::new(), vec![0]);
    for by in classifiers()? {
        for (sends, in_pages) in [(Sender::whole as Sends, false), (Sender::paged, true)] {
            let mut cable = Cable::plug(&mut loaded.traced, Hook::Ingress, by, sends)?;
            for direction in Direction::ALL {
                let helped = cable.is_helped(&mut loaded.traced, direction)?;
                ensure!(
                    helped == in_pages,
                    "{by:?}, {direction}: in pages: {in_pages}, read by helpers: {helped}"
                );
            }
            if in_pages {
                cables.push(cable);
                like.push(0);
            }
        }
    }
    let cases = loaded.judge_all(&like, |traced, way, step, at| match way {
        0 => run(traced, step, Hook::Ingress, at),
        cable => cables[cable - 1].judge(traced, step, at),
    })?;
    println!("{cases} cases with headers in pages, by {} cables", cables.len());
    Ok(())
}

#[test]
fn headers_in_later_buffers_are_read() -> Result<()> {
    /// All; the Ethernet header, and a byte more; within IPv4's; behind it; behind UDP's; behind TCP's and IPv6's; more.
    const FIRST: [u32; 8] = [u32::MAX, ETHERNET, ETHERNET + 1, 20, 34, 42, 54, 62];
    let mut loaded = Loaded::new()?;
    for (first, wanted) in [(u32::MAX, false), (ETHERNET, true)] {
        loaded.traced.clear_scratch()?;
        loaded.traced.judge_in_buffers(&plain(), first, 0)?;
        let helped = loaded.traced.has_scratch()?;
        ensure!(helped == wanted, "{first} bytes in the first buffer, helped: {helped}");
    }
    let cases = loaded.judge_all(&[0; FIRST.len()], |traced, way, step, at| match step.direction {
        Direction::Ingress => Ok(traced.judge_in_buffers(&step.bytes, FIRST[way], at)?.0),
        Direction::Egress => run(traced, step, Hook::Xdp, at),
    })?;
    println!("{cases} cases, with {FIRST:?} bytes in the first buffer");
    Ok(())
}

//! Every verdict case by programs that are attached to a cable: natively, by links and as filters of clsact. Each gets the
//! verdict, for the reason, that programs get which are only run; with headers in pages and in later buffers too. Needs
//! root.

use std::{fs, thread, time::Instant};

use anyhow::{Context as _, Result, bail, ensure};
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
const TCX: [u32; 2] = [6, 6];
/// An Ethernet header, and no more.
const ETHERNET: u32 = 14;

/// How the programs are attached.
#[derive(Clone, Copy, Debug)]
struct Way {
    ingress: Hook,
    by: Classifiers,
}

/// An interface with the programs in front of it. Neither end has an address: what is sent goes no farther.
struct Cable {
    edge: Host,
    peer: Host,
}

impl Cable {
    fn plug(lab: &Lab) -> Result<Self> {
        let peer = lab.host("peer").up()?;
        let edge = lab.host("edge").interface(INTERFACE).wired_to(&peer, WIRE).up()?;
        for (host, name) in [(&peer, WIRE), (&edge, INTERFACE)] {
            // Nobody speaks but we.
            host.run(["sh", "-ec", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6"])?.ok()?;
            host.run(["ip", "link", "set", name, "mtu", "9000"])?.ok()?;
        }
        Ok(Self { edge, peer })
    }

    fn attach(&self, traced: &mut Traced, way: Way) -> Result<()> {
        self.edge.within(|| Ok(traced.attach(INTERFACE, way.ingress, way.by)?))
    }

    /// A sender for each direction.
    fn senders(&self, sender: fn(&Host, &str) -> Result<Sender>) -> Result<[Sender; 2]> {
        Ok([sender(&self.peer, WIRE)?, sender(&self.edge, INTERFACE)?])
    }

    /// Whether classifiers can be attached by links here, which depends on the kernel alone.
    fn has_links(&self) -> Result<bool> {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let version: Vec<u32> = release.split(['.', '-', '+']).flat_map(str::parse).take(2).collect();
        let has = self.edge.within(|| Ok(clsact::has_tcx(INTERFACE)))?;
        ensure!(has == (version.as_slice() >= TCX.as_slice()), "links for classifiers on {release}: {has}");
        Ok(has)
    }
}

/// The verdict on a frame that is sent.
fn sent(traced: &mut Traced, senders: &mut [Sender; 2], step: &Step, at: u64) -> Result<Reason> {
    let [inbound, outbound] = senders;
    traced.ask(u32::try_from(step.bytes.len())?, at)?;
    match step.direction {
        Direction::Ingress => inbound,
        Direction::Egress => outbound,
    }
    .send(&step.bytes)?;
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        if let Some((reason, _)) = traced.answer()? {
            return Ok(reason);
        }
        thread::yield_now();
    }
    bail!("a frame of {} bytes never came by: {:02x?}", step.bytes.len(), step.bytes)
}

/// The reasons that programs give which are only run.
fn run(loaded: &mut Loaded, ingress: Hook) -> Result<Vec<Reason>> {
    loaded.judge_all(|traced, step, at| {
        let hook = Traced::hook(step.direction, ingress == Hook::Xdp);
        Ok(traced.judge(&step.bytes, u32::try_from(step.bytes.len())?, hook, at)?.0)
    })
}

fn agree(loaded: &Loaded, one: &[Reason], other: &[Reason]) -> Result<()> {
    let differing = loaded.differing(one, other);
    ensure!(differing.is_empty(), "{} differ:\n{}", differing.len(), differing.join("\n"));
    Ok(())
}

#[test]
fn frames_that_come_by_get_their_verdicts() -> Result<()> {
    let mut loaded = Loaded::new()?;
    for way in [
        Way { ingress: Hook::Xdp, by: Classifiers::Links },
        Way { ingress: Hook::Ingress, by: Classifiers::Links },
        Way { ingress: Hook::Xdp, by: Classifiers::Filters },
        Way { ingress: Hook::Ingress, by: Classifiers::Filters },
    ] {
        let lab = Lab::new()?;
        let cable = Cable::plug(&lab)?;
        if way.by == Classifiers::Links && !cable.has_links()? {
            println!("{way:?}: not on this kernel");
            continue;
        }
        let wanted = run(&mut loaded, way.ingress)?;
        cable.attach(&mut loaded.traced, way)?;
        let mut senders = cable.senders(Sender::whole)?;
        let reasons = loaded.judge_all(|traced, step, at| sent(traced, &mut senders, step, at));
        let reasons = reasons.with_context(|| format!("{way:?}"))?;
        agree(&loaded, &wanted, &reasons).with_context(|| format!("{way:?}"))?;
        println!("{way:?}: {} cases judged", reasons.len());
    }
    Ok(())
}

/// Programs saw of a socket buffer's linear part what they could address, and had to be given the rest.
#[test]
fn headers_in_pages_are_read() -> Result<()> {
    let mut loaded = Loaded::new()?;
    for by in [Classifiers::Links, Classifiers::Filters] {
        let lab = Lab::new()?;
        let cable = Cable::plug(&lab)?;
        if by == Classifiers::Links && !cable.has_links()? {
            println!("{by:?}: not on this kernel");
            continue;
        }
        let wanted = run(&mut loaded, Hook::Ingress)?;
        cable.attach(&mut loaded.traced, Way { ingress: Hook::Ingress, by })?;
        let mut paged = cable.senders(Sender::paged)?;
        let mut whole = cable.senders(Sender::whole)?;
        for direction in Direction::ALL {
            let step = Step { direction, bytes: plain() };
            let mut helped = |senders: &mut [Sender; 2]| -> Result<bool> {
                loaded.traced.clear_scratch()?;
                sent(&mut loaded.traced, senders, &step, 0)?;
                Ok(loaded.traced.has_scratch()?)
            };
            ensure!(!helped(&mut whole)?, "{by:?}, {direction}: a helper reads what is linear");
            ensure!(helped(&mut paged)?, "{by:?}, {direction}: nothing lies in pages");
        }
        let reasons = loaded.judge_all(|traced, step, at| sent(traced, &mut paged, step, at));
        let reasons = reasons.with_context(|| format!("{by:?}"))?;
        agree(&loaded, &wanted, &reasons).with_context(|| format!("{by:?}"))?;
        println!("{by:?}: {} cases judged in pages", reasons.len());
    }
    Ok(())
}

#[test]
fn headers_in_later_buffers_are_read() -> Result<()> {
    /// Behind the Ethernet header; within it and the next one's; behind IPv4's and before and behind TCP's and UDP's.
    const FIRST: [u32; 7] = [ETHERNET, ETHERNET + 1, 20, 34, 42, 54, 60];
    let mut loaded = Loaded::new()?;
    let wanted = run(&mut loaded, Hook::Xdp)?;
    let frame = plain();
    loaded.traced.clear_scratch()?;
    loaded.traced.judge_in_buffers(&frame, u32::MAX, 0)?;
    ensure!(!loaded.traced.has_scratch()?, "a helper reads what is in the first buffer");
    loaded.traced.judge_in_buffers(&frame, ETHERNET, 0)?;
    ensure!(loaded.traced.has_scratch()?, "nothing lies in a later buffer");
    for first in FIRST {
        let reasons = loaded.judge_all(|traced, step, at| match step.direction {
            Direction::Ingress => Ok(traced.judge_in_buffers(&step.bytes, first, at)?.0),
            Direction::Egress => {
                Ok(traced.judge(&step.bytes, u32::try_from(step.bytes.len())?, Hook::Egress, at)?.0)
            }
        })?;
        agree(&loaded, &wanted, &reasons).with_context(|| format!("{first} bytes first"))?;
        println!("{} cases judged, {first} bytes in the first buffer", reasons.len());
    }
    Ok(())
}

/// A frame that no helper reads where it lies in one piece.
fn plain() -> Vec<u8> {
    let body = Body::Tcp { flags: 2, sequence: 1, acknowledgment: 0 };
    frame().from("198.51.100.7:40000").to("192.0.2.10:9").body(body).bytes()
}

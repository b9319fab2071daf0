//! The kernel programs, loaded and asked: verdicts, the time to write a policy, and what a frame costs. Needs root.

use std::time::Instant;

use anyhow::{Context as _, Result};
use etherparse::PacketBuilder;
use ipnet::IpNet;
use jiff::civil::date;
use portreeve::{
    datapath::{object::Sets, pins::Hook, policy::Tables, traced::Traced},
    image::{Image, Slots},
    policy::{self, Catalogue, host::StateLimits},
};
use portreeve_common::{Direction, Reason};
use portreeve_tests::frame::{Body, Frame, HOST_MAC, frame};

const HOST: &str = r#"
[host]
name = "line4-edge"
[[allow]]
id = "SITE-1"
direction = "ingress"
protocol = "tcp"
port = 443
peers = ["198.51.100.0/24"]
reason = "operators"
[[allow]]
id = "SITE-2"
direction = "egress"
protocol = "udp"
port = 53
peers = ["198.51.100.53"]
reason = "resolver"
[[allow]]
id = "SITE-3"
direction = "ingress"
protocol = "udp"
port = 161
peers = "any"
reason = "monitoring"
"#;

const EDGE: [u8; 4] = [192, 0, 2, 10];

fn image() -> Result<Image> {
    let policy = policy::compile("host.toml", HOST, &Catalogue::load(None)?, date(2026, 11, 21));
    let policy = policy.map_err(|report| anyhow::anyhow!("{}", report.render(false)))?;
    let own: IpNet = "192.0.2.10/24".parse()?;
    Ok(Image::compile(&policy, &[own], &mut Slots::default(), 250)?)
}

fn syn(from: [u8; 4], port: u16) -> Result<Vec<u8>> {
    let builder =
        PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(from, EDGE, 64).tcp(40_000, port, 1, 1_024).syn();
    let mut frame = Vec::new();
    builder.write(&mut frame, &[])?;
    Ok(frame)
}

#[test]
fn a_policy_is_judged_by_the_kernel() -> Result<()> {
    let image = image()?;
    let sets = Sets::of(&StateLimits::default());
    let mut traced = Traced::load(&Tables::from(&image), [1, 2], sets)?;
    for hook in [Hook::Xdp, Hook::Ingress] {
        let mut ask = |frame: &[u8]| -> Result<(Reason, Option<String>)> {
            let length = u32::try_from(frame.len())?;
            let (reason, rule) = traced.judge(frame, length, hook, 100_000)?;
            let flow = rule.map(|slot| image.flow(slot).context("a rule without a flow")).transpose()?;
            Ok((reason, flow.map(|flow| flow.flow.clone())))
        };
        let (reason, flow) = ask(&syn([198, 51, 100, 7], 443)?)?;
        assert!(reason.passes(), "{reason}");
        assert_eq!(flow.as_deref(), Some("SITE-1"));
        assert_eq!(ask(&syn([203, 0, 113, 7], 443)?)?.0, Reason::WrongPeer);
        assert_eq!(ask(&syn([198, 51, 100, 7], 23)?)?, (Reason::NoRule, None));
        assert_eq!(ask(&[0; 10])?, (Reason::Malformed, None));
        // Linux runs no IP packet at TC whose header is cut.
        for cut in 14..54 {
            assert_eq!(ask(&syn([198, 51, 100, 7], 443)?[..cut])?, (Reason::Malformed, None), "{cut} bytes");
        }
        let mut long = syn([198, 51, 100, 7], 23)?;
        long.resize(9_000, 0);
        assert_eq!(ask(&long)?.0, Reason::NoRule);
    }
    Ok(())
}

#[test]
fn a_policy_that_is_written_stands_there() -> Result<()> {
    let image = image()?;
    let mut traced = Traced::load(&Tables::from(&image), [1, 2], Sets::of(&StateLimits::default()))?;
    let begin = Instant::now();
    traced.policy().write(2, &Tables::from(&image))?;
    let first = begin.elapsed();
    let begin = Instant::now();
    traced.policy().write(2, &Tables::from(&image))?;
    let again = begin.elapsed();
    let drop = traced.bench_run(&syn([198, 51, 100, 7], 23)?, Hook::Xdp, 1_000_000)?;
    println!("first {first:?}, again {again:?}, drop {drop:?}");
    assert!(traced.policy().holds(2, &Tables::from(&image))?);
    Ok(())
}

/// Places of two sets.
const SMALL: Sets = Sets { established: 2, embryonic: 256 };

fn ask(traced: &mut Traced, frame: &Frame, at: u64) -> Result<Reason> {
    let direction = if frame.sender == HOST_MAC { Direction::Egress } else { Direction::Ingress };
    let bytes = frame.bytes();
    let hook = Traced::hook(direction, true);
    Ok(traced.judge(&bytes, u32::try_from(bytes.len())?, hook, at)?.0)
}

/// Answered UDP filled the established table, and connections that began then ended when they had waited for 30 seconds.
#[test]
fn datagrams_keep_no_connection_out() -> Result<()> {
    const SYN: u8 = 2;
    const ACK: u8 = 16;
    let image = image()?;
    let mut traced = Traced::load(&Tables::from(&image), [1, 2], SMALL)?;
    let begin = 100_000;
    for port in 0..512 {
        let (client, agent) = (format!("203.0.113.7:{}", 10_000 + port), "192.0.2.10:161");
        assert_eq!(ask(&mut traced, &frame().from(client.as_str()).to(agent).udp(), begin)?, Reason::Rule);
        let answer = frame().from(agent).to(client.as_str()).outbound().udp();
        assert_eq!(ask(&mut traced, &answer, begin)?, Reason::Established);
    }
    let segment = |client: u16, flags, [sequence, acknowledgment]: [u32; 2], back: bool| {
        let (client, server) = (format!("198.51.100.7:{client}"), "192.0.2.10:443");
        let body = Body::Tcp { flags, sequence, acknowledgment };
        match back {
            false => frame().from(client.as_str()).to(server).body(body),
            true => frame().from(server).to(client.as_str()).outbound().body(body),
        }
    };
    // As many as the places that are theirs, less those that chance puts into one set.
    for client in 40_000..40_004 {
        assert_eq!(ask(&mut traced, &segment(client, SYN, [1, 0], false), begin)?, Reason::Rule);
        for (flags, numbers, back) in [(SYN | ACK, [9, 2], true), (ACK, [2, 10], false)] {
            let reason = ask(&mut traced, &segment(client, flags, numbers, back), begin)?;
            assert_eq!(reason, Reason::Established);
        }
    }
    // Long after what waits for its answer has waited enough; those of datagrams have 180 seconds.
    let later = begin + 60 * 250;
    for client in 40_000..40_004 {
        let reason = ask(&mut traced, &segment(client, ACK, [2, 10], false), later)?;
        assert_eq!(reason, Reason::Established, "{client}");
    }
    let answer = frame().from("192.0.2.10:161").to("203.0.113.7:10000").outbound().udp();
    assert_eq!(ask(&mut traced, &answer, later)?, Reason::Established, "the first has a place of its own");
    Ok(())
}

//! `replay` judges captures of tools that we did not write the same in the kernel and in user space. Needs root.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use portreeve_tests::lab::{self, Agent, Host, Lab, PATIENCE, Resolver, Web};

/// The ways by which the kernel judges what comes in.
const HOOKS: [&str; 2] = ["xdp", "tc"];

const HOST: &str = r#"
[host]
name = "line4-edge"
addresses = ["192.0.2.10", "2001:db8:1::10"]

[baseline]
ping_from = ["192.0.2.0/24"]

[[allow]]
id = "SITE-1"
direction = "ingress"
protocol = "tcp"
port = 8080
peers = ["192.0.2.20", "2001:db8:1::20"]
reason = "operators"

[[allow]]
id = "SITE-2"
direction = "egress"
protocol = "udp"
port = 53
peers = ["192.0.2.20"]
reason = "resolver"
"#;

/// TCP and UDP both ways, fragments, a quoted packet, a tag, extension headers, ARP and cut frames, by scapy.
const SCAPY: &str = r#"
import sys
from scapy.all import *
edge, peer = '192.0.2.10', '192.0.2.20'
there, back = IP(src=peer, dst=edge), IP(src=edge, dst=peer)
syn = there/TCP(sport=40000, dport=8080, flags='S', seq=100)
packets = [syn,
    back/TCP(sport=8080, dport=40000, flags='SA', seq=500, ack=101),
    there/TCP(sport=40000, dport=8080, flags='A', seq=101, ack=501),
    there/TCP(sport=40000, dport=8080, flags='PA', seq=101, ack=501)/Raw(b'GET /'),
    back/ICMP(type=3, code=3)/there/TCP(sport=40000, dport=8080, seq=101),
    back/ICMP(type=3, code=3)/there/UDP(sport=1, dport=2),
    back/TCP(sport=8080, dport=40000, flags='R', seq=501),
    there/TCP(sport=40000, dport=8080, flags='A', seq=106, ack=501),
    there/ICMP(id=7), back/ICMP(type=0, id=7), there/ICMP(type=5),
    there/UDP(sport=1, dport=161)]
packets += fragment(back/UDP(sport=5000, dport=53)/Raw(b'x' * 2000), fragsize=800)
packets += [IPv6(src='2001:db8:1::20', dst='2001:db8:1::10')/IPv6ExtHdrHopByHop()/TCP(sport=1, dport=8080, flags='S'),
    IPv6(src='fe80::1', dst='ff02::1')/ICMPv6ND_NS(tgt='fe80::2')]
frames = [Ether(src='02:00:00:00:00:01', dst='02:00:00:00:00:02')/packet for packet in packets]
frames += [Ether()/Dot1Q(vlan=5)/syn, Ether()/ARP(), Ether(bytes(frames[0])[:20]), Ether(bytes(frames[0])[:40])]
wrpcap(sys.argv[1], frames)
"#;

#[test]
fn checked_in_captures_are_judged_the_same() -> Result<()> {
    let agent = Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/tests");
    let host = agent.join("golden/line4-edge.toml");
    let mut judged = 0;
    for entry in fs::read_dir(agent.join("captures"))? {
        let path = entry?.path();
        let is_capture = path.extension().is_some_and(|end| end == "pcap" || end == "pcapng");
        // Its link type is one that nobody judges.
        if is_capture && path.file_name().is_some_and(|name| name != "other-link.pcap") {
            ensure!(same(&host, &path)? > 0, "{} is empty", path.display());
            judged += 1;
        }
    }
    ensure!(judged >= 10, "only {judged} captures");
    Ok(())
}

#[test]
fn a_capture_by_scapy_is_judged_the_same() -> Result<()> {
    let lab = Lab::new()?;
    let capture = lab.dir().join("scapy.pcap");
    // Debian's scapy belongs to Debian's Python.
    let written = Command::new("/usr/bin/python3").args(["-c", SCAPY]).arg(&capture).output()?;
    ensure!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    let lines = same(&host_file(&lab)?, &capture)?;
    ensure!(lines >= 18, "only {lines} packets");
    Ok(())
}

#[test]
fn a_capture_by_tcpdump_is_judged_the_same() -> Result<()> {
    let lab = Lab::new()?;
    let edge = lab.host("edge").interface("enp2s0").addr("192.0.2.10/24").addr("2001:db8:1::10/64").up()?;
    let peer = lab.host("peer").addr("192.0.2.20/24").addr("2001:db8:1::20/64").up()?;
    let _web = Web::new(&edge, "edge ui").http(8080).start()?;
    let _names = Resolver::new(&peer).name("edge.example", "192.0.2.10").start()?;
    for options in [["-i", "enp2s0"], ["-i", "any"]] {
        let capture = lab.dir().join(format!("tcpdump-{}.pcap", options[1]));
        record(&edge, &options, &capture, || traffic(&edge, &peer))?;
        let lines = same(&host_file(&lab)?, &capture)?;
        ensure!(lines >= 30, "only {lines} packets");
        println!("tcpdump {options:?}: {lines} packets");
    }
    Ok(())
}

fn traffic(edge: &Host, peer: &Host) -> Result<()> {
    lab::fetch(peer, "http://192.0.2.10:8080/")?.ok()?;
    lab::fetch(peer, "http://[2001:db8:1::10]:8080/")?.ok()?;
    lab::lookup(edge, "192.0.2.20", "edge.example", "A")?.ok()?;
    lab::ping(peer, "192.0.2.10")?.ok()?;
    lab::ping(edge, "2001:db8:1::20")?.ok()?;
    lab::scan(peer, "192.0.2.10", &[22, 23, 443, 8080])?;
    Ok(())
}

/// Runs tcpdump while `traffic` flows, until all of it is written.
fn record(on: &Host, options: &[&str], to: &Path, traffic: impl FnOnce() -> Result<()>) -> Result<()> {
    let to = to.to_string_lossy();
    let words = [&["tcpdump", "-U", "-n", "-Z", "root", "-w", &to], options].concat();
    let mut tcpdump = on.spawn(words)?;
    tcpdump.wait_until("listens", PATIENCE, |server| Ok(server.log()?.contains("listening on")))?;
    traffic()?;
    // What the kernel still buffers comes with the next read.
    std::thread::sleep(Duration::from_secs(1));
    tcpdump.signal(Signal::SIGINT)?;
    tcpdump.wait(PATIENCE)?;
    Ok(())
}

fn host_file(lab: &Lab) -> Result<PathBuf> {
    let file = lab.dir().join("host.toml");
    fs::write(&file, HOST)?;
    Ok(file)
}

/// How many lines are the same in user space and in the kernel by both hooks.
fn same(host: &Path, capture: &Path) -> Result<usize> {
    let user = replay(host, capture, &["--simulate"])?;
    for hook in HOOKS {
        let kernel = replay(host, capture, &["--hook", hook])?;
        ensure!(kernel == user, "{} by {hook}:\n{kernel}\nin user space:\n{user}", capture.display());
    }
    Ok(user.lines().count())
}

fn replay(host: &Path, capture: &Path, flags: &[&str]) -> Result<String> {
    let mut command = Command::new(Agent::program()?);
    command.args(["replay", "--json"]).args(flags).args([host, capture]);
    let output = command.output().context("portreeve")?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

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

/// Names beside a resolver.
const NAMES: &str = r#"
[[allow]]
id = "SITE-3"
direction = "egress"
protocol = "tcp"
port = 443
peers = ["api.example.com", "*.example.net"]
reason = "cloud"
"#;

/// Questions and answers by scapy, and who connects to what; each packet has its time.
const NAMES_BY_SCAPY: &str = r#"
import sys
from scapy.all import *
edge, peer = '192.0.2.10', '192.0.2.20'
def asks(name, id, **kind):
    return IP(src=edge, dst=peer)/UDP(sport=50053, dport=53)/DNS(id=id, rd=1, qd=DNSQR(qname=name, **kind))
def answers(name, id, records, port=50053, **kind):
    return IP(src=peer, dst=edge)/UDP(sport=53, dport=port)/DNS(id=id, qr=1, rd=1, ra=1, qd=DNSQR(qname=name, **kind), an=records)
def a(name, address):
    return DNSRR(rrname=name, ttl=300, rdata=address)
def syn(to, port, sport):
    return IP(src=edge, dst=to)/TCP(sport=sport, dport=port, flags='S')
v6 = IPv6(src='2001:db8:1::10', dst='2001:db8:7::20')/TCP(sport=50000, dport=443, flags='S')
packets = [(0, asks('api.example.com', 7)), (0, syn('203.0.113.20', 443, 50000)),
    (1, answers('api.example.com', 8, a('api.example.com', '203.0.113.20'))), (1, syn('203.0.113.20', 443, 50001)),
    (2, answers('API.example.COM', 7, a('api.example.com', '203.0.113.20'))), (2, syn('203.0.113.20', 443, 50002)),
    (2, syn('203.0.113.21', 443, 50003)), (2, syn('203.0.113.20', 80, 50004)),
    (3, asks('www.example.net', 9)),
    (3, answers('www.example.net', 9, DNSRR(rrname='www.example.net', type='CNAME', ttl=5, rdata='e.example.org')/a('e.example.org', '203.0.113.30'))),
    (3, syn('203.0.113.30', 443, 50005)), (3, v6),
    (4, asks('a.b.example.net', 10, qtype='AAAA')),
    (4, answers('a.b.example.net', 10, DNSRR(rrname='a.b.example.net', type='AAAA', ttl=5, rdata='2001:db8:7::20'), qtype='AAAA')), (4, v6),
    (5, asks('evilexample.net', 11)), (5, answers('evilexample.net', 11, a('evilexample.net', '203.0.113.40'))),
    (5, syn('203.0.113.40', 443, 50006)), (310, syn('203.0.113.20', 443, 50007))]
frames = []
for time, packet in packets:
    frame = Ether(src='02:00:00:00:00:01', dst='02:00:00:00:00:02')/packet
    frame.time = 1700000000 + time
    frames.append(frame)
wrpcap(sys.argv[1], frames)
"#;

#[test]
fn answers_in_a_capture_are_learned_from_in_both_ways() -> Result<()> {
    let lab = Lab::new()?;
    let (host, capture) = (lab.dir().join("names.toml"), lab.dir().join("names.pcap"));
    fs::write(&host, format!("{HOST}{NAMES}"))?;
    by_scapy(NAMES_BY_SCAPY, &capture)?;
    let wanted = [
        ("pass", "rule", "\"SITE-2\""),
        ("drop", "wrong-peer", "null"),
        // With another id.
        ("pass", "established", "\"SITE-2\""),
        ("drop", "wrong-peer", "null"),
        ("pass", "established", "\"SITE-2\""),
        ("pass", "rule", "\"SITE-3\""),
        ("drop", "wrong-peer", "null"),
        ("drop", "no-rule", "null"),
        ("pass", "established", "\"SITE-2\""),
        ("pass", "established", "\"SITE-2\""),
        // Of an alias.
        ("pass", "rule", "\"SITE-3\""),
        ("drop", "wrong-peer", "null"),
        ("pass", "established", "\"SITE-2\""),
        ("pass", "established", "\"SITE-2\""),
        ("pass", "rule", "\"SITE-3\""),
        // A name that merely ends alike.
        ("pass", "established", "\"SITE-2\""),
        ("pass", "established", "\"SITE-2\""),
        ("drop", "wrong-peer", "null"),
        // After its time.
        ("drop", "wrong-peer", "null"),
    ];
    let user = replay(&host, &capture, &["--simulate"])?;
    let shown: Vec<&str> = user.lines().collect();
    ensure!(shown.len() == wanted.len(), "{user}");
    for (line, (verdict, reason, flow)) in shown.iter().zip(wanted) {
        let end = format!("\"verdict\": \"{verdict}\", \"reason\": \"{reason}\", \"flow\": {flow}}}");
        ensure!(line.ends_with(&end), "{line}, wanted {end}\n{user}");
    }
    same(&host, &capture)?;
    Ok(())
}

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
    by_scapy(SCAPY, &capture)?;
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

fn by_scapy(script: &str, capture: &Path) -> Result<()> {
    // Debian's scapy belongs to Debian's Python.
    let written = Command::new("/usr/bin/python3").args(["-c", script]).arg(capture).output()?;
    ensure!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
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

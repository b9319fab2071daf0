//! Attacks by nmap, hping3 and frames of our own: nothing that is not allowed reaches the edge device's stack, and every
//! try is counted. Needs root.

mod gate;

use std::fs;

use anyhow::{Context as _, Result, ensure};
use portreeve_tests::{
    frame::{Frame, HOST_MAC, frame},
    lab::{self, Host, Lab, PATIENCE, Port, Server, Web, wait_for},
};

use gate::{EDGE, Gate, HOOKS, INTERFACE};

const OPERATOR: &str = "192.0.2.20";
const INTRUDER: &str = "192.0.2.66";
/// Counts its packets, as idle scans want it.
const PRINTER: &str = "192.0.2.40";
/// The documented page, for the operator; and ports that nobody documents, on which something listens.
const UI: u16 = 443;
const LISTENING: [u16; 2] = [22, 8080];

const RULES: &str = r#"
[[allow]]
id = "WEB"
direction = "ingress"
protocol = "tcp"
port = 443
peers = ["192.0.2.20"]
reason = "user interface"

[[allow]]
id = "SNMP"
direction = "ingress"
protocol = "udp"
port = 161
peers = ["192.0.2.20"]
reason = "monitoring"

[[allow]]
id = "DNS"
direction = "egress"
protocol = "udp"
port = 53
peers = ["192.0.2.20"]
reason = "resolver"
"#;

/// What each nmap scan is called, and how it is asked for; the addresses of the target come last.
const SCANS: [(&str, &[&str]); 11] = [
    ("SYN", &["-sS", "-p", "22,443,8080"]),
    ("connect", &["-sT", "-p", "22,443,8080"]),
    ("ACK", &["-sA", "-p", "22,443,8080"]),
    ("FIN", &["-sF", "-p", "22,443,8080"]),
    ("null", &["-sN", "-p", "22,443,8080"]),
    ("Xmas", &["-sX", "-p", "22,443,8080"]),
    ("fragments", &["-sS", "-f", "-p", "22,443,8080"]),
    ("from port 53", &["-sS", "-g", "53", "-p", "22,443,8080"]),
    ("UDP", &["-sU", "-p", "53,123,161,162"]),
    ("UDP from port 53", &["-sU", "-g", "53", "-p", "53,123,161,40000"]),
    ("IP protocol", &["-sO", "-p", "1,2,6,17,41,47,50,89,132"]),
];

/// Five packets each.
const HPINGS: [(&str, &[&str]); 9] = [
    ("SYN", &["-S", "-p", "8080"]),
    ("SYN and ACK", &["-S", "-A", "-p", "8080", "-s", "443"]),
    ("reset", &["-R", "-p", "443"]),
    ("no flags", &["-p", "8080"]),
    ("all flags", &["-S", "-A", "-F", "-R", "-P", "-U", "-p", "443"]),
    ("UDP", &["--udp", "-p", "161"]),
    ("ICMP echo", &["--icmp"]),
    ("ICMP redirect", &["--icmp", "-C", "5", "-K", "1", "--icmp-gw", INTRUDER]),
    ("raw IP", &["--rawip", "-H", "47"]),
];

/// Everyone, and counters of nftables where packets leave the intruder and where they reach the edge device's stack.
struct Plant {
    lab: Lab,
    edge: Host,
    operator: Host,
    intruder: Host,
    _web: Server,
    _zombie: Server,
}

impl Plant {
    fn build() -> Result<Self> {
        let lab = Lab::new()?;
        let mac = HOST_MAC.map(|byte| format!("{byte:02x}")).join(":");
        let edge = lab.host("edge").interface(INTERFACE).mac(&mac).addr("192.0.2.10/24").up()?;
        let operator = lab.host("operator").addr("192.0.2.20/24").up()?;
        let intruder = lab.host("intruder").addr("192.0.2.66/24").up()?;
        let printer = lab.host("printer").addr("192.0.2.40/24").up()?;
        let web = Web::new(&edge, "edge ui").https(UI).http(LISTENING[0]).http(LISTENING[1]).start()?;
        let zombie = zombie(&printer)?;
        let reached = format!(
            "table inet proof {{
               counter intruder {{ }}
               counter printer {{ }}
               counter operator {{ }}
               chain reached {{ type filter hook prerouting priority -300;
                 ip saddr {INTRUDER} counter name intruder
                 ip saddr {PRINTER} counter name printer
                 ip saddr {OPERATOR} tcp dport != {UI} counter name operator
                 ip saddr {OPERATOR} udp dport != 161 counter name operator
               }}
             }}"
        );
        let sent = format!(
            "table netdev proof {{
               counter sent {{ }}
               chain sent {{ type filter hook egress device eth0 priority 0;
                 ip daddr {EDGE} counter name sent
               }}
             }}"
        );
        for (host, rules) in [(&edge, reached), (&intruder, sent)] {
            let file = lab.dir().join(format!("{}.nft", host.name()));
            fs::write(&file, rules)?;
            host.run(["nft", "-f", &file.to_string_lossy()])?.ok()?;
        }
        Ok(Self { lab, edge, operator, intruder, _web: web, _zombie: zombie })
    }

    /// Packets of theirs that the edge device's stack has seen.
    fn reached(&self, whose: &str) -> Result<u64> {
        counter(&self.edge, "inet", whose)
    }

    /// Packets that the intruder has sent to the edge device.
    fn sent(&self) -> Result<u64> {
        counter(&self.intruder, "netdev", "sent")
    }
}

fn counter(host: &Host, family: &str, name: &str) -> Result<u64> {
    let shown = host.run(["nft", "-j", "list", "counter", family, "proof", name])?.ok()?.stdout;
    let json: serde_json::Value = serde_json::from_str(&shown)?;
    let objects = json["nftables"].as_array().context("no list")?;
    let counter = objects.iter().find_map(|object| object["counter"]["packets"].as_u64());
    counter.with_context(|| format!("no counter {name} in {shown}"))
}

/// Answers each SYN-ACK with a reset, one higher in its identifier than the last: the host that an idle scan hides
/// behind. Linux's own resets carry none.
fn zombie(printer: &Host) -> Result<Server> {
    const SCRIPT: &str = r#"
from scapy.all import *
number = 1000
def answer(packet):
    global number
    if not packet.haslayer(TCP) or packet[IP].dst != '192.0.2.40' or packet[TCP].flags & 4: return
    number += 1
    segment = packet[TCP]
    back = IP(src=packet[IP].dst, dst=packet[IP].src, id=number)
    reset = TCP(sport=segment.dport, dport=segment.sport, flags='R', seq=segment.ack)
    sendp(Ether(src=packet[Ether].dst, dst=packet[Ether].src)/back/reset, iface='eth0', verbose=0)
sniff(iface='eth0', filter='tcp and dst host 192.0.2.40', prn=answer, store=0,
      started_callback=lambda: print('ready', flush=True))
"#;
    // The printer's own stack would answer too.
    printer
        .run([
            "nft",
            "add table inet quiet { chain out { type filter hook output priority 0; tcp flags rst drop; }; }",
        ])?
        .ok()?;
    let mut server = printer.spawn(["/usr/bin/python3", "-c", SCRIPT])?;
    server.wait_until("listens", PATIENCE, |server| Ok(server.log()?.contains("ready")))?;
    Ok(server)
}

fn nmap(from: &Host, how: &[&str]) -> Result<String> {
    let quick = ["nmap", "-n", "-Pn", "--max-retries", "0", "--max-rtt-timeout", "200ms", "-oG", "-"];
    Ok(from.run(quick.into_iter().chain(how.iter().copied()).chain([EDGE]))?.ok()?.stdout)
}

/// The printer answers on any port.
const IDLE: [&str; 4] = ["-sI", "192.0.2.40:80", "-p", "22,8080"];

#[test]
fn attacks_end_at_the_edge() -> Result<()> {
    for hook in HOOKS {
        let plant = Plant::build()?;
        unprotected(&plant).context("without an agent")?;
        let gate = Gate::close(&plant.lab, &plant.edge, hook, RULES)?;
        let begin = ["intruder", "printer", "operator"].map(|whose| plant.reached(whose));
        for (name, how) in SCANS {
            tried(&plant, &gate, &format!("{hook}: nmap {name}"), || {
                let found = nmap(&plant.intruder, how)?;
                ensure!(!found.contains("/open/"), "{name}: {found}");
                Ok(())
            })?;
        }
        for (name, how) in HPINGS {
            tried(&plant, &gate, &format!("{hook}: hping3 {name}"), || {
                let words = ["hping3", "-n", "-q", "-c", "5", "-i", "u20000"];
                // It ends with 1 when nothing answers, which is what should be.
                plant.intruder.run(words.into_iter().chain(how.iter().copied()).chain([EDGE]))?.refused()?;
                Ok(())
            })?;
        }
        tried(&plant, &gate, &format!("{hook}: frames"), || send(&plant, "frames", &forged()))?;
        let before = gate.dropped("ingress")?;
        let found = nmap(&plant.intruder, &IDLE)?;
        ensure!(!found.contains("/open/"), "idle: {found}");
        ensure!(gate.dropped("ingress")? > before, "the forged SYNs of the idle scan are not counted");
        for (whose, before) in ["intruder", "printer", "operator"].into_iter().zip(begin) {
            let (before, after) = (before?, plant.reached(whose)?);
            ensure!(before == after, "{hook}: {} packets from the {whose} reached the stack", after - before);
        }
        lab::fetch(&plant.operator, &format!("https://{EDGE}/"))?.ok().context("the operator's page")?;
        println!("{hook}: dropped on the way in: {:?}", gate.reasons("ingress")?);
    }
    Ok(())
}

/// The attacks work where nothing stops them: ports are found, by an idle scan too.
fn unprotected(plant: &Plant) -> Result<()> {
    let found = lab::scan(&plant.intruder, EDGE, &LISTENING)?;
    ensure!(found.values().all(|state| *state == Port::Open), "{found:?}");
    let found = nmap(&plant.intruder, &IDLE)?;
    ensure!(found.contains("22/open/") && found.contains("8080/open/"), "idle: {found}");
    send(plant, "control", &forged())?;
    for whose in ["intruder", "printer", "operator"] {
        ensure!(plant.reached(whose)? > 0, "nothing of the {whose} is counted");
    }
    Ok(())
}

/// All that the intruder sends meanwhile is dropped and counted.
fn tried(plant: &Plant, gate: &Gate, what: &str, attack: impl FnOnce() -> Result<()>) -> Result<()> {
    let (sent, dropped) = (plant.sent()?, gate.dropped("ingress")?);
    attack().with_context(|| what.to_owned())?;
    let sent = plant.sent()? - sent;
    let mut counted = 0;
    wait_for(&format!("{what}: {sent} packets are counted"), PATIENCE, || {
        counted = gate.dropped("ingress")? - dropped;
        Ok(counted >= sent)
    })?;
    ensure!(sent > 0, "{what}: nothing was sent");
    println!("{what}: {sent} sent, {counted} dropped");
    Ok(())
}

fn send(plant: &Plant, name: &str, frames: &[Frame]) -> Result<()> {
    let file = plant.lab.dir().join(format!("{name}.pcap"));
    lab::write_capture(&file, frames.iter().map(Frame::bytes))?;
    lab::send_capture(&plant.intruder, "eth0", &file)?.ok()?;
    Ok(())
}

/// Replies that nobody asked for, errors about nothing, and fragments that overlap; some in the operator's name.
fn forged() -> Vec<Frame> {
    let from = |source: &str| frame().from(source).to("192.0.2.10:40000");
    let quoted = frame().from("192.0.2.10:40000").to("192.0.2.20:53");
    let mut frames = vec![
        from("192.0.2.20:53").udp().payload(vec![0; 64]),
        from("192.0.2.20:443").tcp("SA"),
        from("192.0.2.20:443").tcp("A").payload(vec![0; 64]),
        from("192.0.2.20:443").tcp("RA"),
        from(INTRUDER).icmp(3, 3).quoting(&quoted),
        from(INTRUDER).icmp(11, 0).quoting(&quoted.clone().tcp("S")),
        from(INTRUDER).icmp(0, 0).echo(7, 1),
        from("192.0.2.66:53").udp().vlan(5).vlan(6).vlan(7),
        frame().from("192.0.2.10:443").to("192.0.2.10:22").tcp("S"),
        frame().from("127.0.0.1:1").to("192.0.2.10:22").tcp("S"),
        frame().from("192.0.2.66:1").to("192.0.2.10:22").tcp("S").options([0x83, 7, 4, 192, 0, 2, 66, 0]),
    ];
    // Nothing of the transport in the first one; and a second one that writes over the first one's ports.
    let tiny = frame().from("192.0.2.66:40000").to("192.0.2.10:22").tcp("S");
    frames.push(tiny.clone().fragment(0, true, 1).fragment_bytes(8));
    frames.push(tiny.fragment(1, false, 1));
    let allowed = frame().from("192.0.2.66:40001").to("192.0.2.10:443").tcp("S").payload(vec![0; 12]);
    let other = frame().from("192.0.2.66:40001").to("192.0.2.10:22").tcp("S").payload(vec![0; 64]);
    for (id, at) in [(2, 0), (3, 1), (4, 2)] {
        frames.push(allowed.clone().fragment(0, true, id).fragment_bytes(32));
        frames.push(other.clone().fragment(at, false, id));
    }
    frames
}

#[test]
fn overlapping_fragments_of_a_documented_peer_open_nothing() -> Result<()> {
    for hook in HOOKS {
        let plant = Plant::build()?;
        let gate = Gate::close(&plant.lab, &plant.edge, hook, RULES)?;
        let before = (plant.reached("operator")?, gate.dropped("ingress")?);
        // The operator may reach the page; what writes over the first fragment's ports does not follow it.
        let page = frame().from("192.0.2.20:40002").to("192.0.2.10:443").tcp("S").payload(vec![0; 44]);
        let shell = frame().from("192.0.2.20:40002").to("192.0.2.10:22").tcp("S").payload(vec![0; 44]);
        let mut frames = Vec::new();
        for (id, at) in [(5, 0), (6, 1), (7, 2), (8, 3)] {
            frames.push(page.clone().fragment(0, true, id).fragment_bytes(32));
            frames.push(shell.clone().fragment(at, false, id));
        }
        send(&plant, "overlaps", &frames)?;
        wait_for("the overlaps are counted", PATIENCE, || Ok(gate.dropped("ingress")? >= before.1 + 4))?;
        ensure!(plant.reached("operator")? == before.0, "{hook}: a rewritten port reached the stack");
    }
    Ok(())
}

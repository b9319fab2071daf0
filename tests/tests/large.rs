//! What is larger than one buffer: frames of 8,000 bytes, which native XDP sees in several pieces, and super-packets, which
//! count as the packets that they become. Needs root.

mod gate;

use anyhow::{Context as _, Result, ensure};
use portreeve_tests::lab::{Host, Lab, PATIENCE, Server, wait_for};

use gate::{EDGE, Gate, HOOKS, INTERFACE};

const TRAFFIC: &str = env!("CARGO_BIN_EXE_traffic");
const RULES: &str = r#"
[baseline]
ping_from = ["192.0.2.20"]

[[allow]]
id = "WEB"
direction = "ingress"
protocol = "tcp"
port = 443
peers = ["192.0.2.20"]
reason = "user interface"
"#;

/// The edge device on a cable of its own, whose other end this names `wire`.
fn cable(lab: &Lab, mtu: &str) -> Result<(Host, Host)> {
    let peer = lab.host("peer").up()?;
    let edge = lab.host("edge").interface(INTERFACE).addr("192.0.2.10/24");
    let edge = edge.wired_to(&peer, "wire").up()?;
    peer.run(["ip", "address", "add", "192.0.2.20/24", "dev", "wire"])?.ok()?;
    for (host, name) in [(&peer, "wire"), (&edge, INTERFACE)] {
        host.run(["ip", "link", "set", name, "mtu", mtu, "up"])?.ok()?;
    }
    Ok((edge, peer))
}

fn echo(edge: &Host) -> Result<Server> {
    let mut server = edge.spawn([TRAFFIC, "serve", &format!("{EDGE}:443")])?;
    server.wait_until("listens", PATIENCE, |server| Ok(server.log()?.contains("443")))?;
    Ok(server)
}

fn exchange(peer: &Host, bytes: &str) -> Result<()> {
    let words = ["run", &format!("{EDGE}:443"), "--connections", "1", "--rounds", "4", "--bytes", bytes];
    peer.run([TRAFFIC].into_iter().chain(words))?.ok()?;
    Ok(())
}

#[test]
fn frames_in_several_buffers_are_judged_and_counted_whole() -> Result<()> {
    /// With UDP's, IP's and Ethernet's headers.
    const FRAME: u64 = 8_000 + 8 + 20 + 14;
    const FRAMES: u64 = 5;
    for hook in HOOKS {
        let lab = Lab::new()?;
        let (edge, peer) = cable(&lab, "9000")?;
        let _echo = echo(&edge)?;
        let gate = Gate::close(&lab, &edge, hook, RULES)?;
        peer.run(["ping", "-n", "-c", "2", "-i", "0.2", "-W", "2", "-M", "do", "-s", "8000", EDGE])?.ok()?;
        exchange(&peer, "60000")?;
        let weighed = || -> Result<[u64; 2]> {
            let drops = gate.json("drops")?;
            let rows = drops["reasons"].as_array().context("no reasons")?;
            let row = rows.iter().find(|row| row["direction"] == "ingress" && row["reason"] == "no-rule");
            Ok(["packets", "bytes"].map(|of| row.and_then(|row| row[of].as_u64()).unwrap_or(0)))
        };
        let before = weighed()?;
        let script = format!(
            "import socket\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n\
             for _ in range({FRAMES}):\n  s.sendto(b'x'*8000,('{EDGE}',9999))\n"
        );
        peer.run(["python3", "-c", &script])?.ok()?;
        wait_for("all are counted", PATIENCE, || Ok(weighed()?[0] >= before[0] + FRAMES))?;
        let after = weighed()?;
        let counted = [after[0] - before[0], after[1] - before[1]];
        ensure!(counted == [FRAMES, FRAMES * FRAME], "{hook}: {counted:?}");
    }
    Ok(())
}

/// Segments that a host has sent (RFC 9293's own counter), each packet of a super-packet apart.
fn sent(host: &Host) -> Result<u64> {
    let shown = host.run(["nstat", "-az", "TcpOutSegs"])?.ok()?.stdout;
    let line = shown.lines().find(|line| line.starts_with("TcpOutSegs")).context("no counter")?;
    line.split_whitespace().nth(1).context("no number")?.parse().context("no number")
}

/// What an interface has taken in and sent, a super-packet as one.
fn handed_over(edge: &Host) -> Result<u64> {
    let mut sum = 0;
    for way in ["rx", "tx"] {
        let file = format!("/sys/class/net/{INTERFACE}/statistics/{way}_packets");
        // Within the namespace `/sys` is still that of the machine.
        let script = format!("mount -t sysfs none /mnt && cat {}", file.replace("/sys", "/mnt"));
        let shown = edge.run(["unshare", "--mount", "sh", "-c", &script])?.ok()?.stdout;
        sum += shown.trim().parse::<u64>()?;
    }
    Ok(sum)
}

#[test]
fn a_super_packet_counts_as_the_packets_that_it_becomes() -> Result<()> {
    let lab = Lab::new()?;
    let (edge, peer) = cable(&lab, "1500")?;
    let _echo = echo(&edge)?;
    let gate = Gate::close(&lab, &edge, "tc", RULES)?;
    let (sent_before, handed_before) = (sent(&edge)? + sent(&peer)?, handed_over(&edge)?);
    exchange(&peer, "2000000")?;
    // Both ends have closed.
    wait_for("nothing is under way", PATIENCE, || {
        let listed = edge.run(["ss", "-Htn", "state", "connected", "( sport = :443 )"])?.ok()?;
        Ok(listed.stdout.is_empty())
    })?;
    let (segments, handed) = (sent(&edge)? + sent(&peer)? - sent_before, handed_over(&edge)? - handed_before);
    let flows = gate.json("flows")?;
    let rows = flows["flows"].as_array().context("no flows")?;
    let web = rows.iter().find(|row| row["flow"] == "WEB").context("no flow")?;
    let counted = web["packets"].as_u64().context("no count")?;
    println!("{counted} packets counted, {segments} segments sent, {handed} handed over");
    ensure!(counted == segments, "{counted} packets counted of {segments}");
    ensure!(2 * handed < segments, "no super-packets to speak of: {handed} for {segments}");
    Ok(())
}

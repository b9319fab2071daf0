//! The agent between real hosts: both hooks, exact counts, a daemon that is killed, and nothing left behind.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, time::Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use portreeve::datapath::{Pins, reading::Counters};
use portreeve_tests::lab::{self, Agent, Host, Lab, Output, PATIENCE, Server, Web, wait_for};
use serde_json::Value;

const EDGE: &str = "192.0.2.10";
const OPERATOR: &str = "192.0.2.20";
const INTRUDER: &str = "192.0.2.66";
const INTERFACE: &str = "enp2s0";

/// Ports that the flood goes to, and datagrams for each.
const PORTS: std::ops::Range<u16> = 20_000..20_100;
const EACH: u64 = 10_000;

/// Three hosts, an agent on one of them, and its daemon.
struct Site {
    edge: Host,
    operator: Host,
    intruder: Host,
    agent: Agent,
    daemon: Server,
    _web: Server,
    _lab: Lab,
}

impl Site {
    fn new(hook: &str) -> Result<Self> {
        let lab = Lab::new()?;
        let edge =
            lab.host("edge").interface(INTERFACE).addr("192.0.2.10/24").addr("2001:db8:1::10/64").up()?;
        let operator = lab.host("operator").addr("192.0.2.20/24").up()?;
        let intruder = lab.host("intruder").addr("192.0.2.66/24").up()?;
        let web = Web::new(&edge, "edge ui").https(443).http(8080).start()?;
        let file = host_file(&lab, hook)?;
        let agent = Agent::new(&edge, &Agent::program()?)?;
        let daemon = agent.start(&file)?;
        Ok(Self { edge, operator, intruder, agent, daemon, _web: web, _lab: lab })
    }

    fn json(&self, command: &str) -> Result<Value> {
        let output = self.agent.command([command, "--json"])?;
        ensure!(!output.stdout.is_empty(), "{command}: {}", output.stderr);
        serde_json::from_str(&output.stdout).context("not JSON")
    }

    fn states(&self) -> Result<Vec<String>> {
        let status = self.json("status")?;
        let rows = status["interfaces"].as_array().context("no interfaces")?;
        Ok(rows.iter().map(|row| row["state"].as_str().unwrap_or_default().to_owned()).collect())
    }

    fn page(&self, from: &Host, port: u16) -> Result<Output> {
        let scheme = if port == 443 { "https" } else { "http" };
        lab::fetch(from, &format!("{scheme}://{EDGE}:{port}/"))
    }

    fn dropped(&self, protocol: &str, port: u16, counter: &str) -> Result<u64> {
        let drops = self.json("drops")?;
        let ports = drops["ports"].as_array().context("no ports")?.clone();
        let here = |row: &&Value| {
            row["protocol"] == protocol && row["port"] == port && row["direction"] == "ingress"
        };
        Ok(ports.iter().find(here).and_then(|row| row[counter].as_u64()).unwrap_or_default())
    }
}

fn host_file(lab: &Lab, hook: &str) -> Result<PathBuf> {
    let text = format!(
        r#"[host]
name = "line4-edge"
interfaces = ["{INTERFACE}"]

[enforcement]
hook = "{hook}"

[[allow]]
id = "SITE-1"
direction = "ingress"
protocol = "tcp"
port = 443
peers = ["{OPERATOR}"]
reason = "operators"
"#
    );
    let file = lab.dir().join("host.toml");
    fs::write(&file, text)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    Ok(file)
}

/// Observe, enforce, count exactly, kill, look again, start again, detach.
fn life(hook: &str, enforcing: &str) -> Result<()> {
    let mut site = Site::new(hook)?;
    assert_eq!(site.states()?, ["observing", "observing"]);
    site.page(&site.operator, 443)?.ok()?;
    site.page(&site.intruder, 8080)?.ok()?;
    assert!(site.dropped("tcp", 8080, "would_drop")? > 0);

    site.agent.command(["enforce"])?.ok()?;
    assert_eq!(site.states()?, [enforcing, "enforcing-tc"]);
    site.page(&site.operator, 443)?.ok()?;
    site.page(&site.intruder, 443)?.refused()?;
    site.page(&site.intruder, 8080)?.refused()?;
    assert!(site.dropped("tcp", 8080, "dropped")? > 0);

    flood(&site.intruder)?;
    exact(&site)?;
    weight(&site)?;

    site.daemon.signal(Signal::SIGKILL)?;
    site.daemon.wait(PATIENCE)?;
    assert_eq!(site.states()?, [enforcing, "enforcing-tc"]);
    assert_eq!(site.json("status")?["daemon"], false);
    site.page(&site.operator, 443)?.ok()?;
    site.page(&site.intruder, 8080)?.refused()?;
    exact(&site)?;

    let file = site._lab.dir().join("host.toml");
    site.daemon = site.agent.start(&file)?;
    assert_eq!(site.states()?, [enforcing, "enforcing-tc"], "a restart keeps what a command has set");
    exact(&site)?;
    let flows = site.json("flows")?;
    assert!(flows["flows"][0]["packets"].as_u64() > Some(0), "{flows}");
    let drift = site.agent.command(["drift", "--json"])?;
    assert_eq!(drift.code, Some(1), "{}", drift.stdout);
    assert!(drift.stdout.contains("SITE-1 documents it, but only with 192.0.2.20"), "{}", drift.stdout);
    assert!(
        drift.stdout.contains("undocumented-listener") && drift.stdout.contains("tcp 8080"),
        "{}",
        drift.stdout
    );
    let page = site._lab.dir().join("drift.html");
    let drift = site.agent.command(["drift", "--html", &page.to_string_lossy()])?;
    assert_eq!((drift.code, drift.stdout.as_str()), (Some(1), ""), "{}", drift.stderr);
    let page = fs::read_to_string(page)?;
    assert!(page.contains("<td>tcp 8080</td>") && page.ends_with("</html>"), "{page}");
    let metrics = site.agent.metrics()?;
    assert!(metrics.contains("portreeve_state_capacity{table=\"embryonic\"}"), "{metrics}");
    assert!(metrics.contains("portreeve_drift_findings{kind=\"undocumented-listener\"}"), "{metrics}");
    let top = site.agent.command(["top", "--once", "--json"])?.ok()?;
    let top: Value = serde_json::from_str(&top.stdout)?;
    assert!(top["flows"][0]["packets"].as_u64() > Some(0) && top["drops"]["ports"].is_array(), "{top}");
    let few = site.agent.command(["drops", "--top", "1"])?.ok()?.stdout;
    assert!(few.contains(" more: --top 0 shows all"), "{few}");
    let malformed = site.json("drops")?["reasons"].to_string();
    assert!(!malformed.contains("malformed"), "proofs are not traffic: {malformed}");

    fs::write(&file, "[host]\nnme = 1\n")?;
    let broken = site.agent.command(["run", "--metrics", "off", "--host", &file.to_string_lossy()])?;
    assert_eq!(broken.code, Some(2));
    assert_eq!(site.states()?, [enforcing, "enforcing-tc"]);

    site.agent.command(["detach"])?.ok()?;
    gone(&site)
}

/// A flood of datagrams from one socket, as fast as the wire takes them.
fn flood(from: &Host) -> Result<()> {
    let script = format!(
        "import socket\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n\
         for port in range({},{}):\n  for _ in range({EACH}):\n    s.sendto(b'x',('{EDGE}',port))\n",
        PORTS.start, PORTS.end
    );
    from.run_within(4 * PATIENCE, ["python3", "-c", &script])?.ok()?;
    Ok(())
}

/// Not one packet more or less.
fn exact(site: &Site) -> Result<()> {
    let drops = site.json("drops")?;
    let ports = drops["ports"].as_array().context("no ports")?;
    for port in PORTS {
        let here =
            |row: &&Value| row["protocol"] == "udp" && row["port"] == port && row["direction"] == "ingress";
        let row = ports.iter().find(here).with_context(|| format!("no drops for port {port}"))?;
        ensure!(row["dropped"] == EACH, "{port}: {row}");
    }
    let talkers = drops["talkers"].as_array().context("no talkers")?;
    ensure!(
        talkers.iter().any(|row| row["peer"] == INTRUDER && row["reason"] == "no-rule"),
        "nobody is named"
    );
    Ok(())
}

/// The agent's memory and the maps'.
fn weight(site: &Site) -> Result<()> {
    let status = fs::read_to_string(format!("/proc/{}/status", site.daemon.pid()))?;
    // A debug build's own code is many times an optimised one's, and it leaves more behind of reading the programs.
    let (kind, most) = if cfg!(debug_assertions) { ("RssAnon:", 32 << 10) } else { ("VmRSS:", 20 << 10) };
    let line = status.lines().find(|line| line.starts_with(kind)).context("no resident memory")?;
    let resident: u64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
    let maps = bpf_memory(site)?;
    println!("agent {resident} KiB resident, maps {} KiB", maps >> 10);
    let counters = Counters::open(&Pins::new(&site._lab.bpffs(), site.edge.name()))?;
    let begin = Instant::now();
    let pages = counters.pages()?;
    ensure!(pages.ports().len() >= PORTS.len(), "the ports are not there");
    let ports = begin.elapsed();
    let begin = Instant::now();
    counters.talkers(&pages)?;
    println!("all ports read in {ports:?}, all talkers in {:?}", begin.elapsed());
    let begin = Instant::now();
    site.agent.metrics()?;
    println!("scraped in {:?}", begin.elapsed());
    ensure!(maps <= 32 << 20, "the maps take {maps} bytes");
    ensure!(resident <= most, "the agent takes {resident} KiB");
    Ok(())
}

fn bpf_memory(site: &Site) -> Result<u64> {
    let mut sum = 0;
    let folder = site._lab.bpffs().join(site.edge.name()).join("maps");
    for entry in fs::read_dir(folder)? {
        let shown = std::process::Command::new("bpftool")
            .args(["-j", "map", "show", "pinned"])
            .arg(entry?.path())
            .output()
            .context("bpftool")?;
        let map: Value = serde_json::from_slice(&shown.stdout)?;
        sum += map["bytes_memlock"].as_u64().context("no memlock")?;
    }
    Ok(sum)
}

/// No program, no pin, no qdisc; and everything passes.
fn gone(site: &Site) -> Result<()> {
    let link = site.edge.run(["ip", "-d", "link", "show", INTERFACE])?.ok()?.stdout;
    assert!(!link.contains("xdp"), "{link}");
    let qdiscs = site.edge.run(["tc", "qdisc", "show", "dev", INTERFACE])?.ok()?.stdout;
    assert!(!qdiscs.contains("clsact"), "{qdiscs}");
    let pins = site._lab.bpffs().join(site.edge.name());
    assert!(!pins.exists(), "{}", pins.display());
    site.page(&site.intruder, 8080)?.ok()?;
    let unknown = site.agent.command(["status"])?;
    assert_eq!(unknown.code, Some(2), "{}", unknown.stderr);
    assert!(unknown.stderr.contains("is not running"), "{}", unknown.stderr);
    wait_for("the daemon ends when its instance is taken off", PATIENCE, || {
        let process = fs::read_to_string(format!("/proc/{}/stat", site.daemon.pid()));
        Ok(process.map_or(true, |stat| stat.contains(") Z ")))
    })
}

#[test]
fn life_with_native_xdp() -> Result<()> {
    life("xdp", "enforcing-native")
}

#[test]
fn life_with_tc() -> Result<()> {
    life("tc", "enforcing-tc")
}

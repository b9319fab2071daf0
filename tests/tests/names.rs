//! Names that are learned while packets pass: a client connects the moment it has the answer, and no SYN is lost, with the
//! agent running, stopped and starting again. Needs root.

mod gate;

use std::{fmt::Write as _, fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use portreeve_tests::{
    lab::{Host, Lab, PATIENCE, Server, wait_for},
    policy::RESOLVER,
    traffic::NamesReport,
};

use gate::{Gate, HOOKS, INTERFACE};

const TRAFFIC: &str = env!("CARGO_BIN_EXE_traffic");
const ASKED: &str = "192.0.2.53";
const CLOUD: &str = "192.0.2.60";
const CLOUD_V6: &str = "2001:db8:1::60";
/// Where names lead: the cloud has all addresses of these networks.
const ADDRESSES: &str = "2001:db8:7::/64";
const ADDRESSES_V4: &str = "203.0.113.0/24";
/// Names in a row, each with an address of its own.
const NAMES: u32 = 10_000;
/// Addresses of a name whose answer takes more than a packet.
const LONG: usize = 60;
/// While the agent starts again and again.
const RESTARTS: usize = 5;

const RULES: &str = r#"
[[allow]]
id = "CLOUD"
direction = "egress"
protocol = "tcp"
port = 443
peers = ["*.example.com"]
reason = "cloud"

[[allow]]
id = "API"
direction = "egress"
protocol = "tcp"
port = 8443
peers = ["api.example.org"]
reason = "an exact name, which the agent asks for by itself"
"#;

fn rules() -> String {
    format!("{RESOLVER}{RULES}")
}

struct Plant {
    edge: Host,
    _resolver: Server,
    _cloud: Server,
    _api: Server,
}

fn plant(lab: &Lab) -> Result<Plant> {
    let edge = lab.host("edge").interface(INTERFACE).addr("192.0.2.10/24").addr("2001:db8:1::10/64");
    let edge = edge.route(ADDRESSES, CLOUD_V6).route(ADDRESSES_V4, CLOUD).up()?;
    let resolver = lab.host("resolver").addr("192.0.2.53/24").up()?;
    let cloud = lab.host("cloud").addr("192.0.2.60/24").addr("2001:db8:1::60/64").up()?;
    for (family, network) in [("-6", ADDRESSES), ("-4", ADDRESSES_V4)] {
        cloud.run(["ip", family, "route", "add", "local", network, "dev", "lo"])?.ok()?;
    }
    let mut hosts = String::from(
        "203.0.113.200 api.example.org\n203.0.113.201 n0.badexample.com\n203.0.113.202 n0.example.net\n\
         203.0.113.240 shared.example.com\n203.0.113.240 shared.example.org\n203.0.113.240 other.example.net\n",
    );
    for number in 0..NAMES {
        writeln!(hosts, "2001:db8:7::{:x}:{:x} n{number}.example.com", number >> 16, (number & 0xffff) + 1)?;
    }
    for number in 1..=LONG {
        writeln!(hosts, "2001:db8:7::f:{number:x} long.example.com")?;
    }
    for number in 0..250 {
        writeln!(hosts, "203.0.113.{} n{number}.v4.example.com", number + 1)?;
    }
    let file = lab.dir().join("hosts");
    fs::write(&file, hosts)?;
    let file = format!("--addn-hosts={}", file.display());
    let words = [
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--user=root",
        "--pid-file=",
        "--log-facility=-",
        "--cache-size=0",
        "--edns-packet-max=4096",
        &file,
    ];
    let answers = resolver.spawn(words)?.listening("udp", 53)?;
    let serve = |port| cloud.spawn([TRAFFIC, "serve", port, "--seconds", "600"]);
    let (https, api) =
        (serve("[::]:443")?.listening("tcp", 443)?, serve("[::]:8443")?.listening("tcp", 8443)?);
    Ok(Plant { edge, _resolver: answers, _cloud: https, _api: api })
}

fn client(edge: &Host, suffix: &str, first: u32, count: u32, port: u16, v4: bool) -> Result<NamesReport> {
    let (first, count, port) = (first.to_string(), count.to_string(), port.to_string());
    let resolver = format!("{ASKED}:53");
    let mut words =
        vec![TRAFFIC, "names", &resolver, suffix, "--first", &first, "--count", &count, "--port", &port];
    if v4 {
        words.push("--v4");
    }
    let output = edge.run_within(Duration::from_secs(300), words)?;
    serde_json::from_str(&output.stdout).with_context(|| format!("{output:?}"))
}

fn all_connected(report: &NamesReport, names: u32) -> Result<()> {
    let NamesReport { names: asked, unanswered, refused, syns_again, first: _, slowest_ms: _ } = report;
    ensure!(*asked == u64::from(names) && [*unanswered, *refused, *syns_again] == [0; 3], "{report:?}");
    Ok(())
}

#[test]
fn no_syn_is_lost_with_the_agent_or_without() -> Result<()> {
    for hook in HOOKS {
        let lab = Lab::new()?;
        let plant = plant(&lab)?;
        let mut gate = Gate::close(&lab, &plant.edge, hook, &rules())?;
        let third = NAMES / 3;
        all_connected(&client(&plant.edge, "example.com", 0, third, 443, false)?, third)
            .context("with the agent")?;
        gate.daemon.signal(Signal::SIGKILL)?;
        gate.daemon.wait(PATIENCE)?;
        all_connected(&client(&plant.edge, "example.com", third, third, 443, false)?, third)
            .context("without it")?;
        all_connected(&client(&plant.edge, "v4.example.com", 0, 200, 443, true)?, 200)
            .context("without it, IPv4")?;
        let rest = NAMES - 2 * third;
        let edge = plant.edge.clone();
        let connects = std::thread::spawn(move || client(&edge, "example.com", 2 * third, rest, 443, false));
        for _ in 0..RESTARTS {
            gate.daemon = gate.agent.start(&lab.dir().join("host.toml"))?;
            gate.daemon.signal(Signal::SIGKILL)?;
            gate.daemon.wait(PATIENCE)?;
        }
        let report = connects.join().map_err(|_panic| anyhow::anyhow!("the client panicked"))??;
        all_connected(&report, rest).context("while it starts again and again")?;
        let reasons = gate.reasons("egress")?;
        ensure!(reasons.iter().all(|(reason, _)| reason != "wrong-peer"), "{reasons:?}");
        println!(
            "{hook}: {NAMES} names and connections, slowest {} ms, no SYN sent again",
            report.slowest_ms
        );
    }
    Ok(())
}

#[test]
fn names_that_no_rule_wants_stay_closed_and_exact_ones_are_asked_for() -> Result<()> {
    let lab = Lab::new()?;
    let plant = plant(&lab)?;
    let gate = Gate::close(&lab, &plant.edge, "xdp", &rules())?;
    for suffix in ["badexample.com", "example.net"] {
        let ask = format!("n0.{suffix}");
        plant.edge.run(["dig", "+short", &format!("@{ASKED}"), &ask])?.ok()?;
    }
    // Nobody on the host asks for it: the agent does.
    wait_for("the exact name is learned", PATIENCE, || {
        Ok(addresses(&gate, "api.example.org")? == ["203.0.113.200"])
    })?;
    plant.edge.run(["curl", "--silent", "--max-time", "5", "telnet://203.0.113.200:8443"])?;
    plant.edge.run(["nc", "-z", "-w", "2", "203.0.113.200", "8443"])?.ok()?;
    for stranger in ["203.0.113.201", "203.0.113.202"] {
        plant.edge.run(["nc", "-z", "-w", "1", stranger, "443"])?.refused()?;
    }
    let names = gate.names()?;
    ensure!(names["messages"]["not-listed"].as_u64() >= Some(2), "{names}");
    ensure!(addresses(&gate, "*.example.com")?.is_empty(), "{names}");
    let drift = gate.agent.command(["drift", "--json"])?.stdout;
    ensure!(drift.contains("203.0.113.202 (n0.example.net)"), "{drift}");
    let metrics = gate.agent.metrics()?;
    ensure!(metrics.contains("portreeve_name_addresses{name=\"api.example.org\"} 1"), "{metrics}");
    Ok(())
}

#[test]
fn what_the_kernel_does_not_read_whole_the_agent_asks_for() -> Result<()> {
    for (way, outcome) in [("+bufsize=4096", "fragmented"), ("+tcp", "segmented")] {
        let lab = Lab::new()?;
        let plant = plant(&lab)?;
        let mut gate = Gate::close(&lab, &plant.edge, "xdp", &rules())?;
        // Nobody but the kernel listens.
        gate.daemon.signal(Signal::SIGKILL)?;
        gate.daemon.wait(PATIENCE)?;
        let words = ["dig", "+short", &format!("@{ASKED}"), way, "AAAA", "long.example.com"];
        let answer = plant.edge.run(words)?;
        ensure!(answer.stdout.lines().count() == LONG, "{answer:?}");
        let names = gate.names()?;
        ensure!(names["messages"][outcome].as_u64() >= Some(1), "{names}");
        let known = addresses(&gate, "*.example.com")?.len();
        ensure!((1..LONG).contains(&known), "{way}: {known} of {LONG} fit");
        gate.daemon = gate.agent.start(&lab.dir().join("host.toml"))?;
        wait_for("the agent has learned all", PATIENCE, || {
            Ok(addresses(&gate, "*.example.com")?.len() == LONG)
        })?;
        for number in [1, LONG] {
            let address = format!("2001:db8:7::f:{number:x}");
            plant.edge.run(["nc", "-z", "-w", "2", &address, "443"])?.ok()?;
        }
    }
    Ok(())
}

#[test]
fn an_address_that_names_share_is_marked() -> Result<()> {
    let lab = Lab::new()?;
    let plant = plant(&lab)?;
    let rules = rules().replace("api.example.org", "shared.example.org");
    let gate = Gate::close(&lab, &plant.edge, "tc", &rules)?;
    let shared = "203.0.113.240";
    let ask = |name: &str| plant.edge.run(["dig", "+short", &format!("@{ASKED}"), name])?.ok();
    ask("shared.example.com")?;
    wait_for("the agent has asked for the other", PATIENCE, || {
        Ok(addresses(&gate, "shared.example.org")? == [shared])
    })?;
    let names = gate.names()?;
    for (name, other) in [("shared.example.org", "*.example.com"), ("*.example.com", "shared.example.org")] {
        let rows = names["names"].as_array().context("no names")?;
        let row = rows.iter().find(|row| row["name"] == name).context("no such name")?;
        let address = &row["addresses"][0];
        ensure!(address["shared_with"] == serde_json::json!([other]), "{name}: {names}");
        // The wildcard's is a name of its own.
        ensure!(!name.starts_with("shared") || address["asked"] != "shared.example.com", "{names}");
    }
    let text = gate.agent.command(["status", "--names"])?.stdout;
    ensure!(text.contains("(shared)"), "{text}");
    // Asked for last by a name that nobody wants, and dropped at a port of neither.
    ask("other.example.net")?;
    plant.edge.run(["nc", "-z", "-w", "1", shared, "444"])?.refused()?;
    let found = gate.agent.command(["drift", "--json"])?.stdout;
    let wanted = "203.0.113.240 (other.example.net, shared with ";
    ensure!(found.contains(wanted) && found.contains("*.example.com"), "{found}");
    Ok(())
}

#[test]
fn what_was_learned_survives_a_change_and_falls_with_its_rule() -> Result<()> {
    let lab = Lab::new()?;
    let plant = plant(&lab)?;
    let gate = Gate::close(&lab, &plant.edge, "tc", &rules())?;
    all_connected(&client(&plant.edge, "v4.example.com", 7, 1, 443, true)?, 1)?;
    let known = ["203.0.113.8"];
    ensure!(addresses(&gate, "*.example.com")? == known);
    let file = lab.dir().join("host.toml");
    let text = fs::read_to_string(&file)?;
    fs::write(&file, text.replace("reason = \"cloud\"", "reason = \"the cloud\""))?;
    gate.agent.command(["apply".as_ref(), file.as_os_str()])?.ok()?;
    ensure!(addresses(&gate, "*.example.com")? == known);
    plant.edge.run(["nc", "-z", "-w", "2", "203.0.113.8", "443"])?.ok()?;
    fs::write(&file, text.replace("*.example.com", "*.example.edu"))?;
    gate.agent.command(["apply".as_ref(), file.as_os_str()])?.ok()?;
    plant.edge.run(["nc", "-z", "-w", "1", "203.0.113.8", "443"])?.refused()?;
    fs::write(&file, text)?;
    Ok(())
}

fn addresses(gate: &Gate, name: &str) -> Result<Vec<String>> {
    let names = gate.names()?;
    let rows = names["names"].as_array().context("no names")?;
    let row = rows.iter().find(|row| row["name"] == name).with_context(|| format!("no {name} in {names}"))?;
    let all = row["addresses"].as_array().context("no addresses")?;
    Ok(all.iter().filter_map(|row| row["address"].as_str().map(str::to_owned)).collect())
}

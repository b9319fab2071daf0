//! Connections that live before the agent comes: the first enforcement keeps those that policy allows, without any
//! adoption window, and no others. Needs root.

use std::{fs, net::Ipv4Addr};

use anyhow::{Context as _, Result, ensure};
use portreeve_tests::{
    gateway::{EDGE, Gateway, INTERFACE, OPERATOR, PORTS},
    lab::{Agent, Host, Lab, PATIENCE, Server, wait_for},
    traffic::Report,
};
use serde_json::Value;

const TRAFFIC: &str = env!("CARGO_BIN_EXE_traffic");
/// Packets that a flow's counter shows before it has gone on for long enough.
const GOING_ON: u64 = 200;
/// What the edge device calls.
const CALLED: u16 = 8883;
const CALLS: &str = r#"
[[allow]]
id = "CALLS"
direction = "egress"
protocol = "tcp"
port = 8883
peers = ["192.0.2.20"]
reason = "broker"
"#;

/// Streams that go on until they are asked to end.
fn streams(from: &Host, target: &str, patience: &str) -> Result<Server> {
    let words = ["run", target, "--connections", "4", "--rounds", "1000000", "--seconds", "240"];
    from.spawn([TRAFFIC].into_iter().chain(words).chain(["--patience", patience, "--pause", "20"]))
}

fn report(mut server: Server) -> Result<Report> {
    server.stop(PATIENCE)?;
    let log = server.log()?;
    serde_json::from_str(log.lines().last().context("no report")?).with_context(|| log.clone())
}

/// Established connections of a host with this port at either end.
fn connected(host: &Host, port: u16) -> Result<usize> {
    let filter = format!("( sport = :{port} or dport = :{port} )");
    let listed = host.run(["ss", "-Htn", "state", "established", &filter])?.ok()?;
    Ok(listed.stdout.lines().count())
}

fn passed(agent: &Agent, flow: &str) -> Result<u64> {
    let output = agent.command(["flows", "--json"])?.ok()?;
    let json: Value = serde_json::from_str(&output.stdout)?;
    let rows = json["flows"].as_array().context("no flows")?;
    let row = rows.iter().find(|row| row["flow"] == flow).with_context(|| format!("no flow {flow}"))?;
    row["packets"].as_u64().context("no count")
}

fn goes_on(agent: &Agent, flow: &str) -> Result<()> {
    let before = passed(agent, flow)?;
    wait_for(&format!("{flow} goes on"), PATIENCE, || Ok(passed(agent, flow)? >= before + GOING_ON))
}

/// By the host file that enforces from the start, or by the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    HostFile,
    Command,
}

#[test]
fn what_lives_and_is_allowed_goes_on() -> Result<()> {
    for hook in ["xdp", "tc"] {
        for first in [First::HostFile, First::Command] {
            keeps(hook, first).with_context(|| format!("{hook}, {first:?}"))?;
        }
    }
    Ok(())
}

fn keeps(hook: &'static str, first: First) -> Result<()> {
    let gateway = Gateway::build(hook, TRAFFIC)?;
    let at = format!("0.0.0.0:{CALLED}");
    let _broker =
        gateway.operator.spawn([TRAFFIC, "serve", &at, "--seconds", "300"])?.listening("tcp", CALLED)?;
    let (ui, broker) = (format!("{EDGE}:{}", PORTS[0]), format!("{OPERATOR}:{CALLED}"));
    let called = streams(&gateway.operator, &ui, "20000")?;
    let calls = streams(&gateway.edge, &broker, "20000")?;
    let forbidden = streams(&gateway.intruder, &ui, "500")?;
    wait_for("all connections stand", PATIENCE, || {
        Ok(connected(&gateway.edge, PORTS[0])? == 8 && connected(&gateway.edge, CALLED)? == 4)
    })?;

    let mode = if first == First::HostFile { "enforce" } else { "observe" };
    let text = gateway.policy(mode, &[PORTS[0]]) + "[state]\nadoption = \"0s\"\n" + CALLS;
    let _daemon = gateway.agent.start(&gateway.file("host.toml", &text)?)?;
    if first == First::Command {
        gateway.agent.command(["enforce"])?.ok()?;
    }
    ensure!(gateway.states()? == gateway.enforcing_states());
    let status = gateway.json(&["status"])?;
    ensure!(status["adopting_until"].is_null(), "a window is open: {status}");

    goes_on(&gateway.agent, &format!("tcp-{}", PORTS[0]))?;
    goes_on(&gateway.agent, "CALLS")?;
    for kept in [called, calls] {
        let report = report(kept)?;
        ensure!(report.flawless(), "an allowed connection suffered: {report:?}");
    }
    let report = report(forbidden)?;
    ensure!(!report.flawless(), "a connection that nothing allows went on: {report:?}");
    let drops = gateway.json(&["drops"])?;
    let reasons = drops["reasons"].as_array().context("no reasons")?;
    let row = reasons.iter().find(|row| row["direction"] == "ingress" && row["reason"] == "no-state");
    ensure!(row.is_some_and(|row| row["packets"].as_u64() > Some(0)), "not counted: {drops}");
    Ok(())
}

/// A machine behind the edge device, which speaks for it: on the edge device there is no socket of that connection, only
/// what the kernel tracks.
#[test]
fn what_the_kernel_tracks_goes_on() -> Result<()> {
    for hook in ["xdp", "tc"] {
        tracked(hook).with_context(|| hook.to_owned())?;
    }
    Ok(())
}

fn tracked(hook: &str) -> Result<()> {
    const MACHINE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 31);
    let lab = Lab::new()?;
    let edge = lab.host("edge").interface(INTERFACE).addr("192.0.2.10/24").forwards().up()?;
    let broker = lab.host("broker").addr("192.0.2.20/24").up()?;
    let machine = lab.host("machine").interface("eth0").addr(&format!("{MACHINE}/24"));
    let machine = machine.wired_to(&edge, "machines").up()?;
    edge.run(["ip", "addr", "add", "198.51.100.1/24", "dev", "machines"])?.ok()?;
    edge.run(["ip", "link", "set", "machines", "up"])?.ok()?;
    machine.run(["ip", "route", "add", "default", "via", "198.51.100.1"])?.ok()?;
    for ruleset in [
        "add table ip nat",
        "add chain ip nat out { type nat hook postrouting priority 100 ; }",
        "add rule ip nat out oifname \"enp2s0\" masquerade",
    ] {
        edge.run(["nft", ruleset])?.ok()?;
    }
    let at = format!("0.0.0.0:{CALLED}");
    let _broker = broker.spawn([TRAFFIC, "serve", &at, "--seconds", "300"])?.listening("tcp", CALLED)?;
    let other = CALLED + 1;
    let at = format!("0.0.0.0:{other}");
    let _other = broker.spawn([TRAFFIC, "serve", &at, "--seconds", "300"])?.listening("tcp", other)?;
    let calls = streams(&machine, &format!("192.0.2.20:{CALLED}"), "20000")?;
    let forbidden = streams(&machine, &format!("192.0.2.20:{other}"), "500")?;
    wait_for("all connections stand", PATIENCE, || {
        Ok(connected(&broker, CALLED)? == 4 && connected(&broker, other)? == 4)
    })?;
    ensure!(connected(&edge, CALLED)? == 0, "the edge device has sockets of its own");

    let text = format!(
        "[host]\nname = \"edge\"\ninterfaces = [\"{INTERFACE}\"]\naddresses = [\"{EDGE}\"]\n\
         [enforcement]\ningress = \"enforce\"\negress = \"enforce\"\nhook = \"{hook}\"\n\
         [state]\nadoption = \"0s\"\n{CALLS}"
    );
    let file = lab.dir().join("host.toml");
    fs::write(&file, text)?;
    let agent = Agent::new(&edge, &Agent::program()?)?;
    let _daemon = agent.start(&file)?;
    goes_on(&agent, "CALLS")?;
    let kept = report(calls)?;
    ensure!(kept.flawless(), "an allowed connection suffered: {kept:?}");
    let cut = report(forbidden)?;
    ensure!(!cut.flawless(), "a connection that nothing allows went on: {cut:?}");
    Ok(())
}

//! One direction is enforced while the other one is only observed: what the observed one lets pass is answered, though no
//! rule allows it. Needs root.

use anyhow::{Context as _, Result, ensure};
use portreeve_tests::{
    gateway::{EDGE, Gateway, OPERATOR, PORTS},
    lab::{Host, PATIENCE, Server, wait_for},
    traffic::Report,
};

const TRAFFIC: &str = env!("CARGO_BIN_EXE_traffic");
const A: u16 = PORTS[0];
const B: u16 = PORTS[1];
const INTRUDER: &str = "192.0.2.66";
/// What no rule documents, and the edge device calls.
const CALLED: u16 = 8883;

/// Streams that go on until they are asked to end.
fn stream(from: &Host, target: &str) -> Result<Server> {
    let words = ["run", target, "--connections", "2", "--rounds", "1000000", "--seconds", "240"];
    from.spawn([TRAFFIC].into_iter().chain(words).chain(["--patience", "3000", "--pause", "20"]))
}

fn report(mut server: Server) -> Result<Report> {
    server.stop(PATIENCE)?;
    let log = server.log()?;
    serde_json::from_str(log.lines().last().context("no report")?).with_context(|| log.clone())
}

fn serve(host: &Host) -> Result<Server> {
    host.spawn([TRAFFIC, "serve", &format!("0.0.0.0:{CALLED}"), "--seconds", "300"])?.listening("tcp", CALLED)
}

/// Whether an echo is answered.
fn pings(from: &Host, to: &str) -> Result<bool> {
    Ok(from.run(["ping", "-c", "1", "-W", "1", to])?.success())
}

/// Dropped, and would be dropped.
fn drops(gateway: &Gateway, direction: &str, port: u16) -> Result<(u64, u64)> {
    let drops = gateway.json(&["drops", "--top", "0"])?;
    let rows = drops["ports"].as_array().context("no ports")?;
    let row = rows.iter().find(|row| row["direction"] == direction && row["port"] == port);
    let count = |what: &str| row.and_then(|row| row[what].as_u64()).unwrap_or(0);
    Ok((count("dropped"), count("would_drop")))
}

fn calls(gateway: &Gateway, host: &str) -> Result<bool> {
    let to = format!("{host}:{CALLED}");
    Ok(gateway.edge.run([TRAFFIC, "reach", &to, "--patience", "500"])?.success())
}

/// Connections of the edge device to the port that it calls.
fn connected(gateway: &Gateway) -> Result<usize> {
    let filter = format!("dport = :{CALLED}");
    let listed = gateway.edge.run(["ss", "-Htn", "state", "established", &filter])?.ok()?;
    Ok(listed.stdout.lines().count())
}

#[test]
fn calls_of_an_observed_egress_are_answered() -> Result<()> {
    for hook in ["xdp", "tc"] {
        let gateway = Gateway::build(hook, TRAFFIC)?;
        let (operator, intruder) = (serve(&gateway.operator)?, serve(&gateway.intruder)?);
        let before = stream(&gateway.edge, &format!("{OPERATOR}:{CALLED}"))?;
        gateway.apply(&gateway.file("observe.toml", &gateway.policy("observe", &[A]))?, &[])?.ok()?;
        wait_for("the stream is seen", PATIENCE, || Ok(drops(&gateway, "egress", CALLED)?.1 > 20))?;

        gateway.agent.command(["enforce", "ingress"])?.ok()?;
        let during = stream(&gateway.edge, &format!("{INTRUDER}:{CALLED}"))?;
        ensure!(pings(&gateway.edge, OPERATOR)?, "{hook}: an echo's answer is dropped");
        ensure!(calls(&gateway, INTRUDER)?, "{hook}: not answered");
        ensure!(!gateway.reaches(&gateway.intruder, B)?, "{hook}: ingress is open");
        ensure!(!pings(&gateway.intruder, EDGE)?, "{hook}: ingress is open to echoes");
        let then = drops(&gateway, "egress", CALLED)?;
        ensure!(then.0 == 0, "{hook}: observed is not dropped");
        wait_for("the streams go on", PATIENCE, || Ok(drops(&gateway, "egress", CALLED)?.1 > then.1 + 200))?;
        // Observed in whole, then again one way alone: what lived meanwhile goes on.
        gateway.agent.command(["observe"])?.ok()?;
        let between = stream(&gateway.edge, &format!("{OPERATOR}:{CALLED}"))?;
        wait_for("a third is connected", PATIENCE, || Ok(connected(&gateway)? == 6))?;
        gateway.agent.command(["enforce", "ingress"])?.ok()?;
        let then = drops(&gateway, "egress", CALLED)?;
        wait_for("all go on", PATIENCE, || Ok(drops(&gateway, "egress", CALLED)?.1 > then.1 + 300))?;
        for stream in [before, during, between] {
            let report = report(stream)?;
            ensure!(report.flawless(), "{hook}: {report:?}");
        }
        // Enforced, it ends at once.
        let cut = stream(&gateway.edge, &format!("{OPERATOR}:{CALLED}"))?;
        wait_for("it is connected", PATIENCE, || Ok(connected(&gateway)? == 2))?;
        gateway.agent.command(["enforce", "egress"])?.ok()?;
        let (dropped, _) = drops(&gateway, "egress", CALLED)?;
        wait_for("it is dropped", PATIENCE, || Ok(drops(&gateway, "egress", CALLED)?.0 > dropped))?;
        ensure!(!calls(&gateway, INTRUDER)?, "{hook}: egress is open");
        drop((cut, operator, intruder));
    }
    Ok(())
}

#[test]
fn callers_of_an_observed_ingress_are_answered() -> Result<()> {
    for hook in ["xdp", "tc"] {
        let gateway = Gateway::build(hook, TRAFFIC)?;
        let _called = serve(&gateway.operator)?;
        gateway.apply(&gateway.file("observe.toml", &gateway.policy("observe", &[A]))?, &[])?.ok()?;
        let before = stream(&gateway.intruder, &format!("{EDGE}:{B}"))?;
        wait_for("the stream is seen", PATIENCE, || Ok(drops(&gateway, "ingress", B)?.1 > 20))?;
        gateway.agent.command(["enforce", "egress"])?.ok()?;
        ensure!(gateway.reaches(&gateway.intruder, B)?, "{hook}: not answered");
        ensure!(pings(&gateway.intruder, EDGE)?, "{hook}: an echo's answer is dropped");
        ensure!(!calls(&gateway, OPERATOR)?, "{hook}: egress is open");
        let then = drops(&gateway, "ingress", B)?;
        wait_for("the stream goes on", PATIENCE, || Ok(drops(&gateway, "ingress", B)?.1 > then.1 + 200))?;
        let report = report(before)?;
        ensure!(report.flawless(), "{hook}: {report:?}");
    }
    Ok(())
}

#[test]
fn a_host_file_says_so_from_the_start() -> Result<()> {
    for (hook, enforced) in [("xdp", "ingress"), ("tc", "egress")] {
        let gateway = Gateway::build(hook, TRAFFIC)?;
        let _called = serve(&gateway.operator)?;
        let (calls_out, calls_in) = (
            stream(&gateway.edge, &format!("{OPERATOR}:{CALLED}"))?,
            stream(&gateway.intruder, &format!("{EDGE}:{B}"))?,
        );
        wait_for("both are connected", PATIENCE, || {
            let listed = gateway.edge.run(["ss", "-Htn", "state", "established"])?.ok()?;
            Ok(listed.stdout.lines().count() == 4)
        })?;
        let text = gateway.policy("observe", &PORTS[..1]);
        let text = text.replace(&format!("{enforced} = \"observe\""), &format!("{enforced} = \"enforce\""));
        let file = gateway.file("host.toml", &text)?;
        let plan = gateway.json(&["plan", &file.to_string_lossy()])?;
        let cuts = plan["cuts"].as_array().context("no cuts")?;
        ensure!(cuts.len() == 2 && cuts.iter().all(|cut| cut["direction"] == enforced), "{hook}: {plan}");
        gateway.apply(&file, &[])?.ok()?;
        let ways = [("egress", CALLED, calls_out), ("ingress", B, calls_in)];
        for (direction, port, stream) in ways {
            if direction == enforced {
                wait_for("it is dropped", PATIENCE, || Ok(drops(&gateway, direction, port)?.0 > 0))?;
                ensure!(!report(stream)?.flawless(), "{hook}: a {direction} connection went on");
            } else {
                let then = drops(&gateway, direction, port)?;
                wait_for("it goes on", PATIENCE, || Ok(drops(&gateway, direction, port)?.1 > then.1 + 100))?;
                let report = report(stream)?;
                ensure!(report.flawless(), "{hook}: {direction} {report:?}");
            }
        }
        // Another policy, rehearsed under the same modes.
        gateway.apply(&gateway.file("more.toml", &text.replace("port = 4431", "port = 4433"))?, &[])?.ok()?;
    }
    Ok(())
}

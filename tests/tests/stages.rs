//! A role that is only observed on a gateway that enforces: it is never cut, never silent, and widens nothing else.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use portreeve_tests::{
    gateway::{Gateway, PORTS, time_until},
    lab::{PATIENCE, Server},
};
use serde_json::Value;

const TRAFFIC: &str = env!("CARGO_BIN_EXE_traffic");
const A: u16 = PORTS[0];
const B: u16 = PORTS[1];
/// Which the role documents.
const PAGE: u16 = 443;
const INTRUDER: &str = "192.0.2.66";

fn role(stage: &str) -> String {
    format!(
        "[[role]]\npack = \"siemens-industrial-edge\"\nrole = \"ied\"\n{stage}\noptions = {{ offering = \"IEM OS\" }}\n\
         [role.peers]\ndns_servers = [\"192.0.2.30\"]\nntp_servers = [\"192.0.2.30\"]\n\
         ui_clients = [\"192.0.2.20\"]\niem = [\"192.0.2.30\"]\n"
    )
}

/// An enforcing gateway with the role in this stage, and a server of its page.
fn enforcing(hook: &'static str, stage: &str) -> Result<(Gateway, Server)> {
    let gateway = Gateway::build(hook, TRAFFIC)?;
    let page = gateway.edge.spawn([TRAFFIC, "serve", &format!("0.0.0.0:{PAGE}"), "--seconds", "300"])?;
    let page = page.listening("tcp", PAGE)?;
    let text = gateway.policy("enforce", &[A]) + &role(stage);
    gateway.apply(&gateway.file("stage.toml", &text)?, &[])?.ok()?;
    Ok((gateway, page))
}

fn observed(gateway: &Gateway) -> Result<Vec<Value>> {
    let status = gateway.json(&["status"])?;
    Ok(status["interfaces"]
        .as_array()
        .context("no interfaces")?
        .iter()
        .map(|row| row["observed"].clone())
        .collect())
}

/// Dropped, and would be dropped, of a port.
fn drops(gateway: &Gateway, direction: &str, port: u16) -> Result<(u64, u64)> {
    let drops = gateway.json(&["drops", "--top", "0"])?;
    let rows = drops["ports"].as_array().context("no ports")?;
    let row = rows.iter().find(|row| row["direction"] == direction && row["port"] == port);
    let count = |what: &str| row.and_then(|row| row[what].as_u64()).unwrap_or(0);
    Ok((count("dropped"), count("would_drop")))
}

fn packets(gateway: &Gateway, flow: &str) -> Result<u64> {
    let flows = gateway.json(&["flows"])?;
    let row = flows["flows"].as_array().context("no flows")?.iter().find(|row| row["flow"] == flow);
    row.with_context(|| format!("no flow {flow}"))?["packets"].as_u64().context("no packets")
}

#[test]
fn an_observed_role_is_not_cut_and_is_shown() -> Result<()> {
    for hook in ["xdp", "tc"] {
        let (gateway, _page) = enforcing(hook, "stage = \"observe\"")?;
        assert_eq!(gateway.states()?, gateway.enforcing_states());
        let shown: Value = vec!["ied"].into();
        assert_eq!(observed(&gateway)?, [shown.clone(), shown]);
        let text = gateway.agent.command(["status"])?.ok()?.stdout;
        assert!(text.contains(", but ied only observed"), "{text}");

        ensure!(gateway.reaches(&gateway.intruder, PAGE)?, "{hook}: whoever uses the role's port is not cut");
        ensure!(gateway.reaches(&gateway.operator, PAGE)?, "{hook}: its own peers neither");
        for port in [A, B] {
            ensure!(!gateway.reaches(&gateway.intruder, port)?, "{hook}: {port} is not the role's");
        }
        let (dropped, would) = drops(&gateway, "ingress", PAGE)?;
        assert_eq!((dropped, would), (0, 1), "{hook}: one connection, and one packet that began it");
        let passed = packets(&gateway, "observed:ied:ingress")?;
        ensure!(passed > 1, "{hook}: {passed} packets of that connection");
        gateway.edge.run([
            "bash",
            "-c",
            &format!("echo x > /dev/udp/{INTRUDER}/53; echo x > /dev/udp/{INTRUDER}/54"),
        ])?;
        assert_eq!(
            (drops(&gateway, "egress", 53)?, drops(&gateway, "egress", 54)?),
            ((0, 1), (1, 0)),
            "{hook}"
        );
        println!("{hook}: {}", gateway.agent.command(["drops"])?.ok()?.stdout);
    }
    Ok(())
}

#[test]
fn a_role_is_promoted_once_nothing_of_it_would_be_cut() -> Result<()> {
    let (gateway, _page) = enforcing("tc", "stage = \"observe\"")?;
    let unknown = gateway.agent.command(["enforce", "--role", "iem"])?.refused()?;
    assert!(unknown.stderr.contains("no role `iem`: it has ied"), "{unknown}");
    ensure!(gateway.reaches(&gateway.intruder, PAGE)?);
    let refused = gateway.agent.command(["enforce", "--role", "ied"])?.refused()?;
    println!("{}", refused.stderr);
    assert!(refused.stderr.contains(INTRUDER) && refused.stderr.contains("--force"), "{refused}");
    // A host file that promotes it is refused for the same reason.
    let strict = gateway.policy("enforce", &[A]) + &role("");
    let file = gateway.file("strict.toml", &strict)?;
    let refused = gateway.apply(&file, &[])?.refused()?;
    assert!(refused.stderr.contains(INTRUDER), "{refused}");
    // Egress has seen nothing.
    gateway.agent.command(["enforce", "egress", "--role", "ied"])?.ok()?;
    assert_eq!(observed(&gateway)?, [vec!["ied"].into(), Value::Null]);
    // Who looked at it and knows better begins a new observation.
    time_until("a new observation has seen nothing", PATIENCE, || {
        gateway.agent.command(["observe", "ingress", "--role", "ied"])?.ok()?;
        Ok(gateway.agent.command(["enforce", "--role", "ied"])?.success())
    })?;
    assert_eq!(observed(&gateway)?, [Value::Null, Value::Null]);
    ensure!(!gateway.reaches(&gateway.intruder, PAGE)? && gateway.reaches(&gateway.operator, PAGE)?);
    assert_eq!(drops(&gateway, "ingress", PAGE)?.0, 1, "now it is dropped");
    Ok(())
}

#[test]
fn what_a_command_has_set_stays_until_the_host_file_says_something_new() -> Result<()> {
    let (gateway, _page) = enforcing("tc", "stage = \"observe\"")?;
    gateway.agent.command(["enforce", "--role", "ied"])?.ok()?;
    // The same host file, then a machine that comes up again: its maps are gone, its files are there.
    let file = gateway.lab.dir().join("stage.toml");
    gateway.apply(&file, &[])?.ok()?;
    ensure!(!gateway.reaches(&gateway.intruder, PAGE)?);
    for kind in ["links", "programs", "maps"] {
        fs::remove_dir_all(gateway.agent.pins().join(kind))?;
    }
    let mut daemon = gateway.agent.spawn(["run", "--metrics", "off"])?;
    daemon.wait_until("is ready", PATIENCE, |daemon| Ok(daemon.log()?.contains("ready")))?;
    assert_eq!(gateway.states()?, gateway.enforcing_states());
    ensure!(!gateway.reaches(&gateway.intruder, PAGE)?, "a restart widened it");
    daemon.stop(PATIENCE)?;
    // A host file that asks for something new is obeyed, and the plan says so.
    let egress = gateway.policy("enforce", &[A]) + &role("stage = { egress = \"observe\" }");
    let egress = gateway.file("egress.toml", &egress)?;
    let plan = gateway.json(&["plan", &egress.to_string_lossy()])?;
    assert_eq!(plan["stages"], serde_json::json!({}), "egress was asked to be observed before: {plan}");
    gateway
        .apply(&gateway.file("strict.toml", &(gateway.policy("enforce", &[A]) + &role("")))?, &[])?
        .ok()?;
    let plan = gateway.json(&["plan", &egress.to_string_lossy()])?;
    assert_eq!(plan["stages"], serde_json::json!({ "ied egress": "observe" }), "{plan}");
    gateway.apply(&egress, &[])?.ok()?;
    assert_eq!(observed(&gateway)?, [Value::Null, vec!["ied"].into()]);
    gateway.agent.command(["rollback"])?.ok()?;
    assert_eq!(observed(&gateway)?, [Value::Null, Value::Null]);
    Ok(())
}

//! The agent as on a kernel before 6.6, without TCX: filters of a clsact qdisc, which are replaced in place, put right when
//! another hand is at them, and taken off with their qdisc. Needs root.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use portreeve_tests::{
    gateway::{Gateway, INTERFACE, PORTS, Pulse},
    lab::{Output, PATIENCE, Server, wait_for},
};

const TRAFFIC: &str = env!("CARGO_BIN_EXE_traffic");
const A: u16 = PORTS[0];
const HOOKS: [&str; 2] = ["xdp", "tc"];

fn build(hook: &'static str) -> Result<Gateway> {
    let mut gateway = Gateway::build(hook, TRAFFIC)?;
    gateway.agent = gateway.agent.without_tcx();
    Ok(gateway)
}

fn start(hook: &'static str) -> Result<(Gateway, Server)> {
    let gateway = build(hook)?;
    gateway.apply(&gateway.enforcing(&[A])?, &[])?.ok()?;
    let mut daemon = gateway.agent.spawn(["run", "--metrics", "127.0.0.1:9464"])?;
    daemon.wait_until("is ready", PATIENCE, |daemon| Ok(daemon.log()?.contains("ready")))?;
    Ok((gateway, daemon))
}

fn tc(gateway: &Gateway, words: &str) -> Result<Output> {
    gateway.edge.run(["tc"].into_iter().chain(words.split(' ')))
}

fn qdiscs(gateway: &Gateway) -> Result<String> {
    Ok(tc(gateway, &format!("qdisc show dev {INTERFACE}"))?.ok()?.stdout)
}

fn filters(gateway: &Gateway, way: &str) -> Result<String> {
    Ok(tc(gateway, &format!("filter show dev {INTERFACE} {way}"))?.ok()?.stdout)
}

/// What `status` says each direction is attached by.
fn attached(gateway: &Gateway) -> Result<Vec<String>> {
    let status = gateway.json(&["status"])?;
    let rows = status["interfaces"].as_array().context("no interfaces")?;
    Ok(rows.iter().map(|row| row["hook"].as_str().unwrap_or_default().to_owned()).collect())
}

fn as_it_should_be(gateway: &Gateway) -> Result<()> {
    ensure!(gateway.states()? == gateway.enforcing_states(), "{:?}", gateway.states()?);
    ensure!(gateway.open()? == [A] && !gateway.reaches(&gateway.intruder, A)?, "the policy is not in force");
    Ok(())
}

#[test]
fn filters_enforce_outlive_the_daemon_and_leave_nothing() -> Result<()> {
    for hook in HOOKS {
        let (gateway, mut daemon) = start(hook)?;
        let ingress = if hook == "xdp" { "xdp" } else { "clsact" };
        ensure!(attached(&gateway)? == [ingress, "clsact"], "{:?}", attached(&gateway)?);
        as_it_should_be(&gateway)?;
        ensure!(filters(&gateway, "egress")?.contains("egress_tc"), "no filter of ours");
        daemon.signal(nix::sys::signal::Signal::SIGKILL)?;
        daemon.wait(PATIENCE)?;
        as_it_should_be(&gateway)?;
        gateway.agent.command(["detach"])?.ok()?;
        ensure!(!qdiscs(&gateway)?.contains("clsact"), "the qdisc stays: {}", qdiscs(&gateway)?);
        ensure!(gateway.open()? == PORTS, "something still drops");
    }
    Ok(())
}

#[test]
fn a_program_is_replaced_in_place() -> Result<()> {
    for hook in HOOKS {
        let (gateway, _daemon) = start(hook)?;
        let ids = |gateway: &Gateway| -> Result<String> {
            let shown = filters(gateway, "egress")?;
            Ok(shown
                .split(" id ")
                .nth(1)
                .and_then(|rest| rest.split(' ').next())
                .context("no id")?
                .to_owned())
        };
        let before = ids(&gateway)?;
        let pulse = Pulse::start(&gateway, TRAFFIC)?;
        // Without its pin a program is taken for another one: a new one takes its place.
        fs::remove_file(gateway.agent.pins().join("programs").join(format!("{INTERFACE}-egress")))?;
        wait_for("another program stands there", PATIENCE, || Ok(ids(&gateway)? != before))?;
        println!("{hook}: {}", pulse.stop(&gateway)?);
        ensure!(filters(&gateway, "egress")?.matches("direct-action").count() == 1, "two filters");
        as_it_should_be(&gateway)?;
    }
    Ok(())
}

#[test]
fn what_another_hand_takes_off_is_attached_again() -> Result<()> {
    for hook in HOOKS {
        let (gateway, daemon) = start(hook)?;
        for broken in
            [format!("filter del dev {INTERFACE} egress"), format!("qdisc del dev {INTERFACE} clsact")]
        {
            let before = daemon.log()?.len();
            tc(&gateway, &broken)?.ok()?;
            wait_for("it is put right", PATIENCE, || {
                Ok(daemon.log()?.get(before..).is_some_and(|new| new.contains("put right")))
            })
            .with_context(|| daemon.log().unwrap_or_default())?;
            as_it_should_be(&gateway).with_context(|| broken)?;
        }
    }
    Ok(())
}

/// A filter that is none of ours.
const OTHER: &str = "protocol all u32 match u32 0 0 flowid 1:1";

/// A qdisc that was there before, or that others use too, is not ours to take off.
#[test]
fn what_others_have_there_stays() -> Result<()> {
    let gateway = build("tc")?;
    tc(&gateway, &format!("qdisc add dev {INTERFACE} clsact"))?.ok()?;
    gateway.apply(&gateway.enforcing(&[A])?, &[])?.ok()?;
    as_it_should_be(&gateway)?;
    gateway.agent.command(["detach"])?.ok()?;
    ensure!(qdiscs(&gateway)?.contains("clsact"), "it was there before");
    ensure!(filters(&gateway, "egress")?.is_empty() && filters(&gateway, "ingress")?.is_empty());
    tc(&gateway, &format!("qdisc del dev {INTERFACE} clsact"))?.ok()?;

    gateway.apply(&gateway.enforcing(&[A])?, &[])?.ok()?;
    tc(&gateway, &format!("filter add dev {INTERFACE} ingress prio 7 {OTHER}"))?.ok()?;
    as_it_should_be(&gateway)?;
    gateway.agent.command(["detach"])?.ok()?;
    ensure!(filters(&gateway, "ingress")?.contains("u32"), "another one's filter went too");
    Ok(())
}

/// The first priority is no privilege: who takes it before has to be named.
#[test]
fn who_stands_before_it_is_named() -> Result<()> {
    let gateway = build("tc")?;
    tc(&gateway, &format!("qdisc add dev {INTERFACE} clsact"))?.ok()?;
    tc(&gateway, &format!("filter add dev {INTERFACE} egress prio 1 {OTHER}"))?.ok()?;
    let refused = gateway.apply(&gateway.enforcing(&[A])?, &[])?;
    ensure!(!refused.success() && refused.stderr.contains("u32, priority 1"), "{refused}");
    tc(&gateway, &format!("filter del dev {INTERFACE} egress"))?.ok()?;

    gateway.apply(&gateway.enforcing(&[A])?, &[])?.ok()?;
    as_it_should_be(&gateway)?;
    // The newest of one priority comes first.
    let program = gateway.agent.pins().join("programs").join(format!("{INTERFACE}-egress"));
    let other = format!("object-pinned {}", program.display());
    tc(&gateway, &format!("filter add dev {INTERFACE} egress prio 1 protocol all bpf da {other}"))?.ok()?;
    let states = gateway.states()?;
    ensure!(states[1].starts_with("degraded: a filter (bpf, priority 1"), "{states:?}");
    Ok(())
}

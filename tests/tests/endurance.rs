//! Applies, kills, upgrades and recreated interfaces under real traffic: nothing allowed is lost, nothing forbidden passes.
//!
//! `PORTREEVE_ENDURANCE` names how many applies there are; kills, upgrades and interfaces are a quarter and a tenth of it.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use portreeve_tests::{
    gateway::{Gateway, OPERATOR, PORTS, Pulse},
    lab::{Agent, PATIENCE, wait_for},
};

const TRAFFIC: &str = env!("CARGO_BIN_EXE_traffic");
const A: u16 = PORTS[0];
const B: u16 = PORTS[1];
const C: u16 = PORTS[2];
/// An interface that comes and goes.
const SECOND: &str = "enp3s0";
/// Applies of a run that nobody has asked to be longer.
const APPLIES: u32 = 40;

/// Words of the object's licence, of the same length: another object, whose programs do the same.
const LICENCES: [&[u8]; 2] = [b"Dual MIT/GPL\0", b"Dual BSD/GPL\0"];

/// The agent as the next release might be: its kernel programs are others.
fn upgraded(gateway: &Gateway) -> Result<PathBuf> {
    let mut bytes = fs::read(Agent::program()?)?;
    let [old, new] = LICENCES;
    let at =
        bytes.windows(old.len()).position(|window| window == old).context("no licence in the program")?;
    bytes.get_mut(at..at + old.len()).context("beyond its end")?.copy_from_slice(new);
    let path = gateway.lab.dir().join("portreeve-next");
    fs::write(&path, bytes)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

fn policy(gateway: &Gateway, ports: &[u16]) -> Result<PathBuf> {
    let text = gateway.policy("enforce", ports);
    let text = text.replace("interfaces = [\"enp2s0\"]", &format!("interfaces = [\"enp2s0\", \"{SECOND}\"]"));
    let text = text.replacen("[[allow]]", &format!("[baseline]\nping_from = [\"{OPERATOR}\"]\n[[allow]]"), 1);
    gateway.file(&format!("two-{}.toml", ports[1]), &text)
}

/// What happened.
#[derive(Debug, Default)]
struct Done {
    applies: u32,
    kills: u32,
    upgrades: u32,
    interfaces: u32,
}

fn endure(hook: &'static str, applies: u32) -> Result<()> {
    let begin = Instant::now();
    let gateway = Gateway::build(hook, TRAFFIC)?;
    gateway.edge.plug(SECOND)?;
    let files = [policy(&gateway, &[A, B])?, policy(&gateway, &[A, C])?];
    let agents = [gateway.agent.clone(), gateway.agent.with_program(&upgraded(&gateway)?)];
    gateway.apply(&files[0], &[])?.ok()?;
    let pulse = Pulse::start(&gateway, TRAFFIC)?.with_ping(&gateway)?;
    let mut done = Done::default();
    let mut daemon = None;
    for n in 1..=applies {
        // An upgrade: from here on commands and daemons are of the other program.
        if n % 10 == 5 {
            done.upgrades += 1;
        }
        let agent = &agents[(done.upgrades % 2) as usize];
        if n % 4 == 1 {
            daemon = Some(agent.spawn(["run", "--metrics", "off"])?);
        }
        let file = files[(n % 2) as usize].to_string_lossy().into_owned();
        agent.command(["apply", &file])?.ok()?;
        done.applies += 1;
        if n % 10 == 0 {
            gateway.edge.unplug(SECOND)?;
            gateway.edge.plug(SECOND)?;
            done.interfaces += 1;
        }
        if n % 4 == 0 {
            thread::sleep(Duration::from_millis(fastrand::u64(0..50)));
            let mut daemon = daemon.take().context("no daemon")?;
            daemon.signal(Signal::SIGKILL)?;
            daemon.wait(PATIENCE)?;
            done.kills += 1;
        }
    }
    let agent = &agents[(done.upgrades % 2) as usize];
    let mut daemon = agent.spawn(["run", "--metrics", "off"])?;
    wait_for("all interfaces are covered", PATIENCE, || {
        let states = gateway.states()?;
        Ok(states.len() == 4 && states.iter().all(|state| state.starts_with("enforcing")))
    })?;
    let said = pulse.stop(&gateway)?;
    let drift = gateway.json(&["drift"])?;
    let kernel = drift["findings"].as_array().into_iter().flatten().find(|row| row["kind"] == "kernel");
    ensure!(kernel.is_none(), "{drift}");
    daemon.stop(PATIENCE)?;
    let Done { applies, kills, upgrades, interfaces } = done;
    println!(
        "{hook}: {applies} applies, {kills} kills, {upgrades} upgrades, {interfaces} recreated interfaces in {:.1} s: {said}",
        begin.elapsed().as_secs_f32()
    );
    println!("{hook}: allowed {OPERATOR}; nothing of it was lost, and nothing forbidden got through");
    Ok(())
}

#[test]
fn nothing_is_lost_and_nothing_gets_through() -> Result<()> {
    let applies = std::env::var("PORTREEVE_ENDURANCE").ok().map(|text| text.parse()).transpose()?;
    for hook in ["xdp", "tc"] {
        endure(hook, applies.unwrap_or(APPLIES) / 2)?;
    }
    Ok(())
}

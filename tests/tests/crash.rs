//! Killed at every write: whoever comes next finds an instance that can be put right, and it enforces all the while.

use std::{
    os::unix::process::ExitStatusExt as _,
    process::{ExitStatus, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use portreeve_tests::gateway::{Gateway, PORTS, Pulse};

const TRAFFIC: &str = env!("CARGO_BIN_EXE_traffic");
const A: u16 = PORTS[0];
const B: u16 = PORTS[1];
const C: u16 = PORTS[2];

/// More points than any command has.
const MOST: u32 = 2_000;

/// Runs a command that dies by SIGKILL at its `n`-th point; whether it got there.
fn dies(gateway: &Gateway, words: &[&str], n: u32) -> Result<bool> {
    let mut command = gateway.agent.prepare(words)?;
    command.env("PORTREEVE_CRASH_AT", n.to_string()).stdout(Stdio::null()).stderr(Stdio::piped());
    let output = command.output()?;
    let status: ExitStatus = output.status;
    if status.signal() == Some(Signal::SIGKILL as i32) {
        return Ok(true);
    }
    ensure!(
        status.success(),
        "{words:?} at point {n}: {status}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(false)
}

/// Every point, or in a run that nobody has asked to be longer every third.
fn stride() -> usize {
    if std::env::var_os("PORTREEVE_ENDURANCE").is_some() { 1 } else { 3 }
}

/// Kills `words` at every `stride`-th of its points; after each, `next` has to succeed and to find all as it should be.
fn at_every_point(
    gateway: &Gateway,
    what: &str,
    stride: usize,
    mut words: impl FnMut(u32) -> Vec<String>,
    mut next: impl FnMut(u32) -> Result<()>,
) -> Result<u32> {
    for (kills, n) in (0..).zip((1..MOST).step_by(stride)) {
        let typed = words(n);
        let typed: Vec<&str> = typed.iter().map(String::as_str).collect();
        if !dies(gateway, &typed, n)? {
            println!("{what}: killed at {kills} points, each {stride} after the last");
            ensure!(n > 1, "{what}: no point was passed; the program is built without `crash-points`");
            return Ok(kills);
        }
        next(n).with_context(|| format!("{what}, after point {n}"))?;
    }
    anyhow::bail!("{what}: more than {MOST} points")
}

fn is_enforcing(gateway: &Gateway) -> Result<()> {
    let states = gateway.states()?;
    ensure!(states == gateway.enforcing_states(), "{states:?}");
    let drift = gateway.json(&["drift"])?;
    let kernel = drift["findings"].as_array().into_iter().flatten().find(|row| row["kind"] == "kernel");
    ensure!(kernel.is_none(), "{}", kernel.unwrap_or_default());
    Ok(())
}

#[test]
fn an_apply_killed_at_every_write_never_opens_and_never_cuts() -> Result<()> {
    let gateway = Gateway::build("xdp", TRAFFIC)?;
    let files = [gateway.enforcing(&[A, B])?, gateway.enforcing(&[A, C])?];
    gateway.apply(&files[0], &[])?.ok()?;
    let pulse = Pulse::start(&gateway, TRAFFIC)?;
    let apply = |n: u32| vec!["apply".to_owned(), files[(n % 2) as usize].display().to_string()];
    at_every_point(&gateway, "apply", 1, apply, |n| {
        // Alternately the next one is the same command, or one that changes modes.
        if n % 3 == 0 {
            gateway.agent.command(["enforce", "--force"])?.ok()?;
        } else {
            gateway.apply(&files[(n % 2) as usize], &[])?.ok()?;
        }
        is_enforcing(&gateway)
    })?;
    let said = pulse.stop(&gateway)?;
    println!("apply: {said}");
    Ok(())
}

#[test]
fn a_first_start_killed_at_every_write_ends_enforcing() -> Result<()> {
    let gateway = Gateway::build("tc", TRAFFIC)?;
    let file = gateway.enforcing(&[A])?;
    let apply = |_| vec!["apply".to_owned(), file.display().to_string()];
    at_every_point(&gateway, "first apply", stride(), apply, |_| {
        gateway.apply(&file, &[])?.ok()?;
        is_enforcing(&gateway)?;
        gateway.agent.command(["detach"])?.ok()?;
        Ok(())
    })?;
    assert_eq!(gateway.open()?, [A]);
    Ok(())
}

#[test]
fn other_changes_killed_at_every_write_are_put_right() -> Result<()> {
    let gateway = Gateway::build("tc", TRAFFIC)?;
    let [first, second] = [gateway.enforcing(&[A, B])?, gateway.enforcing(&[A, C])?];
    gateway.apply(&first, &[])?.ok()?;
    let pulse = Pulse::start(&gateway, TRAFFIC)?;
    let typed = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let waits = || -> Result<()> {
        let next = if gateway.last_good()?.contains("tcp-4432") { &second } else { &first };
        gateway.apply(next, &["--confirm-within", "600s"])?.ok().map(drop)
    };
    for command in ["confirm", "rollback"] {
        waits()?;
        at_every_point(
            &gateway,
            command,
            stride(),
            |_| typed(&[command]),
            |_| {
                // It had been done, or it is done now.
                let again = gateway.agent.command([command])?;
                ensure!(again.success() || again.stderr.contains("nothing"), "{again}");
                is_enforcing(&gateway)?;
                waits()
            },
        )?;
    }
    let said = pulse.stop(&gateway)?;
    println!("confirm and rollback: {said}");
    gateway.apply(&first, &[])?.ok()?;
    at_every_point(
        &gateway,
        "detach",
        stride(),
        |_| typed(&["detach"]),
        |_| {
            gateway.apply(&first, &[])?.ok()?;
            is_enforcing(&gateway)
        },
    )?;
    assert!(!gateway.agent.pins().exists());
    Ok(())
}

/// What a disk may lose when power goes: the state's file in part, or whole.
#[test]
fn damaged_files_are_put_right() -> Result<()> {
    let gateway = Gateway::build("tc", TRAFFIC)?;
    let [first, second] = [gateway.enforcing(&[A, B])?, gateway.enforcing(&[A, C])?];
    gateway.apply(&first, &[])?.ok()?;
    gateway.apply(&second, &[])?.ok()?;
    let pulse = Pulse::start(&gateway, TRAFFIC)?;
    let [newest, older] = ["state.json", "state.old.json"].map(|name| gateway.agent.state_dir().join(name));
    let whole = std::fs::read(&newest)?;
    for length in [0, 1, whole.len() / 2] {
        std::fs::write(&newest, &whole[..length])?;
        gateway.apply(&second, &[])?.ok()?;
        is_enforcing(&gateway)?;
        assert!(gateway.last_good()?.contains("tcp-4433"));
    }
    // Both are gone: programs with new maps take the places of those that stand there, and take live connections in.
    for file in [&newest, &older] {
        std::fs::write(file, b"{")?;
    }
    let mut daemon = gateway.agent.start(&second)?;
    is_enforcing(&gateway)?;
    daemon.stop(portreeve_tests::lab::PATIENCE)?;
    let said = pulse.beats()?;
    println!("damaged files: {said}");
    Ok(())
}

//! How a daemon begins where nobody is there to help: before the network, with what the disk has.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use portreeve_tests::{
    gateway::{Gateway, INTERFACE, PORTS, time_until},
    lab::{Output, PATIENCE, Server},
};

const TRAFFIC: &str = env!("CARGO_BIN_EXE_traffic");
const A: u16 = PORTS[0];
const B: u16 = PORTS[1];

/// As the service starts it.
fn words(host: &std::path::Path) -> [String; 5] {
    ["run", "--metrics", "off", "--fallback", &host.to_string_lossy()].map(str::to_owned)
}

fn service(gateway: &Gateway, host: &std::path::Path) -> Result<Server> {
    let mut daemon = gateway.agent.spawn(words(host))?;
    daemon.wait_until("is ready", PATIENCE, |daemon| Ok(daemon.log()?.contains("ready")))?;
    Ok(daemon)
}

fn refused(gateway: &Gateway, host: &std::path::Path) -> Result<Output> {
    let refused = gateway.agent.command(words(host))?;
    ensure!(refused.code == Some(3), "{refused}");
    ensure!(!gateway.agent.pins().join("maps").exists(), "something was left in the kernel");
    Ok(refused)
}

#[test]
fn without_any_policy_it_says_so_and_does_not_try_again() -> Result<()> {
    let gateway = Gateway::build("tc", TRAFFIC)?;
    let missing = refused(&gateway, &gateway.lab.dir().join("none.toml"))?;
    println!("{}", missing.stderr);
    assert!(
        missing.stderr.contains("no last good policy") && missing.stderr.contains("none.toml"),
        "{missing}"
    );
    let broken = gateway
        .file("broken.toml", &gateway.policy("enforce", &[A]).replace("ingress = \"en", "ingres = \"en"))?;
    let broken = refused(&gateway, &broken)?;
    assert!(
        broken.stderr.contains("unknown key `ingres`") && broken.stderr.contains("no last good policy"),
        "{broken}"
    );
    let bare = gateway.agent.command(["run", "--metrics", "off"])?;
    assert_eq!(bare.code, Some(3), "{bare}");
    assert_eq!(gateway.open()?, PORTS);
    Ok(())
}

/// The interface has no address yet: what comes with one is protected when it comes.
#[test]
fn a_first_start_takes_the_host_file_before_the_network() -> Result<()> {
    let gateway = Gateway::build("tc", TRAFFIC)?;
    gateway.edge.run(["ip", "address", "flush", "dev", INTERFACE])?.ok()?;
    let text = gateway.policy("enforce", &[A]).replace("addresses = [\"192.0.2.10\"]\n", "");
    let mut daemon = service(&gateway, &gateway.file("host.toml", &text)?)?;
    assert_eq!(gateway.states()?, gateway.enforcing_states());
    gateway.edge.run(["ip", "address", "add", "192.0.2.10/24", "dev", INTERFACE])?.ok()?;
    time_until("the address is protected", PATIENCE, || gateway.reaches(&gateway.operator, A))
        .with_context(|| daemon.log().unwrap_or_default())?;
    assert_eq!(gateway.open()?, [A]);
    assert!(!gateway.reaches(&gateway.intruder, A)?);
    daemon.stop(PATIENCE)?;
    Ok(())
}

/// Drivers may be later than the service. Nothing of the interface's traffic is let through until it is covered.
#[test]
fn interfaces_that_come_later_are_covered_when_they_come() -> Result<()> {
    let gateway = Gateway::build("tc", TRAFFIC)?;
    let host = gateway.enforcing(&[A])?;
    gateway.apply(&host, &[])?.ok()?;
    gateway.edge.unplug(INTERFACE)?;
    fs::remove_dir_all(gateway.agent.pins())?;
    let mistyped = gateway.agent.command(["run", "--metrics", "off", "--host", &host.to_string_lossy()])?;
    ensure!(mistyped.code == Some(2) && mistyped.stderr.contains(INTERFACE), "{mistyped}");

    let mut daemon = service(&gateway, &host)?;
    ensure!(daemon.log()?.contains("is covered when it comes"), "{}", daemon.log()?);
    gateway.edge.plug(INTERFACE)?;
    time_until("it is covered", PATIENCE, || Ok(gateway.states()? == gateway.enforcing_states()))
        .with_context(|| daemon.log().unwrap_or_default())?;
    gateway.edge.run(["ip", "address", "add", "192.0.2.10/24", "dev", INTERFACE])?.ok()?;
    gateway.edge.run(["ip", "link", "set", INTERFACE, "up"])?.ok()?;
    time_until("the operator gets in", PATIENCE, || gateway.reaches(&gateway.operator, A))?;
    assert_eq!(gateway.open()?, [A]);
    assert!(!gateway.reaches(&gateway.intruder, A)?);
    daemon.stop(PATIENCE)?;
    Ok(())
}

#[test]
fn the_last_good_policy_comes_before_a_host_file_that_nobody_applied() -> Result<()> {
    let gateway = Gateway::build("tc", TRAFFIC)?;
    gateway.apply(&gateway.enforcing(&[A])?, &[])?.ok()?;
    let edited = gateway.enforcing(&[B])?;
    for kind in ["links", "programs", "maps"] {
        fs::remove_dir_all(gateway.agent.pins().join(kind))?;
    }
    let mut daemon = service(&gateway, &edited)?;
    assert_eq!((gateway.open()?, gateway.states()?), (vec![A], vec!["enforcing-tc".into(); 2]));
    daemon.stop(PATIENCE)?;
    // Nor does it take the place of what is in force, when that can't be compiled any more.
    let last = gateway.agent.state_dir().join("host.toml");
    fs::write(&last, "[[role]]\npack = \"gone\"\nrole = \"x\"\n")?;
    for name in ["state.json", "state.old.json"] {
        let path = gateway.agent.state_dir().join(name);
        let text = fs::read_to_string(&path)?.replace("[[allow]]", "[[allowed]]");
        fs::write(&path, text)?;
    }
    let failed = gateway.agent.command(words(&edited))?;
    ensure!(!failed.success() && failed.stderr.contains("unknown key `allowed`"), "{failed}");
    assert_eq!(gateway.open()?, [A], "the kernel goes on");
    // But where nothing is in force, it does.
    gateway.agent.command(["detach"])?.ok()?;
    let mut daemon = service(&gateway, &edited)?;
    assert_eq!(gateway.open()?, [B]);
    daemon.stop(PATIENCE)?;
    Ok(())
}

//! What another hand does to the kernel: named in `status`, `drift`, metrics and log, and put right.

use std::{fs, path::Path, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use portreeve_tests::{
    gateway::{Gateway, INTERFACE, PORTS, Pulse, time_until},
    lab::{PATIENCE, Server},
};

const TRAFFIC: &str = env!("CARGO_BIN_EXE_traffic");
const A: u16 = PORTS[0];
const B: u16 = PORTS[1];

/// A gateway with a daemon, and one that only reports.
fn start(hook: &'static str, flags: &[&str]) -> Result<(Gateway, Server)> {
    let gateway = Gateway::build(hook, TRAFFIC)?;
    gateway.apply(&gateway.enforcing(&[A])?, &[])?.ok()?;
    let daemon = run(&gateway, flags)?;
    Ok((gateway, daemon))
}

fn run(gateway: &Gateway, flags: &[&str]) -> Result<Server> {
    let words = ["run", "--metrics", "127.0.0.1:9464"].into_iter().chain(flags.iter().copied());
    let mut daemon = gateway.agent.spawn(words)?;
    daemon.wait_until("is ready", PATIENCE, |daemon| Ok(daemon.log()?.contains("ready")))?;
    Ok(daemon)
}

/// Breaks something, and waits until it is said and put right.
fn mended(
    gateway: &Gateway,
    daemon: &Server,
    what: &str,
    kind: &str,
    says: &str,
    breaks: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let before = daemon.log()?.len();
    breaks()?;
    let took = time_until(what, PATIENCE, || {
        let log = daemon.log()?;
        Ok(log.get(before..).is_some_and(|new| new.contains("put right") && new.contains(says)))
    })
    .with_context(|| daemon.log().unwrap_or_default())?;
    println!("{what}: noticed and put right after {:.1} s", took.as_secs_f32());
    ensure!(gateway.states()? == gateway.enforcing_states(), "{what}: {:?}", gateway.states()?);
    ensure!(gateway.open()? == [A] && !gateway.reaches(&gateway.intruder, A)?, "{what}: not as it was");
    let metrics = gateway.agent.metrics()?;
    let series = format!("portreeve_faults_repaired_total{{kind=\"{kind}\"}}");
    let line = metrics.lines().find(|line| line.starts_with(&series)).context("no series")?;
    ensure!(!line.ends_with(" 0"), "{what}: {line}");
    Ok(())
}

#[test]
fn what_another_hand_changes_is_put_right() -> Result<()> {
    for (hook, links) in [("xdp", ["xdp", "egress"].as_slice()), ("tc", &["ingress"])] {
        let (gateway, daemon) = start(hook, &[])?;
        for hook in links {
            let link = gateway.agent.pins().join("links").join(format!("{INTERFACE}-{hook}"));
            mended(&gateway, &daemon, "a link is detached", "attachment", "detached by hand", || {
                detach(&gateway, &link)
            })?;
            mended(&gateway, &daemon, "a link's pin is removed", "attachment", "no program of ours", || {
                Ok(fs::remove_file(&link)?)
            })?;
            mended(&gateway, &daemon, "a program is replaced", "attachment", "in the place of ours", || {
                replace(&gateway, hook)
            })?;
        }
        mended(&gateway, &daemon, "the interface is recreated", "attachment", INTERFACE, || {
            recreate(&gateway)
        })?;
        qdisc(&gateway)?;
    }
    Ok(())
}

#[test]
fn maps_that_another_hand_changes_are_put_right() -> Result<()> {
    let (gateway, daemon) = start("xdp", &[])?;
    let pulse = Pulse::start(&gateway, TRAFFIC)?;
    let maps = gateway.agent.pins().join("maps");
    mended(&gateway, &daemon, "pins of maps are removed", "pins", "pinned again", || {
        ["SWITCH", "ESTABLISHED", "PORTS"].iter().try_for_each(|map| Ok(fs::remove_file(maps.join(map))?))
    })?;
    let said = pulse.stop(&gateway)?;
    println!("while pins of maps are removed: {said}");
    mended(&gateway, &daemon, "an entry of a table is changed", "tables", "CLASSES", || {
        zero(&gateway, "CLASSES")
    })?;
    mended(&gateway, &daemon, "the switch is changed", "switch", "SWITCH", || zero(&gateway, "SWITCH"))
}

/// TCX stands beside the qdisc: one that comes and goes takes nothing with it.
fn qdisc(gateway: &Gateway) -> Result<()> {
    gateway.edge.run(["tc", "qdisc", "add", "dev", INTERFACE, "clsact"])?.ok()?;
    gateway.edge.run(["tc", "qdisc", "del", "dev", INTERFACE, "clsact"])?.ok()?;
    ensure!(gateway.states()? == gateway.enforcing_states(), "{:?}", gateway.states()?);
    ensure!(gateway.open()? == [A], "the qdisc took something with it");
    Ok(())
}

fn detach(gateway: &Gateway, link: &Path) -> Result<()> {
    gateway.edge.run(["bpftool", "link", "detach", "pinned", &link.to_string_lossy()])?.ok()?;
    Ok(())
}

/// Lets the link have another program than the one that is pinned.
fn replace(gateway: &Gateway, hook: &str) -> Result<()> {
    let pin = gateway.agent.pins().join("programs").join(format!("{INTERFACE}-{hook}"));
    let kept = gateway.agent.pins().join("programs/kept");
    fs::rename(&pin, &kept)?;
    // Without its pin the program is taken for another one: a new one takes its place in the link.
    gateway.apply(&gateway.enforcing(&[A])?, &[])?.ok()?;
    fs::remove_file(&pin)?;
    Ok(fs::rename(&kept, &pin)?)
}

/// Writes zeros over all entries of a map that have anything else.
fn zero(gateway: &Gateway, map: &str) -> Result<()> {
    let pin = gateway.agent.pins().join("maps").join(map);
    let pin = pin.to_string_lossy();
    let dump = gateway.edge.run(["bpftool", "-j", "map", "dump", "pinned", &pin])?.ok()?.stdout;
    let entries: Vec<serde_json::Value> = serde_json::from_str(&dump)?;
    let mut zeroed = 0;
    for entry in entries {
        let bytes = |of: &str| -> Result<Vec<String>> {
            let bytes = entry[of].as_array().with_context(|| format!("no {of}"))?;
            Ok(bytes.iter().map(|byte| byte.as_str().unwrap_or_default().to_owned()).collect())
        };
        let (key, value) = (bytes("key")?, bytes("value")?);
        if value.iter().all(|byte| byte == "0x00") {
            continue;
        }
        let words = ["bpftool", "map", "update", "pinned", &pin, "key"].map(str::to_owned);
        let zeros = vec!["0x00".to_owned(); value.len()];
        let words = words.into_iter().chain(key).chain(["value".to_owned()]).chain(zeros);
        gateway.edge.run(words)?.ok()?;
        zeroed += 1;
    }
    ensure!(zeroed > 0, "{map} was empty");
    Ok(())
}

fn recreate(gateway: &Gateway) -> Result<()> {
    let hardware = gateway.edge.run(["cat", &format!("/sys/class/net/{INTERFACE}/address")])?.ok()?.stdout;
    gateway.edge.unplug(INTERFACE)?;
    gateway.edge.plug(INTERFACE)?;
    gateway.edge.run(["ip", "link", "set", INTERFACE, "address", hardware.trim()])?.ok()?;
    gateway.edge.run(["ip", "address", "add", "192.0.2.10/24", "dev", INTERFACE])?.ok()?;
    gateway.edge.run(["ip", "link", "set", INTERFACE, "up"])?.ok()?;
    Ok(())
}

#[test]
fn addresses_that_come_are_protected() -> Result<()> {
    let (gateway, daemon) = start("tc", &[])?;
    let followed = gateway.policy("enforce", &[A]).replace("addresses = [\"192.0.2.10\"]\n", "");
    gateway.apply(&gateway.file("followed.toml", &followed)?, &[])?.ok()?;
    let other = "exec 3<>/dev/tcp/192.0.2.11/4431";
    let reaches = || Ok(gateway.operator.run(["timeout", "0.4", "bash", "-c", other])?.success());
    gateway.edge.run(["ip", "address", "add", "192.0.2.11/24", "dev", INTERFACE])?.ok()?;
    let took = time_until("the new address is protected", PATIENCE, reaches)
        .with_context(|| daemon.log().unwrap_or_default())?;
    println!("an address came: protected after {:.1} s", took.as_secs_f32());
    // The policy before is still the one to go back to.
    gateway.agent.command(["rollback"])?.ok()?;
    assert_eq!(gateway.open()?, [A]);
    assert!(!gateway.last_good()?.contains("followed"));
    Ok(())
}

#[test]
fn without_repair_it_is_only_said() -> Result<()> {
    let (gateway, daemon) = start("xdp", &["--no-repair"])?;
    detach(&gateway, &gateway.agent.pins().join("links").join(format!("{INTERFACE}-xdp")))?;
    zero(&gateway, "CLASSES")?;
    time_until("it is said", PATIENCE, || {
        let log = daemon.log()?;
        Ok(log.contains("left alone") && log.contains("detached by hand") && log.contains("CLASSES"))
    })?;
    thread::sleep(Duration::from_secs(4));
    assert_eq!(daemon.log()?.matches("detached by hand").count(), 1, "once is enough");
    let status = gateway.states()?;
    assert_eq!(status[0], "off: the link was detached by hand");
    let drift = gateway.agent.command(["drift"])?;
    assert_eq!(drift.code, Some(1));
    assert!(drift.stdout.contains("detached by hand") && drift.stdout.contains("tables"), "{drift}");
    let metrics = gateway.agent.metrics()?;
    assert!(metrics.contains("portreeve_faults{kind=\"attachment\"} 1"), "{metrics}");
    // A command that changes something puts it right.
    gateway.apply(&gateway.enforcing(&[A, B])?, &[])?.ok()?;
    assert_eq!(gateway.states()?, gateway.enforcing_states());
    Ok(())
}

#[test]
fn without_repair_single_pins_are_said_too() -> Result<()> {
    let (gateway, daemon) = start("tc", &["--no-repair"])?;
    let pin = gateway.agent.pins().join("maps/ESTABLISHED");
    fs::remove_file(&pin)?;
    time_until("it is said", PATIENCE, || {
        let log = daemon.log()?;
        Ok(log.contains("left alone") && log.contains("ESTABLISHED"))
    })?;
    let metrics = gateway.agent.metrics();
    println!("{metrics:?}");
    ensure!(!pin.exists(), "it was put right");
    Ok(())
}

/// A tunnel's packets have no Ethernet header: nothing that we could judge.
#[test]
fn an_interface_without_ethernet_is_off_and_says_why() -> Result<()> {
    let gateway = Gateway::build("tc", TRAFFIC)?;
    let text = gateway.policy("enforce", &[A]).replace("[\"enp2s0\"]", "[\"enp2s0\", \"lo\"]");
    let refused = gateway.apply(&gateway.file("lo.toml", &text)?, &[])?.refused()?;
    assert!(refused.stderr.contains("lo carries no Ethernet frames"), "{refused}");
    assert_eq!(gateway.states()?[2..], ["off: no Ethernet header"; 2]);
    assert_eq!(gateway.open()?, [A]);
    Ok(())
}

#[test]
fn a_foreign_xdp_program_is_named() -> Result<()> {
    let gateway = Gateway::build("xdp", TRAFFIC)?;
    let file = gateway.enforcing(&[A])?;
    let other = gateway.agent.with_instance("other");
    other.command(["apply", &file.to_string_lossy()])?.ok()?;
    let refused = gateway.apply(&file, &[])?.refused()?;
    println!("{}", refused.stderr);
    assert!(refused.stderr.contains("native XDP is refused: program ingress_xdp (id "), "{refused}");
    assert!(!gateway.agent.pins().exists(), "a first start that reaches no interface leaves nothing");
    Ok(())
}

#[test]
fn nothing_is_mounted_at_the_pins() -> Result<()> {
    let gateway = Gateway::build("tc", TRAFFIC)?;
    let file = gateway.enforcing(&[A])?;
    let agent = gateway.agent.with_bpffs(&gateway.lab.dir().join("no-bpffs"));
    for words in [["apply", &*file.to_string_lossy()].as_slice(), &["run", "--host", &file.to_string_lossy()]]
    {
        let refused = agent.command(words)?.refused()?;
        assert!(refused.stderr.contains("is on no bpffs") && refused.code == Some(2), "{refused}");
    }
    assert_eq!(gateway.open()?, PORTS);
    Ok(())
}

/// Pins that vanish are not a `detach`: enforcement is made anew, and says so.
#[test]
fn pins_that_vanish_are_made_anew() -> Result<()> {
    let (gateway, daemon) = start("tc", &[])?;
    mended(&gateway, &daemon, "the pins are removed", "pins", "the pins are gone", || {
        for kind in ["links", "programs", "maps"] {
            fs::remove_dir_all(gateway.agent.pins().join(kind))?;
        }
        Ok(())
    })
}

#[test]
fn a_full_disk_changes_nothing() -> Result<()> {
    let gateway = Gateway::build("tc", TRAFFIC)?;
    let first = gateway.enforcing(&[A])?;
    gateway.apply(&first, &[])?.ok()?;
    let state = gateway.agent.state_dir();
    let disk = Disk::over(&state)?;
    disk.fill()?;
    for words in [["apply", &*gateway.enforcing(&[B])?.to_string_lossy()].as_slice(), &["observe"]] {
        let refused = gateway.agent.command(words)?.refused()?;
        assert!(
            refused.stderr.contains("cannot write") && refused.stderr.contains("No space left"),
            "{refused}"
        );
        assert_eq!((gateway.open()?, gateway.states()?), (vec![A], vec!["enforcing-tc".into(); 2]));
    }
    disk.empty()?;
    gateway.apply(&gateway.enforcing(&[B])?, &[])?.ok()?;
    assert_eq!(gateway.open()?, [B]);
    assert!(gateway.last_good()?.contains("tcp-4432"));
    Ok(())
}

/// A small disk in the place of a folder, with what the folder held.
struct Disk {
    folder: std::path::PathBuf,
}

impl Disk {
    fn over(folder: &Path) -> Result<Self> {
        let held: Vec<_> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        let held: Vec<_> =
            held.into_iter().map(|path| Ok((fs::read(&path)?, path))).collect::<Result<_>>()?;
        nix::mount::mount(
            Some("tmpfs"),
            folder,
            Some("tmpfs"),
            nix::mount::MsFlags::empty(),
            Some("size=64k"),
        )?;
        let disk = Self { folder: folder.to_owned() };
        for (bytes, path) in held {
            fs::write(path, bytes)?;
        }
        Ok(disk)
    }

    fn fill(&self) -> Result<()> {
        let full = fs::write(self.folder.join("ballast"), vec![0; 1 << 20]);
        ensure!(full.is_err(), "it is not full");
        Ok(())
    }

    fn empty(&self) -> Result<()> {
        Ok(fs::remove_file(self.folder.join("ballast"))?)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(error) = nix::mount::umount(&self.folder) {
            eprintln!("{}: {error}", self.folder.display());
        }
    }
}

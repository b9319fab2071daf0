//! The lab itself: real traffic between real hosts, and nothing left behind. Needs root.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use portreeve_tests::lab::{self, Host, Lab, Port, Resolver, TimeServer, Web};

/// Two hosts on a switch, with both address families.
fn pair(lab: &Lab) -> Result<(Host, Host)> {
    let edge = lab.host("edge").interface("enp2s0").addr("192.0.2.10/24").addr("2001:db8:1::10/64").up()?;
    let iem = lab.host("iem").addr("192.0.2.20/24").addr("2001:db8:1::20/64").resolver("192.0.2.20").up()?;
    Ok((edge, iem))
}

#[test]
fn hosts_on_a_switch_reach_each_other() -> Result<()> {
    let lab = Lab::new()?;
    let (edge, iem) = pair(&lab)?;
    lab::ping(&iem, "192.0.2.10")?.ok()?;
    lab::ping(&edge, "2001:db8:1::20")?.ok()?;
    lab::ping(&edge, "192.0.2.99")?.refused()?;
    Ok(())
}

#[test]
fn a_router_and_a_cable_lead_to_another_network() -> Result<()> {
    let lab = Lab::new()?;
    let router = lab.host("router").interface("plant").addr("192.0.2.1/24").forwards().up()?;
    let edge = lab.host("edge").addr("192.0.2.10/24").route("default", "192.0.2.1").up()?;
    let far = lab.host("far").interface("eth0").mac("02:00:00:00:00:07").plain().wired_to(&router, "wan");
    let far = far.addr("203.0.113.9/24").route("default", "203.0.113.1").up()?;
    router.run(["ip", "address", "add", "203.0.113.1/24", "dev", "wan"])?.ok()?;
    lab::ping(&edge, "203.0.113.9")?.ok()?;
    let link = far.run(["ip", "link", "show", "eth0"])?.ok()?.stdout;
    assert!(link.contains("02:00:00:00:00:07"), "{link}");
    let offloads = far.run(["ethtool", "-k", "eth0"])?.ok()?.stdout;
    assert!(offloads.contains("tx-checksumming: off"), "{offloads}");
    assert!(offloads.contains("generic-segmentation-offload: off"), "{offloads}");
    Ok(())
}

#[test]
fn servers_answer_and_a_scan_sees_them() -> Result<()> {
    let lab = Lab::new()?;
    let (edge, iem) = pair(&lab)?;
    let _web = Web::new(&edge, "edge ui").https(443).http(8080).start()?;
    let _names = Resolver::new(&iem)
        .name("edge.example", "192.0.2.10")
        .name("edge.example", "2001:db8:1::10")
        .start()?;
    let _time = TimeServer::start(&iem)?;
    assert_eq!(lab::fetch(&iem, "https://edge.example/")?.ok()?.stdout, "edge ui\n");
    assert_eq!(lab::fetch(&iem, "http://[2001:db8:1::10]:8080/")?.ok()?.stdout, "edge ui\n");
    lab::fetch(&iem, "https://192.0.2.10:444/")?.refused()?;
    assert_eq!(lab::lookup(&edge, "192.0.2.20", "edge.example", "A")?.ok()?.stdout, "192.0.2.10\n");
    assert_eq!(lab::lookup(&edge, "192.0.2.20", "edge.example", "AAAA")?.ok()?.stdout, "2001:db8:1::10\n");
    lab::offset(&edge, "192.0.2.20")?.ok()?;
    let ports = lab::scan(&iem, "192.0.2.10", &[443, 444, 8080])?;
    assert_eq!(ports, [(443, Port::Open), (444, Port::Closed), (8080, Port::Open)].into());
    Ok(())
}

#[test]
fn a_server_that_fails_says_why() -> Result<()> {
    let lab = Lab::new()?;
    let (edge, _) = pair(&lab)?;
    let error = edge.spawn(["sh", "-c", "echo no such luck >&2; exit 3"])?.listening("tcp", 443).unwrap_err();
    let error = format!("{error:#}");
    assert!(error.contains("no such luck") && error.contains("exit status: 3"), "{error}");
    Ok(())
}

#[test]
fn a_command_that_hangs_is_ended() -> Result<()> {
    let lab = Lab::new()?;
    let (edge, _) = pair(&lab)?;
    let error = edge.run_within(Duration::from_millis(300), ["sleep", "60"]).unwrap_err();
    assert!(error.to_string().contains("`sleep 60` did not end within 0.3 s"), "{error}");
    Ok(())
}

#[test]
fn its_bpffs_is_seen_in_every_host() -> Result<()> {
    let lab = Lab::new()?;
    let (edge, _) = pair(&lab)?;
    let kind = edge.run(["stat", "-f", "-c", "%T", &lab.bpffs().to_string_lossy()])?.ok()?;
    assert_eq!(kind.stdout.trim(), "bpf_fs");
    Ok(())
}

#[test]
fn foreign_addresses_are_refused() -> Result<()> {
    let lab = Lab::new()?;
    let error = lab.host("edge").addr("10.0.0.1/8").up().unwrap_err();
    assert!(format!("{error:#}").contains("documentation network"), "{error:#}");
    Ok(())
}

#[test]
fn dropping_leaves_nothing() -> Result<()> {
    let lab = Lab::new()?;
    let (edge, iem) = pair(&lab)?;
    let server = Web::new(&edge, "edge ui").https(443).start()?;
    // A grandchild that nobody waits for.
    edge.run(["sh", "-c", "setsid sleep 300 >/dev/null 2>&1 &"])?.ok()?;
    let traces = Traces::of(&lab, &[&edge, &iem], server.pid());
    assert!(traces.all_there(), "{traces:?}");
    drop((server, edge, iem, lab));
    assert!(traces.all_gone(), "{traces:?}");
    Ok(())
}

#[test]
fn a_panic_leaves_nothing() -> Result<()> {
    let (tell, told) = std::sync::mpsc::channel();
    let panicked = std::thread::spawn(move || {
        let lab = Lab::new().unwrap();
        let (edge, iem) = pair(&lab).unwrap();
        let server = Web::new(&edge, "edge ui").http(80).start().unwrap();
        tell.send(Traces::of(&lab, &[&edge, &iem], server.pid())).unwrap();
        panic!("on purpose");
    });
    let traces = told.recv()?;
    assert!(panicked.join().is_err());
    assert!(traces.all_gone(), "{traces:?}");
    Ok(())
}

/// Signals end a process, so another one stands in its lab and waits for them.
#[test]
fn a_signal_leaves_nothing() -> Result<()> {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let (mut other, id) = other_process()?;
        kill(Pid::from_raw(other.id().try_into()?), signal)?;
        assert_eq!(other.wait()?.signal(), Some(signal as i32), "{signal}");
        assert_eq!(left_of(&id), Vec::<String>::new(), "{signal}");
    }
    Ok(())
}

#[test]
fn the_next_run_sweeps_up_after_one_that_was_killed() -> Result<()> {
    let (mut other, id) = other_process()?;
    other.kill()?;
    other.wait()?;
    assert!(left_of(&id).len() >= 3, "{:?}", left_of(&id));
    lab::sweep()?;
    assert_eq!(left_of(&id), Vec::<String>::new());
    Ok(())
}

/// Another process once its lab stands, and the lab's id.
fn other_process() -> Result<(Child, String)> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lab")).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line)?;
    let (id, _) = line.split_once(' ').context("the other process has no lab")?;
    Ok((child, id.to_owned()))
}

/// What is left of a lab: namespaces, folders, mounts, processes.
fn left_of(id: &str) -> Vec<String> {
    let mut left = Vec::new();
    for folder in ["/run/netns", "/run/portreeve-lab", "/etc/netns"] {
        let names = fs::read_dir(folder).into_iter().flatten().flatten();
        let names = names.map(|entry| entry.path().display().to_string());
        left.extend(names.filter(|name| name.contains(id)));
    }
    let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
    left.extend(mounts.lines().filter(|line| line.contains(&format!("/{id}/"))).map(str::to_owned));
    left
}

#[derive(Debug)]
struct Traces {
    id: String,
    namespaces: Vec<String>,
    server: u32,
}

impl Traces {
    fn of(lab: &Lab, hosts: &[&Host], server: u32) -> Self {
        Self {
            id: lab.id().to_owned(),
            namespaces: hosts.iter().map(|host| host.namespace()).collect(),
            server,
        }
    }

    fn all_there(&self) -> bool {
        let namespaces = self.namespaces.iter().all(|name| Path::new("/run/netns").join(name).exists());
        namespaces && self.server_lives() && left_of(&self.id).iter().any(|line| line.contains(" bpf "))
    }

    fn all_gone(&self) -> bool {
        left_of(&self.id).is_empty() && !self.server_lives()
    }

    fn server_lives(&self) -> bool {
        Path::new("/proc").join(self.server.to_string()).exists()
    }
}

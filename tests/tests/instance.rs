//! A running instance between real hosts: it outlives its daemon, refuses what is broken, and leaves nothing behind.

mod site;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use portreeve_tests::lab::{self, PATIENCE, Port, wait_for};
use serde_json::Value;
use site::{EDGE, FORGOTTEN, HOST, Hook, Site, UI, list};

#[test]
fn enforcement_goes_on_without_the_daemon() -> Result<()> {
    for hook in Hook::ALL {
        let mut site = Site::build(hook)?;
        site.agent.command(["enforce"])?.ok()?;
        let before = site.json("status")?;
        site.daemon.signal(Signal::SIGKILL)?;
        site.daemon.wait(PATIENCE)?;

        site.page(&site.operator, UI)?.ok()?;
        let ports = lab::scan(&site.intruder, EDGE, &[22, UI, FORGOTTEN])?;
        assert!(ports.values().all(|port| *port == Port::Filtered), "{hook:?}: {ports:?}");

        let after = site.json("status")?;
        assert_eq!(after["daemon"], false);
        for same in ["generation", "digest", "interfaces"] {
            assert_eq!(before[same], after[same], "{hook:?}: {same}");
        }
        let states: Vec<_> = list(&after, "interfaces")?.iter().map(|row| &row["state"]).collect();
        assert_eq!(states, hook.enforcing());
        assert!(site.port("ingress", FORGOTTEN)?.dropped > 0);
        site.agent.command(["flows"])?.ok()?;
    }
    Ok(())
}

#[test]
fn would_drops_become_drops() -> Result<()> {
    for hook in Hook::ALL {
        let site = Site::build(hook)?;
        site.page(&site.intruder, FORGOTTEN)?.ok()?;
        let observed = site.port("ingress", FORGOTTEN)?;
        assert!(observed.would_drop > 0 && observed.dropped == 0, "{hook:?}: {observed:?}");

        site.agent.command(["enforce"])?.ok()?;
        site.page(&site.intruder, FORGOTTEN)?.refused()?;
        let enforced = site.port("ingress", FORGOTTEN)?;
        assert_eq!(enforced.would_drop, observed.would_drop, "{hook:?}");
        assert!(enforced.dropped > 0, "{hook:?}: {enforced:?}");

        site.agent.command(["observe"])?.ok()?;
        site.page(&site.intruder, FORGOTTEN)?.ok()?;
        let again = site.port("ingress", FORGOTTEN)?;
        assert_eq!(again.dropped, enforced.dropped, "{hook:?}");
        assert!(again.would_drop > enforced.would_drop, "{hook:?}: {again:?}");
    }
    Ok(())
}

#[test]
fn metrics_agree_with_drops() -> Result<()> {
    let site = Site::build(Hook::Xdp)?;
    let scanned: Vec<u16> = (1..=200).collect();
    lab::scan(&site.intruder, EDGE, &scanned)?;
    site.agent.command(["enforce"])?.ok()?;
    lab::scan(&site.intruder, EDGE, &scanned)?;
    site.page(&site.intruder, UI)?.refused()?;
    // A host alone says things too (neighbour discovery), so only two equal readings have the metrics between them.
    let mut read = None;
    wait_for("a quiet moment", PATIENCE, || {
        let before = site.json("drops")?;
        let metrics = site.agent.metrics()?;
        let after = site.json("drops")?;
        let quiet = ["ports", "reasons"].iter().all(|counts| before[counts] == after[counts]);
        read = quiet.then_some((before, metrics));
        Ok(quiet)
    })?;
    let (drops, metrics) = read.context("no reading")?;
    assert!(metrics.contains("port=\"other\""), "200 ports have series of their own");
    let page = include_str!("../../docs/metrics.md");
    for name in metrics.lines().filter_map(|line| line.split(['{', ' ']).next()) {
        assert!(
            !name.starts_with("portreeve_") || page.contains(&format!("`{name}`")),
            "{name} is in no page"
        );
    }
    let unused = "portreeve_dropped_packets_total{direction=\"ingress\",protocol=\"tcp\",port=\"443\"} ";
    assert!(metrics.contains(unused), "a documented port has its series before it has drops:\n{metrics}");
    for direction in ["ingress", "egress"] {
        for protocol in ["tcp", "udp"] {
            let here = |row: &&Value| row["direction"] == direction && row["protocol"] == protocol;
            let labels = [format!("direction=\"{direction}\""), format!("protocol=\"{protocol}\"")];
            for (counter, name) in [
                ("dropped", "portreeve_dropped_packets_total"),
                ("would_drop", "portreeve_would_drop_packets_total"),
            ] {
                let counts = list(&drops, "ports")?.iter().filter(here).map(|row| row[counter].as_u64());
                let sum: u64 = counts.flatten().sum();
                assert_eq!(sum, sum_of(&metrics, name, &labels)?, "{counter} {direction} {protocol}");
                assert!(
                    sum > 0 || (direction, protocol) != ("ingress", "tcp"),
                    "{counter}: nothing to compare"
                );
            }
        }
    }
    for row in list(&drops, "reasons")? {
        let label = |name: &str| format!("{name}={}", row[name]);
        let labels = ["interface", "direction", "reason"].map(label);
        for (counter, name) in [
            ("packets", "portreeve_drop_reason_packets_total"),
            ("would_drop_packets", "portreeve_would_drop_reason_packets_total"),
        ] {
            assert_eq!(row[counter].as_u64(), Some(sum_of(&metrics, name, &labels)?), "{counter}: {row}");
        }
    }
    Ok(())
}

/// What the series with this name and these labels add up to.
fn sum_of(metrics: &str, name: &str, labels: &[String]) -> Result<u64> {
    let start = format!("{name}{{");
    let lines = metrics.lines().filter(|line| line.starts_with(&start));
    let samples = lines.filter(|line| labels.iter().all(|label| line.contains(label)));
    samples.map(|line| Ok(line.rsplit(' ').next().context("no value")?.parse::<u64>()?)).sum()
}

/// A change to the host file that breaks it, and what has to be said about that.
struct Broken {
    what: &'static str,
    find: &'static str,
    put: &'static str,
    says: &'static [&'static str],
}

const fn broken(
    what: &'static str,
    find: &'static str,
    put: &'static str,
    says: &'static [&'static str],
) -> Broken {
    Broken { what, find, put, says }
}

const BROKEN: [Broken; 6] = [
    broken("unknown role", "role = \"ied\"", "role = \"ide\"", &["host.toml:12:8", "`ide`", "`ied`"]),
    broken("unknown option", "offering =", "ofering =", &["host.toml:13:13", "`ofering`", "`offering`"]),
    broken(
        "unknown peer",
        "dns_servers =",
        "dns_server =",
        &["host.toml:15:", "`dns_server`", "`dns_servers`"],
    ),
    broken("wrong type", "port = 8883", "port = true", &["host.toml:24:8", "port"]),
    broken("prefix out of range", "\"192.0.2.0/24\"", "\"192.0.2.0/33\"", &["host.toml:16:", "192.0.2.0/33"]),
    broken("port 70000", "port = 8883", "port = 70000", &["host.toml:24:8", "70000", "65535"]),
];

#[test]
fn broken_host_files_change_nothing() -> Result<()> {
    let mut site = Site::build(Hook::Xdp)?;
    site.agent.command(["enforce"])?.ok()?;
    let before = site.json("status")?;
    for with_daemon in [true, false] {
        if !with_daemon {
            site.daemon.signal(Signal::SIGKILL)?;
            site.daemon.wait(PATIENCE)?;
        }
        for Broken { what, find, put, says } in BROKEN {
            ensure!(HOST.contains(find), "{find:?} is not in the host file");
            site.refuses(what, &site.file(&HOST.replacen(find, put, 1), 0o600)?, says)?;
        }
        let enforcing = HOST.replace("\"observe\"", "\"enforce\"").replace("iem = [\"192.0.2.30\"]\n", "");
        site.refuses("missing required peer", &site.file(&enforcing, 0o600)?, &["host.toml:12:8", "`iem`"])?;
        let allow = HOST.split_once("[[allow]]").context("no [[allow]]")?.1;
        let twice = format!("{HOST}\n[[allow]]{allow}");
        site.refuses("duplicate id", &site.file(&twice, 0o600)?, &["host.toml:29:6", "`SITE-1`"])?;
        let others = site.file(HOST, 0o666)?;
        site.refuses("file that others can write", &others, &["can be written by others", "chmod go-w"])?;
        site.refuses("empty file", &site.file("", 0o600)?, &["host.toml:1:1", "no role and no [[allow]]"])?;
        let missing = site.lab.dir().join("absent.toml");
        site.refuses("unreadable file", &missing, &["cannot open", "absent.toml", "No such file"])?;
        site.refuses("folder", site.lab.dir(), &["is not a regular file"])?;

        let after = site.json("status")?;
        for same in ["generation", "digest", "rules", "interfaces"] {
            assert_eq!(before[same], after[same], "{same}, with a daemon: {with_daemon}");
        }
        site.page(&site.operator, UI)?.ok()?;
        site.page(&site.intruder, FORGOTTEN)?.refused()?;
    }
    Ok(())
}

#[test]
fn detach_leaves_nothing() -> Result<()> {
    for hook in Hook::ALL {
        for killed in [false, true] {
            let mut site = Site::build(hook)?;
            site.agent.command(["enforce"])?.ok()?;
            if killed {
                site.daemon.signal(Signal::SIGKILL)?;
                site.daemon.wait(PATIENCE)?;
            }
            let objects = site.objects()?;
            let kinds: Vec<_> = objects.iter().map(|object| object.kind).collect();
            for kind in ["link", "prog", "map"] {
                assert!(kinds.contains(&kind), "{kinds:?}");
            }
            site.agent.command(["detach"])?.ok()?;
            assert!(!site.pins().exists(), "{hook:?}: {} is left", site.pins().display());
            let link = site.edge.run(["ip", "-d", "link", "show", site::INTERFACE])?.ok()?.stdout;
            assert!(!link.contains("xdp"), "{link}");
            let qdiscs = site.edge.run(["tc", "qdisc", "show"])?.ok()?.stdout;
            assert!(!qdiscs.contains("clsact") && !qdiscs.contains("ingress"), "{qdiscs}");
            wait_for("the daemon has nothing left to watch", PATIENCE, || {
                Ok(site.daemon.ended()?.is_some())
            })?;
            // The kernel frees them a moment later.
            wait_for("programs, links and maps are gone", PATIENCE, || site::all_gone(&site.edge, &objects))?;
            site.page(&site.intruder, FORGOTTEN)?.ok()?;
        }
    }
    Ok(())
}

//! A SYN flood of a million forged sources at an allowed port, while a thousand real connections keep exchanging bytes:
//! none is cut. The same flood against the kernel's own connection tracking, for comparison. Needs root.

mod gate;

use std::{fs, net::Ipv6Addr, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use portreeve_tests::{
    frame::{HOST_MAC, frame},
    lab::{self, Host, Lab, PATIENCE, Server, wait_for},
    traffic::Report,
};

use gate::{EDGE_V6, Gate, HOOKS, INTERFACE};

const FORGED: u32 = 1_000_000;
const CONNECTIONS: usize = 1_000;
const TRAFFIC: &str = env!("CARGO_BIN_EXE_traffic");
const SERVER: &str = "[2001:db8:1::10]:443";
/// The forged sources are of this network; what the edge device answers goes to the flooder, who takes no notice.
const FORGED_NETWORK: &str = "2001:db8:bad::/48";
const FLOODER: &str = "2001:db8:1::66";

const RULES: &str = r#"
[[allow]]
id = "WEB"
direction = "ingress"
protocol = "tcp"
port = 443
peers = "any"
reason = "user interface"
"#;

/// Stateful as one would write it with nftables.
const NFTABLES: &str = "table inet filter {
  chain input { type filter hook input priority 0; policy drop;
    ct state established,related accept
    iif lo accept
    meta l4proto ipv6-icmp accept
    tcp dport 443 ct state new accept
  }
  chain output { type filter hook output priority 0; policy accept;
    ct state established,related,new accept
  }
}
";

struct Plant {
    lab: Lab,
    edge: Host,
    operator: Host,
    flooder: Host,
    _echo: Server,
}

impl Plant {
    fn build() -> Result<Self> {
        let lab = Lab::new()?;
        let mac = HOST_MAC.map(|byte| format!("{byte:02x}")).join(":");
        let edge = lab.host("edge").interface(INTERFACE).mac(&mac).addr("2001:db8:1::10/64");
        let edge = edge.route(FORGED_NETWORK, FLOODER).up()?;
        let operator = lab.host("operator").addr("2001:db8:1::20/64").up()?;
        let flooder = lab.host("flooder").addr("2001:db8:1::66/64").up()?;
        let mut echo = edge.spawn([TRAFFIC, "serve", SERVER, "--seconds", "600"])?;
        echo.wait_until("listens", PATIENCE, |server| Ok(server.log()?.contains("443")))?;
        Ok(Self { lab, edge, operator, flooder, _echo: echo })
    }

    /// The connections' report: the flood begins when all of them stand, and ends before they do.
    fn flooded(&self, flood: &Path) -> Result<Report> {
        let count = CONNECTIONS.to_string();
        let words = ["run", SERVER, "--connections", &count, "--rounds", "1000000", "--bytes", "400"];
        let more = ["--pause", "500", "--patience", "20000", "--seconds", "600"];
        let mut traffic = self.operator.spawn([TRAFFIC].into_iter().chain(words).chain(more))?;
        traffic.wait_until("all connections stand", PATIENCE, |_| Ok(self.established()? >= CONNECTIONS))?;
        let sent = lab::send_capture(&self.flooder, "eth0", flood)?.ok()?;
        println!("{}", sent.stdout.lines().take(2).collect::<Vec<_>>().join("; "));
        ensure!(traffic.ended()?.is_none(), "the connections ended before the flood did");
        // What was answered before tells nothing: each has to exchange more after it.
        std::thread::sleep(Duration::from_secs(2));
        traffic.signal(Signal::SIGTERM)?;
        traffic.wait(PATIENCE)?;
        serde_json::from_str(traffic.log()?.trim()).context("not a report")
    }

    fn established(&self) -> Result<usize> {
        let words = ["ss", "-Htn", "state", "established", "sport", "=", ":443"];
        Ok(self.edge.run(words)?.ok()?.stdout.lines().count())
    }

    /// Whether one more connection comes through now.
    fn connects(&self) -> Result<bool> {
        let once = ["run", SERVER, "--connections", "1", "--rounds", "1", "--patience", "3000"];
        Ok(self.operator.run([TRAFFIC].into_iter().chain(once))?.success())
    }
}

/// SYNs, each from an address of its own.
fn flood(file: &Path) -> Result<()> {
    let network = u128::from("2001:db8:bad::".parse::<Ipv6Addr>()?);
    let syn = |number: u32| {
        let source = Ipv6Addr::from(network | u128::from(number).rotate_left(24) & !(u128::MAX << 80));
        let port = u16::try_from(1_024 + number % 60_000).unwrap_or(1_024);
        frame().from((source.into(), port)).to((EDGE_V6.parse().expect("an address"), 443)).tcp("S").bytes()
    };
    lab::write_capture(file, (0..FORGED).map(syn))
}

#[test]
fn a_flood_cuts_no_connection() -> Result<()> {
    let folder = Lab::new()?;
    let file = folder.dir().join("flood.pcap");
    flood(&file)?;
    for hook in HOOKS {
        let plant = Plant::build()?;
        let gate = Gate::close(&plant.lab, &plant.edge, hook, RULES)?;
        let report = plant.flooded(&file)?;
        let connects = plant.connects()?;
        println!("portreeve by {hook}: {report:?}; another connection after it: {connects}");
        ensure!(report.flawless(), "{hook}: {report:?}");
        ensure!(report.connections == CONNECTIONS as u64 && connects, "{hook}: {report:?}");
        let passed = gate.json("flows")?;
        ensure!(passed.to_string().contains("WEB"), "{passed}");
    }
    tracked(&file).context("the kernel's own connection tracking")
}

/// What the kernel's own connection tracking makes of it: told, not judged.
fn tracked(file: &Path) -> Result<()> {
    let plant = Plant::build()?;
    let rules = plant.lab.dir().join("rules.nft");
    fs::write(&rules, NFTABLES)?;
    plant.edge.run(["nft", "-f", &rules.to_string_lossy()])?.ok()?;
    let report = plant.flooded(file)?;
    let connects = plant.connects()?;
    let read = |name: &str| -> Result<String> {
        let path = format!("/proc/sys/net/netfilter/nf_conntrack_{name}");
        Ok(plant.edge.run(["cat", &path])?.ok()?.stdout.trim().to_owned())
    };
    println!(
        "nftables with state: {report:?}; another connection after it: {connects}; {} of {} entries taken",
        read("count")?,
        read("max")?
    );
    let statistics = plant.edge.run(["cat", "/proc/net/stat/nf_conntrack"])?.ok()?.stdout;
    println!("{}", summed(&statistics));
    wait_for("the connections end", PATIENCE, || Ok(plant.established()? == 0))
}

/// The columns that say what was lost, added up over the processors.
fn summed(statistics: &str) -> String {
    let mut lines = statistics.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let names = lines.next().unwrap_or_default();
    let rows: Vec<_> = lines.collect();
    let sum = |column: usize| {
        rows.iter().filter_map(|row| u64::from_str_radix(row.get(column)?, 16).ok()).sum::<u64>()
    };
    let told =
        names.iter().enumerate().filter(|(_, name)| ["insert_failed", "drop", "early_drop"].contains(name));
    told.map(|(column, name)| format!("{name} {}", sum(column))).collect::<Vec<_>>().join(", ")
}

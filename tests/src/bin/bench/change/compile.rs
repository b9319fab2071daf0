//! Many flows from text to tables, beside `nft` checking the same rules: each in a process of its own, for its peak.

use std::{
    env,
    fmt::{self, Write as _},
    io::Write as _,
    net::Ipv6Addr,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;
use nix::sys::resource::{UsageWho, getrusage};
use serde::Serialize;

use crate::{goal::median, policy};

/// Flows, and prefixes: one a flow.
const FLOWS: u32 = 10_000;
/// Of a flow with many.
const PEERS: u32 = 100;
/// An odd number of runs has a median.
const RUNS: usize = 5;

/// Who compiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Compiler {
    /// This workspace, from a host file's text to the tables.
    Portreeve,
    /// `nft -c -f` of one set, which is its quickest form.
    NftSet,
    /// `nft -c -f` of a rule a flow.
    NftRules,
}

/// Medians over some processes.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Compiled {
    /// Who.
    pub(crate) by: String,
    /// From the text on.
    pub(crate) milliseconds: f64,
    /// The largest resident set of the process.
    pub(crate) peak_mebibytes: f64,
}

impl fmt::Display for Compiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Portreeve => "portreeve",
            Self::NftSet => "nft -c -f, one set",
            Self::NftRules => "nft -c -f, a rule a flow",
        })
    }
}

/// Interleaved runs of all of them.
pub(crate) fn all() -> Result<Vec<Compiled>> {
    let mut runs: Vec<(Compiler, Vec<(f64, f64)>)> =
        Compiler::value_variants().iter().map(|by| (*by, Vec::new())).collect();
    for _ in 0..RUNS {
        for (by, figures) in &mut runs {
            figures.push(apart(*by)?);
        }
    }
    let medians = runs.into_iter().map(|(by, figures)| Compiled {
        by: by.to_string(),
        milliseconds: median(figures.iter().map(|(milliseconds, _)| *milliseconds)),
        peak_mebibytes: median(figures.iter().map(|(_, peak)| *peak)),
    });
    Ok(medians.collect())
}

/// One run, in a process of its own.
fn apart(by: Compiler) -> Result<(f64, f64)> {
    let word = by.to_possible_value().context("a compiler has a word")?;
    let run = Command::new(env::current_exe()?).args(["--compile", word.get_name()]).output()?;
    ensure!(run.status.success(), "{by}: {}", String::from_utf8_lossy(&run.stderr));
    let text = String::from_utf8(run.stdout)?;
    let (milliseconds, peak) = text.trim().split_once(' ').context("no figures")?;
    Ok((milliseconds.parse()?, peak.parse()?))
}

/// What such a process does: milliseconds and mebibytes on standard output.
pub(crate) fn one(by: Compiler) -> Result<()> {
    let (milliseconds, who) = match by {
        Compiler::Portreeve => (portreeve()?, UsageWho::RUSAGE_SELF),
        Compiler::NftSet => (nft(&set(0))?, UsageWho::RUSAGE_CHILDREN),
        Compiler::NftRules => (nft(&rules())?, UsageWho::RUSAGE_CHILDREN),
    };
    // Linux counts in kibibytes (getrusage(2)).
    let peak = getrusage(who)?.max_rss() as f64 / 1024.0;
    println!("{milliseconds} {peak}");
    Ok(())
}

/// A port and a peer.
fn flow(number: u32) -> (u32, Ipv6Addr) {
    let first = u128::from(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0));
    (1_024 + number % 50_000, Ipv6Addr::from(first + u128::from(number) * 7))
}

/// A host file with a flow for each port and peer; `first` makes it differ.
pub(super) fn flows(head: &str, first: u32) -> String {
    let mut text = head.to_owned();
    for number in first..first + FLOWS {
        let (port, address) = flow(number);
        policy::allow(&mut text, &format!("R-{number}"), "tcp", port, &format!("[\"{address}\"]"));
    }
    text
}

/// A host file with as many pairs of ports and peers, in flows with a hundred peers each: what a set is.
pub(super) fn grouped(head: &str, first: u32) -> String {
    let mut text = head.to_owned();
    for group in 0..FLOWS / PEERS {
        let (port, _) = flow(first + group);
        let peers = (0..PEERS).map(|peer| format!("\"{}\"", flow(first + group * PEERS + peer).1));
        let peers = peers.collect::<Vec<_>>().join(", ");
        policy::allow(&mut text, &format!("G-{group}"), "tcp", port, &format!("[{peers}]"));
    }
    text
}

fn portreeve() -> Result<f64> {
    let (image, took) = policy::compile(&flows(policy::HEAD, 0))?;
    ensure!(image.flows.len() == FLOWS as usize, "{} flows", image.flows.len());
    Ok(took.as_secs_f64() * 1e3)
}

/// For `nft -f`: one set of ports and peers.
pub(super) fn set(first: u32) -> String {
    let mut text =
        "table inet bench {\nset allowed {\ntype inet_service . ipv6_addr\nelements = {\n".to_owned();
    for number in first..first + FLOWS {
        let (port, address) = flow(number);
        // A string takes everything.
        let _written = writeln!(text, "{port} . {address},");
    }
    text + "}\n}\nchain input {\ntype filter hook input priority 0;\ntcp dport . ip6 saddr @allowed accept\n}\n}\n"
}

fn rules() -> String {
    let mut text = "table inet bench {\nchain input {\ntype filter hook input priority 0;\n".to_owned();
    for number in 0..FLOWS {
        let (port, address) = flow(number);
        let _written = writeln!(text, "tcp dport {port} ip6 saddr {address} accept");
    }
    text + "}\n}\n"
}

fn nft(text: &str) -> Result<f64> {
    let begun = Instant::now();
    let mut nft = Command::new("nft").args(["-c", "-f", "-"]).stdin(Stdio::piped()).spawn()?;
    nft.stdin.take().context("nft has no standard input")?.write_all(text.as_bytes())?;
    ensure!(nft.wait()?.success(), "nft refuses the rules");
    Ok(begun.elapsed().as_secs_f64() * 1e3)
}

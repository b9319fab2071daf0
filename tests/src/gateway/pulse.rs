//! Traffic that runs while something happens to the agent, and what became of it.

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::{EDGE, Gateway, PORTS};
use crate::{
    lab::{PATIENCE, Server},
    traffic::Report,
};

/// Traffic that runs while something happens to the agent: streams and datagrams of the operator, of which no byte may
/// be lost, and datagrams of the intruder, of which none may get through.
pub struct Pulse {
    allowed: Vec<Server>,
    forbidden: Server,
    ping: Option<Server>,
    before: u64,
}

/// What became of it.
#[derive(Debug)]
pub struct Beats {
    /// Messages of the operator that came back with every byte as it was.
    pub answered: u64,
    /// Messages of the intruder, none of which came back.
    pub refused: u64,
    /// The longest that an answer took, in milliseconds.
    pub slowest_ms: u64,
    /// Echoes that came back as they were sent.
    pub echoes: u64,
}

impl std::fmt::Display for Beats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { answered, refused, slowest_ms, echoes } = self;
        write!(
            f,
            "{answered} messages answered byte for byte, the slowest in {slowest_ms} ms, and {echoes} echoes; {refused} \
             forbidden ones dropped"
        )
    }
}

impl Pulse {
    /// Begins, to [`PORTS`]`[0]`.
    ///
    /// # Errors
    /// The traffic can't be started.
    pub fn start(gateway: &Gateway, traffic: &str) -> Result<Self> {
        let target = format!("{EDGE}:{}", PORTS[0]);
        let endless = ["--rounds", "1000000", "--seconds", "3000"];
        let run = |words: &[&str]| -> Vec<String> {
            let words = [traffic, "run", &target].into_iter().chain(words.iter().copied()).chain(endless);
            words.map(str::to_owned).collect()
        };
        let before = dropped(gateway)?;
        let tcp =
            gateway.operator.spawn(run(&["--connections", "4", "--patience", "20000", "--pause", "20"]))?;
        let udp = gateway.operator.spawn(run(&[
            "--udp",
            "--connections",
            "4",
            "--patience",
            "4000",
            "--pause",
            "20",
        ]))?;
        let quick = ["--udp", "--connections", "4", "--bytes", "64", "--patience", "10", "--pause", "10"];
        let forbidden = gateway.intruder.spawn(run(&quick))?;
        Ok(Self { allowed: vec![tcp, udp], forbidden, ping: None, before })
    }

    /// Lets the operator ping too, which the policies have to allow.
    ///
    /// # Errors
    /// It can't be started.
    pub fn with_ping(self, gateway: &Gateway) -> Result<Self> {
        // `ping` itself compares what comes back with what it has sent.
        let ping = gateway.operator.spawn(["ping", "-i", "0.05", "-s", "1400", EDGE])?;
        Ok(Self { ping: Some(ping), ..self })
    }

    /// Ends it, and says what became of it; every forbidden message has been counted.
    ///
    /// # Errors
    /// A message was lost or changed, a forbidden one came back, or the counters don't agree.
    pub fn stop(self, gateway: &Gateway) -> Result<Beats> {
        let before = self.before;
        let beats = self.beats()?;
        let counted = dropped(gateway)?.saturating_sub(before);
        ensure!(
            counted == beats.refused,
            "{} forbidden messages were sent, {counted} counted",
            beats.refused
        );
        Ok(beats)
    }

    /// Ends it, and says what became of it, where counting began anew meanwhile.
    ///
    /// # Errors
    /// A message was lost or changed, or a forbidden one came back.
    pub fn beats(self) -> Result<Beats> {
        let Self { allowed, forbidden, ping, before: _ } = self;
        let mut beats = Beats { answered: 0, refused: 0, slowest_ms: 0, echoes: 0 };
        if let Some(ping) = ping {
            beats.echoes = echoes(ping)?;
        }
        for server in allowed {
            let report = end(server)?;
            ensure!(report.flawless(), "allowed traffic suffered: {report:?}");
            beats.answered += report.answered;
            beats.slowest_ms = beats.slowest_ms.max(report.slowest_ms);
        }
        let report = end(forbidden)?;
        ensure!(report.sent > 0 && report.answered == 0, "forbidden traffic got through: {report:?}");
        beats.refused = report.sent;
        Ok(beats)
    }
}

/// Ends a `ping`; how many came back. The last one may be on its way.
fn echoes(mut ping: Server) -> Result<u64> {
    ping.signal(Signal::SIGINT)?;
    ping.wait(PATIENCE)?;
    let log = ping.log()?;
    let line = log.lines().find(|line| line.contains("packets transmitted")).context("no summary")?;
    let mut numbers = line.split(", ").filter_map(|part| part.split(' ').next()?.parse::<u64>().ok());
    let (sent, received) = numbers.next().zip(numbers.next()).with_context(|| line.to_owned())?;
    ensure!(received + 1 >= sent && received > 0 && !log.contains("wrong data"), "echoes suffered: {line}");
    Ok(received)
}

/// Asks it to end, and reads its report.
fn end(mut server: Server) -> Result<Report> {
    server.stop(PATIENCE)?;
    let log = server.log()?;
    let line = log.lines().last().context("no report")?;
    serde_json::from_str(line).with_context(|| format!("not a report: {log}"))
}

/// Datagrams to [`PORTS`]`[0]` that were dropped.
fn dropped(gateway: &Gateway) -> Result<u64> {
    let drops = gateway.json(&["drops"])?;
    let rows = drops["ports"].as_array().context("no ports")?;
    let here =
        |row: &&Value| row["direction"] == "ingress" && row["protocol"] == "udp" && row["port"] == PORTS[0];
    Ok(rows.iter().find(here).and_then(|row| row["dropped"].as_u64()).unwrap_or(0))
}

//! The acts: the same traffic under `observe` and under `enforce`, and what Portreeve must say of it.

use anyhow::{Context as _, Result, ensure};
use portreeve_tests::lab::{Agent, PATIENCE, wait_for};
use serde_json::Value;

use super::{
    plant::{EDGE, FORGOTTEN, INTERFACE, INTRUDER, OUTSIDE, Plant},
    report,
    traffic::{self, SCANNED},
};

/// Flows of the role that the traffic uses, and that must have been counted.
const USED: [&str; 5] = ["SIE-IED-01", "SIE-IED-02", "SIE-IED-03", "SIE-IED-04", "SIE-IED-07"];

/// The exit code of `drift` when it has found some.
const DRIFT: i32 = 1;
/// Exit code of `enforce` that is refused.
const REFUSED: i32 = 2;

/// Where ingress is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    /// In the driver.
    Xdp,
    /// In the traffic control layer.
    Tc,
}

impl Hook {
    /// The host file's word.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Xdp => "xdp",
            Self::Tc => "tc",
        }
    }

    /// A heading's words.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Xdp => "native XDP",
            Self::Tc => "TC",
        }
    }

    /// What `status` says of an enforced ingress.
    fn state(self) -> &'static str {
        match self {
            Self::Xdp => "enforcing-native",
            Self::Tc => "enforcing-tc",
        }
    }
}

/// What a drop means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// It is counted, and the packet passes.
    Observe,
    /// It is counted, and the packet is gone.
    Enforce,
}

impl Mode {
    /// The command line's word.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Enforce => "enforce",
        }
    }

    /// The counter of `drops --json` that moves.
    fn counter(self) -> &'static str {
        match self {
            Self::Observe => "would_drop",
            Self::Enforce => "dropped",
        }
    }
}

/// The stage of all acts.
pub(super) struct Act<'a> {
    pub(super) plant: &'a Plant,
    pub(super) agent: &'a Agent,
    pub(super) hook: Hook,
}

impl Act<'_> {
    /// Everything still passes, and Portreeve says what would not.
    pub(super) fn observe(&self) -> Result<()> {
        report::heading("Observe: nothing is dropped, everything is judged");
        self.stands("ingress", "observing")?;
        self.stands("egress", "observing")?;
        traffic::play(self.plant, Mode::Observe)?;
        report::shell(self.agent, &["status"])?;
        report::shell(self.agent, &["drops", "--top", "10"])?;
        self.counted(Mode::Observe)
    }

    /// Only what the document names passes.
    pub(super) fn enforce(&self) -> Result<()> {
        report::heading("Enforce: what is not documented does not pass");
        // While nothing was dropped, strangers used ports of required flows: that is what it asks about first.
        report::refused(self.agent, &["enforce"], REFUSED)?;
        report::shell(self.agent, &["enforce", "--force"])?;
        self.stands("ingress", self.hook.state())?;
        self.stands("egress", "enforcing-tc")?;
        traffic::play(self.plant, Mode::Enforce)?;
        report::shell(self.agent, &["status"])?;
        report::shell(self.agent, &["drops", "--top", "10"])?;
        report::shell_with_code(self.agent, &["drift"], DRIFT)?;
        report::shell(self.agent, &["flows"])?;
        self.counted(Mode::Enforce)?;
        self.exported()
    }

    /// Takes everything off; then the intruder gets through again, so it was Portreeve that stood there.
    pub(super) fn leave(&self) -> Result<()> {
        report::heading("Detach: as if it had never been there");
        report::shell(self.agent, &["detach"])?;
        traffic::play(self.plant, Mode::Observe)
    }

    /// Waits until an interface's direction is in this state.
    fn stands(&self, direction: &str, state: &str) -> Result<()> {
        let what = format!("{INTERFACE} {direction} is {state}");
        wait_for(&what, PATIENCE, || {
            let metrics = self.agent.metrics()?;
            let mut lines = metrics.lines().filter(|line| line.starts_with("portreeve_enforcement{"));
            let words = [INTERFACE, direction, state].map(|word| format!("=\"{word}\""));
            Ok(lines.any(|line| words.iter().all(|word| line.contains(word)) && report::value(line) == 1.0))
        })
    }

    /// `drops --json` has every undocumented attempt, and who made it.
    fn counted(&self, mode: Mode) -> Result<()> {
        let drops: Value = serde_json::from_str(&self.agent.command(["drops", "--json"])?.ok()?.stdout)
            .context("`portreeve drops --json` is not JSON")?;
        let scanned =
            SCANNED.into_iter().chain([FORGOTTEN]).map(|port| ("ingress", port, INTRUDER, "no-rule"));
        let others = [("ingress", 443, INTRUDER, "wrong-peer"), ("egress", 443, OUTSIDE, "wrong-peer")];
        for (direction, port, peer, reason) in scanned.chain(others) {
            let is = |entry: &&Value| {
                entry["direction"] == direction && entry["protocol"] == "tcp" && entry["port"] == port
            };
            let what = format!("{direction} tcp {port} from or to {peer} ({EDGE} is the host)");
            let counts =
                list(&drops, "ports")?.iter().find(is).with_context(|| format!("not in `drops`: {what}"))?;
            let count = counts[mode.counter()].as_u64().unwrap_or_default();
            ensure!(count > 0, "{} is 0 for {what}", mode.counter());
            if mode == Mode::Observe {
                ensure!(counts["dropped"] == 0, "dropped in observe: {what}");
            }
            let mut talkers = list(&drops, "talkers")?.iter().filter(is);
            let named = talkers.any(|talker| talker["peer"] == peer && talker["reason"] == reason);
            ensure!(named, "`drops` doesn't say who, or not that it was {reason}: {what}");
        }
        Ok(())
    }

    /// `/metrics` has the drops, the flows that were used, and what stands.
    fn exported(&self) -> Result<()> {
        let metrics = self.agent.metrics()?;
        for flow in USED {
            let label = format!("flow=\"{flow}\"");
            let mut samples =
                metrics.lines().filter(|line| line.starts_with("portreeve_flow_packets_total{"));
            let used = samples.any(|line| line.contains(&label) && report::value(line) > 0.0);
            ensure!(used, "/metrics has no packets for {flow}, which was used");
        }
        let names = [
            "portreeve_enforcement",
            "portreeve_dropped_packets_total",
            "portreeve_drop_reason_packets_total",
            "portreeve_flow_packets_total",
        ];
        report::series(&metrics, &names, 4);
        Ok(())
    }
}

fn list<'a>(drops: &'a Value, name: &str) -> Result<&'a Vec<Value>> {
    drops[name].as_array().with_context(|| format!("`drops --json` has no list {name}"))
}

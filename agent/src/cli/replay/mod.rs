//! `portreeve replay HOST.toml CAPTURE`: a capture judged packet by packet.

pub mod judge;
mod summary;

use std::{io, net::IpAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use ipnet::IpNet;
use portreeve_common::{Direction, clause::Interfaces};
use serde::Serialize;

use self::{
    judge::{Judge, JudgeError, Kernel, Simulated, TICKS_PER_SECOND, Verdict},
    summary::Summary,
};
use super::{
    CliError, CliResult, FAILED, Global, output,
    protected::{interfaces, protected},
};
use crate::{
    capture::{Capture, Frame},
    datapath::object::Sets,
    image::{Image, Slots},
    policy::{self, Policy},
};

/// Lines are written in pieces of this many bytes.
const PIECE: usize = 1 << 16;

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The host file
    #[arg(value_name = "HOST.toml")]
    pub host: PathBuf,
    /// A pcap or pcapng file
    #[arg(value_name = "CAPTURE")]
    pub capture: PathBuf,
    /// Print a line of JSON a packet
    #[arg(long)]
    pub json: bool,
    /// Judge in user space instead of in the kernel; needs no root
    #[arg(long)]
    pub simulate: bool,
    /// The interface of the capture; without it, flows that are bound to one are taken to use theirs
    #[arg(long, value_name = "NAME")]
    pub interface: Option<String>,
    /// The kernel program that judges what comes in
    #[arg(long, value_enum, value_name = "HOOK", default_value = "xdp", conflicts_with = "simulate")]
    pub hook: Ingress,
}

/// Where the kernel judges what comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Ingress {
    /// By XDP
    Xdp,
    /// By TC
    Tc,
}

/// What `replay --json` prints of a packet, in this order.
#[derive(Debug, Serialize)]
struct Line<'i> {
    n: u64,
    direction: &'static str,
    verdict: &'static str,
    reason: &'static str,
    flow: Option<&'i str>,
}

/// Prints the verdicts, or what they come to; exit code [`FAILED`] when the host file has errors.
///
/// # Errors
/// The packs or the capture can't be read; nobody takes the output.
pub fn run(global: &Global, args: &ReplayArgs) -> CliResult {
    let policy = match policy::load(&args.host, &global.catalogue()?) {
        Ok(policy) => policy,
        Err(report) => {
            output::show_refusal(&report, args.json);
            return Ok(ExitCode::from(FAILED));
        }
    };
    replay(args, &policy)
}

fn replay(args: &ReplayArgs, policy: &Policy) -> CliResult {
    let protected = protected(&policy.host)?;
    let own: Vec<IpAddr> = protected.iter().map(IpNet::addr).collect();
    let mut slots = Slots::default();
    let image = Image::compile(policy, &protected, &mut slots, TICKS_PER_SECOND)?;
    let interfaces = interfaces(&policy.host, &slots, args.interface.as_deref())?;
    let capture = Capture::open(&args.capture)?;
    let mut judge = judge(args, policy, &image, interfaces)?;
    let mut summary = Summary::default();
    let mut lines = Lines::default();
    let progress = progress();
    let each = |frame: &Frame, direction, verdict| {
        progress.set_position(frame.number);
        if args.json {
            lines.add(&Line::new(frame, direction, verdict, &image))?;
        } else {
            summary.add(frame, direction, verdict);
        }
        Ok(())
    };
    let judged = judge_all(capture, &own, judge.as_mut(), each);
    progress.finish_and_clear();
    // What was judged before an error is good.
    lines.print()?;
    if !args.json && (judged.is_ok() || !summary.is_empty()) {
        output::print(&summary.text(&image))?;
    }
    judged.map(|()| ExitCode::SUCCESS)
}

fn judge(
    args: &ReplayArgs,
    policy: &Policy,
    image: &Image,
    interfaces: Interfaces,
) -> Result<Box<dyn Judge>, CliError> {
    if args.simulate {
        return Ok(Box::new(Simulated::new(image.clone(), interfaces)));
    }
    if !nix::unistd::geteuid().is_root() {
        return Err(CliError::ReplayNeedsRoot);
    }
    let sets = Sets::of(&policy.host.state);
    Ok(Box::new(Kernel::load(image, sets, interfaces, args.hook == Ingress::Xdp)?))
}

/// Hands every frame to the judge, in the order of the capture, on a clock that never goes back.
fn judge_all<R: io::Read>(
    capture: Capture<R>,
    own: &[IpAddr],
    judge: &mut dyn Judge,
    mut each: impl FnMut(&Frame, Direction, Verdict) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let mut now = Duration::ZERO;
    for frame in capture {
        let frame = frame?;
        now = now.max(frame.time);
        let direction = frame.direction_among(own);
        let verdict = judge
            .judge(&frame.bytes, frame.original_length, direction, now)
            .map_err(|source| JudgeError { packet: frame.number, source })?;
        each(&frame, direction, verdict)?;
    }
    Ok(())
}

impl<'i> Line<'i> {
    fn new(frame: &Frame, direction: Direction, (reason, rule): Verdict, image: &'i Image) -> Self {
        let passes = reason.passes();
        let flow = rule.filter(|_| passes).and_then(|slot| image.flow(slot));
        Self {
            n: frame.number,
            direction: direction.name(),
            verdict: if passes { "pass" } else { "drop" },
            reason: reason.name(),
            flow: flow.map(|flow| flow.flow.as_str()),
        }
    }
}

/// Lines that wait to be written.
#[derive(Default)]
struct Lines(String);

impl Lines {
    /// With blanks behind colons and commas, as the interface shows them.
    fn add(&mut self, line: &Line<'_>) -> Result<(), CliError> {
        let Line { n, direction, verdict, reason, flow } = line;
        let flow = serde_json::to_string(flow).map_err(output::OutputError::from)?;
        self.0.push_str(&format!(
            "{{\"n\": {n}, \"direction\": \"{direction}\", \"verdict\": \"{verdict}\", \"reason\": \"{reason}\", \
             \"flow\": {flow}}}\n"
        ));
        if self.0.len() >= PIECE { self.print() } else { Ok(()) }
    }

    fn print(&mut self) -> Result<(), CliError> {
        output::print(&self.0)?;
        self.0.clear();
        Ok(())
    }
}

/// Tells a terminal how far a long capture is; nothing else is told.
fn progress() -> ProgressBar {
    let progress = ProgressBar::no_length();
    // A wrong template is a mistake in the line itself: the plain bar says enough then.
    if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} packets, {per_sec}") {
        progress.set_style(style);
    }
    progress
}

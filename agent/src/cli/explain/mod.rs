//! `portreeve explain HOST.toml PACKET`: the verdict on a first packet, and the document behind it.

mod packet;

mod frame;
mod nearest;

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::PathBuf,
    process::ExitCode,
};

use clap::Args;
use ipnet::IpNet;
use portreeve_common::Reason;
use serde::Serialize;

pub use self::packet::PacketError;
use self::{nearest::Nearest, packet::Packet};
use super::{
    CliResult, FAILED, Global, SEEN, output,
    protected::{interfaces, protected},
};
use crate::{
    image::{Image, Slots, TIMELESS, simulation::Simulation},
    policy::{self, Policy, Rule, rule::Origin},
};

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The host file
    #[arg(value_name = "HOST.toml")]
    pub host: PathBuf,
    /// The first packet of a flow: 'in tcp 198.51.100.7:40000 -> 443' or 'out udp -> 8.8.8.8:53'
    pub packet: String,
    /// The interface that it comes by or leaves by; without it, flows that are bound to one are taken to use theirs
    #[arg(long, value_name = "NAME")]
    pub interface: Option<String>,
    /// Print the verdict as JSON
    #[arg(long)]
    pub json: bool,
}

/// What `explain --json` prints.
#[derive(Debug, Serialize)]
struct Explained<'p> {
    /// `ingress` or `egress`.
    direction: &'static str,
    /// `pass` or `drop`, where the policy is enforced.
    verdict: &'static str,
    /// The word of counters and metrics.
    reason: &'static str,
    /// The reason in a sentence.
    because: &'static str,
    /// The flow that it passes by.
    flow: Option<FlowJson<'p>>,
    /// The flow that comes closest, when it is dropped or would be.
    nearest: Option<Nearest<'p>>,
    /// The role that is only observed, when that alone lets it pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    observed: Option<String>,
    /// A flow could have let it pass.
    #[serde(skip)]
    by_policy: bool,
}

/// The flow that a packet passes by.
#[derive(Debug, Serialize)]
struct FlowJson<'p> {
    /// Its stable id.
    id: &'p str,
    /// The role that brought it, or `site`.
    role: &'p str,
    /// Its service in words.
    service: String,
    /// Its peers in words.
    peers: String,
    /// By which interfaces it may begin; absent: by any.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    interfaces: &'p [String],
    /// Where it is written.
    source: &'p Origin,
    /// Why it is on.
    why: &'p str,
}

/// Prints the verdict; exit code 0 when the packet passes, 1 when it is dropped, [`FAILED`] when the host file has
/// errors.
///
/// # Errors
/// The text is no packet; the packs can't be read; nobody takes the output.
pub fn run(global: &Global, args: &ExplainArgs) -> CliResult {
    let mut policy = match policy::load(&args.host, &global.catalogue()?) {
        Ok(policy) => policy,
        Err(report) => {
            output::show_refusal(&report, args.json);
            return Ok(ExitCode::from(FAILED));
        }
    };
    let protected = protected(&policy.host)?;
    let own: Vec<IpAddr> = protected.iter().map(IpNet::addr).collect();
    let mut slots = Slots::default();
    let image = Image::compile(&policy, &protected, &mut slots, TIMELESS)?;
    let mut simulation = Simulation::new(image);
    simulation.set_interfaces(interfaces(&policy.host, &slots, args.interface.as_deref())?);
    let names = packet::names(&args.packet, &policy.host.names);
    for name in names {
        let address = stand_in(&own);
        simulation.resolve(&name, address.into());
        policy.host.names.insert(name, vec![address]);
    }
    let packet = Packet::read(&args.packet, &own, &policy.host.names)?;
    let packet = Packet { interface: args.interface.clone(), ..packet };
    let explained = explain(&packet, &policy, &simulation);
    if args.json {
        output::print_json(&explained)?;
    } else {
        output::print(&text(&explained))?;
    }
    Ok(if explained.verdict == "pass" { ExitCode::SUCCESS } else { ExitCode::from(SEEN) })
}

/// What a name is taken to resolve to: an address that no host has (RFC 7600, RFC 6666).
fn stand_in(own: &[IpAddr]) -> IpAddr {
    if own.iter().any(IpAddr::is_ipv4) {
        Ipv4Addr::new(192, 0, 0, 8).into()
    } else {
        Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 8).into()
    }
}

fn explain<'p>(packet: &Packet, policy: &'p Policy, simulation: &Simulation) -> Explained<'p> {
    let decision = simulation.judge(frame::frame(packet).as_slice(), packet.direction);
    let (reason, passes, image) = (decision.reason(), decision.passes(), simulation.image());
    let passed_by = decision.rule().filter(|_| passes).and_then(|slot| image.flow(slot));
    let rule = passed_by.and_then(|flow| nearest::passes_by(packet, policy, &flow.flow));
    let observed = passed_by.filter(|_| decision.is_observed()).map(|flow| flow.role.clone());
    let by_policy = observed.is_some()
        || matches!(
            reason,
            Reason::NoRule | Reason::WrongPeer | Reason::WrongInterface | Reason::NoState | Reason::Protocol
        );
    let nearest = by_policy.then(|| nearest::nearest(packet, policy, image, decision.rule())).flatten();
    Explained {
        direction: packet.direction.name(),
        verdict: if passes { "pass" } else { "drop" },
        reason: reason.name(),
        because: if observed.is_some() {
            "its port is that of a role which is only observed"
        } else {
            reason.sentence()
        },
        flow: rule.map(FlowJson::new),
        nearest,
        observed,
        by_policy,
    }
}

impl<'p> FlowJson<'p> {
    fn new(rule: &'p Rule) -> Self {
        Self {
            id: &rule.flow,
            role: &rule.role,
            service: rule.service.to_string(),
            peers: rule.peers.to_string(),
            interfaces: &rule.interfaces,
            source: &rule.origin,
            why: &rule.why,
        }
    }
}

fn text(explained: &Explained<'_>) -> String {
    let Explained { direction, verdict, reason, because, flow, nearest, observed, by_policy } = explained;
    let mut text = format!("{verdict} ({reason}): {because}\n");
    let mut line = |name: &str, value: &str| {
        // A string takes everything that is written to it.
        let _written = writeln!(text, "  {name:<8} {value}");
    };
    if let Some(FlowJson { id, role, service, peers, interfaces, source, why }) = flow {
        line("flow", &format!("{id}, {direction} {service}, peers {peers}"));
        if !interfaces.is_empty() {
            line("only on", &interfaces.join(", "));
        }
        describe(&mut line, role, source);
        line("on", why);
    }
    if let Some(role) = observed {
        line("observed", &format!("{role} is only observed: enforcing it would drop this"));
    }
    match nearest {
        Some(Nearest { flow, role, source, differs: _, detail }) => {
            line("nearest", flow);
            line("but", detail);
            describe(&mut line, role, source);
        }
        None if *by_policy => line("nearest", "no flow of this host differs in one thing only"),
        None => {}
    }
    text
}

fn describe(line: &mut impl FnMut(&str, &str), role: &str, source: &Origin) {
    let Origin { pack, document, row, purpose, kind: _, need: _ } = source;
    let of = if role == pack { "the site's own".into() } else { format!("{role} of {pack}") };
    line("role", &of);
    line("for", purpose);
    line("document", document);
    line("row", row);
}

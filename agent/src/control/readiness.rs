//! Whether a direction can be enforced without cutting what a product needs: what the last observation saw.

use std::{collections::BTreeMap, fmt};

use ipnet::IpNet;
use jiff::Timestamp;
use portreeve_common::{Address, Direction, Reason, flow::FlowKey, switch::Mode};

use super::{ControlError, opened::Opened};
use crate::{
    datapath::reading::Counters,
    image::{Image, simulation::Simulation},
    policy::{
        Policy, Rule,
        rule::{Need, Service},
    },
};

/// A required flow whose packets would have been dropped: its document names the port, its peers don't name the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WouldCut {
    /// The flow.
    pub flow: String,
    /// Which way.
    pub direction: Direction,
    /// Protocol and ports.
    pub service: String,
    /// Who, each with its packets.
    pub peers: BTreeMap<String, u64>,
    /// The last of them.
    pub last: Timestamp,
}

impl fmt::Display for WouldCut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { flow, direction, service, peers, last } = self;
        let peers: Vec<_> =
            peers.iter().map(|(peer, packets)| format!("{peer} ({packets} packets)")).collect();
        write!(f, "{flow}: {direction} {service} with {}, last at {last}", peers.join(", "))
    }
}

/// Refuses if the last observation saw packets of required flows that a policy would drop.
///
/// # Errors
/// It did; or the counters can't be read.
pub(super) fn refuse(
    opened: &Opened<'_>,
    policy: &Policy,
    protected: &[IpNet],
    directions: &[Direction],
) -> Result<(), ControlError> {
    let rules = &policy.rules;
    let mut slots = opened.state.flows.clone();
    let ticks = opened.state.ticks_per_second.into();
    let judge = Simulation::new(Image::compile(policy, protected, &mut slots, ticks)?);
    let counters = Counters::open(&opened.instance.pins)?;
    let mut found: BTreeMap<(String, u32), WouldCut> = BTreeMap::new();
    for talker in counters.talkers(&counters.pages()?)? {
        let key = &talker.key;
        let direction = key.direction();
        let since = opened.state.changed.get(direction.name()).copied().unwrap_or(opened.state.since);
        let last = opened.now.time_of(talker.last);
        let counts = key.mode() == Mode::Observe
            && key.reason() == Some(Reason::WrongPeer)
            && directions.contains(&direction)
            // The kernel's clock tells seconds.
            && last.as_second() >= since.as_second();
        // A policy that was mended since lets them pass.
        let own = protected
            .iter()
            .map(|net| net.addr().into())
            .find(|own: &Address| own.is_v4() == key.peer().is_v4());
        let (local, remote) = match direction {
            Direction::Ingress => (key.port(), 0),
            Direction::Egress => (0, key.port()),
        };
        let flow = |own| FlowKey::new(own, key.peer(), local, remote, key.protocol());
        let passes = own.is_some_and(|own| judge.allows(&flow(own), direction).is_some());
        if !counts || passes {
            continue;
        }
        for rule in rules.iter().filter(|rule| is_about(rule, direction, key.protocol(), key.port())) {
            let entry = found.entry((rule.flow.clone(), direction.index())).or_insert_with(|| WouldCut {
                flow: rule.flow.clone(),
                direction,
                service: rule.service.to_string(),
                peers: BTreeMap::new(),
                last,
            });
            *entry.peers.entry(key.peer().to_string()).or_default() += talker.packets;
            entry.last = entry.last.max(last);
        }
    }
    if found.is_empty() { Ok(()) } else { Err(ControlError::WouldCut(found.into_values().collect())) }
}

fn is_about(rule: &Rule, direction: Direction, protocol: u8, port: u16) -> bool {
    let ports = match (&rule.service, protocol) {
        (Service::Tcp(ports), 6) | (Service::Udp(ports), 17) => ports,
        (Service::Tcp(_) | Service::Udp(_) | Service::Echo | Service::Igmp | Service::Protocol(_), _) => {
            return false;
        }
    };
    rule.origin.need == Need::Required
        && rule.direction == direction
        && ports.destination.iter().any(|range| range.contains(&port))
}

//! What a host file would change: rules, modes, interfaces, and the connections that it would cut.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::{IpAddr, SocketAddr},
    path::Path,
};

use ipnet::IpNet;
use portreeve_common::{Address, Direction, Service, names::LearnedName, switch::Mode};
use serde::Serialize;

use super::{
    ControlError,
    connections::{self, Connection, Owner},
    generation::stages,
    opened::Opened,
    start, wanted,
};
use crate::{
    datapath::{names::Names, state::Established},
    image::{Image, Slots, TIMELESS, simulation::Simulation},
    instance::Instance,
    policy::{self, Catalogue, Policy, Rule, Stage, Stages},
};

/// What would change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The generation in force; absent where none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u16>,
    /// Flows that are not allowed now.
    pub added: Vec<RuleChange>,
    /// Flows that would no longer be allowed.
    pub removed: Vec<RuleChange>,
    /// Flows with other ports or peers.
    pub changed: Vec<RuleChange>,
    /// Flows that stay as they are.
    pub unchanged: usize,
    /// Directions whose mode changes: the mode afterwards.
    pub modes: BTreeMap<String, String>,
    /// Roles, each with a direction, whose stage changes: the stage afterwards.
    pub stages: BTreeMap<String, String>,
    /// Interfaces that would be covered.
    pub covered: Vec<String>,
    /// Interfaces that would be left.
    pub left: Vec<String>,
    /// Live connections that would end.
    pub cuts: Vec<Cut>,
}

/// A flow, before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleChange {
    /// Its id.
    pub flow: String,
    /// The role that has it.
    pub role: String,
    /// As it is now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// As it would be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
}

/// A connection that would end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cut {
    /// tcp, udp, or another protocol.
    pub protocol: String,
    /// The host's end.
    pub local: String,
    /// The other end.
    pub remote: String,
    /// Who began it, as seen from the host.
    pub direction: &'static str,
    /// Who has its socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Owner>,
    /// It carries the session that asks.
    pub own: bool,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, local, remote, direction, process, own: _ } = self;
        write!(f, "{direction} {protocol} {local} - {remote}")?;
        process.as_ref().map_or(Ok(()), |Owner { pid, name }| write!(f, " of {name} ({pid})"))
    }
}

/// What a host file would change.
///
/// # Errors
/// The host file is broken, or the kernel does not say what is there.
pub fn plan(instance: &Instance, catalogue: &Catalogue, host: &Path) -> Result<Plan, ControlError> {
    let mut policy = policy::load_trusted(host, catalogue).map_err(ControlError::Policy)?;
    let names = start::interfaces(&policy)?;
    let protected = start::protected(&policy, &names)?;
    if !instance.pins.exist() {
        // Root only, though there is nothing to change yet: sockets have owners.
        let _lock = instance.lock()?;
        let mut plan = Plan { covered: names, ..Plan::default() };
        plan.compare(&[], &policy.rules);
        plan.stages = changed(&Stages::default(), &policy.stages);
        for direction in Direction::ALL {
            plan.modes
                .insert(direction.name().into(), wanted(&policy.host.enforcement, direction).name().into());
        }
        if policy.host.enforcement.drops() {
            let modes = Direction::ALL.map(|direction| wanted(&policy.host.enforcement, direction));
            plan.cuts = judged(&policy, &protected, modes, Slots::default(), &[], &[])?;
        }
        return Ok(plan);
    }
    let mut opened = Opened::running(instance, catalogue)?;
    let posture = opened.posture();
    let mut plan = Plan { generation: Some(posture.generation()), ..Plan::default() };
    let before = opened.policy(posture)?;
    policy.stages = stages(&opened, &policy);
    plan.compare(&before.rules, &policy.rules);
    plan.stages = changed(&before.stages, &policy.stages);
    for (direction, mode) in Direction::ALL.into_iter().zip(modes(&opened, &policy)) {
        if mode != posture.mode(direction) {
            plan.modes.insert(direction.name().into(), mode.name().into());
        }
    }
    let known: Vec<_> = opened.state.interfaces.keys().cloned().collect();
    plan.covered = names.iter().filter(|name| !known.contains(name)).cloned().collect();
    plan.left = known.into_iter().filter(|name| !names.contains(name)).collect();
    plan.cuts = cuts(&mut opened, &policy, &protected)?;
    Ok(plan)
}

impl Plan {
    fn compare(&mut self, before: &[Rule], after: &[Rule]) {
        let (before, after) = (by_flow(before), by_flow(after));
        let flows: BTreeSet<_> = before.keys().chain(after.keys()).cloned().collect();
        for key in flows {
            let words = |rules: &BTreeMap<(String, String), Vec<String>>| {
                rules.get(&key).cloned().unwrap_or_default()
            };
            let (before, after) = (words(&before), words(&after));
            let to = match (before.is_empty(), after.is_empty()) {
                (true, _) => &mut self.added,
                (_, true) => &mut self.removed,
                (false, false) if before != after => &mut self.changed,
                (false, false) => {
                    self.unchanged += 1;
                    continue;
                }
            };
            let (flow, role) = key;
            to.push(RuleChange { flow, role, before, after });
        }
    }
}

/// The stages that differ, as they will be.
fn changed(before: &Stages, after: &Stages) -> BTreeMap<String, String> {
    let word = |role: &str, way| if after.observes(role, way) { Mode::Observe } else { Mode::Enforce };
    let differing = after.differing(before).into_iter();
    differing.map(|(role, way)| (Stage::key(&role, way), word(&role, way).name().to_owned())).collect()
}

/// What each flow's rules are about.
fn by_flow(rules: &[Rule]) -> BTreeMap<(String, String), Vec<String>> {
    let mut flows: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for rule in rules {
        let side = match rule.direction {
            Direction::Ingress => "from",
            Direction::Egress => "to",
        };
        let words = format!("{} {} {side} {}", rule.direction, rule.what(), rule.peers);
        flows.entry((rule.flow.clone(), rule.role.clone())).or_default().push(words);
    }
    flows.values_mut().for_each(|words| words.sort());
    flows
}

/// The modes that the policy would run in: see `generation::modes`.
pub(super) fn modes(opened: &Opened<'_>, policy: &Policy) -> [Mode; 2] {
    let current = opened.posture();
    let record = opened.record(current);
    Direction::ALL.map(|direction| {
        let wanted = wanted(&policy.host.enforcement, direction);
        let declared = record.and_then(|record| record.declared.get(direction.name()));
        if declared.is_some_and(|declared| declared == wanted.name()) {
            current.mode(direction)
        } else {
            wanted
        }
    })
}

/// The live connections that a policy would end: those that it does not allow, and that began in a direction which would be
/// enforced. Where that is observed, the other one lets their answers pass.
///
/// # Errors
/// The kernel does not say, or the policy does not fit.
pub(super) fn cuts(
    opened: &mut Opened<'_>,
    policy: &Policy,
    protected: &[IpNet],
) -> Result<Vec<Cut>, ControlError> {
    let modes = modes(opened, policy);
    if !modes.contains(&Mode::Enforce) {
        return Ok(Vec::new());
    }
    let current = opened.posture();
    let mut flows = Vec::new();
    if current.generation() != 0 {
        let settings = opened.maps.settings(current.generation())?;
        let live = Established::open(&opened.instance.pins)?.flows(settings.limits(), opened.now.ticks)?;
        flows.extend(live.into_iter().map(|(key, state)| (key, state.began())));
    }
    let learned = Names::open(&opened.instance.pins)?.learned()?;
    judged(policy, protected, modes, opened.state.slots.clone(), &learned, &flows)
}

fn judged(
    policy: &Policy,
    protected: &[IpNet],
    modes: [Mode; 2],
    mut slots: Slots,
    learned: &[LearnedName],
    flows: &[(portreeve_common::flow::FlowKey, Direction)],
) -> Result<Vec<Cut>, ControlError> {
    let judge = Simulation::new(Image::compile(policy, protected, &mut slots, TIMELESS)?);
    judge.remember(learned);
    let ours = |address: Address| protected.iter().any(|net| Address::from(net.addr()) == address);
    let connections = connections::all(flows).map_err(ControlError::Sockets)?;
    let cut = |connection: &Connection| {
        let key = &connection.key;
        let passes_by = ours(*key.local()) && !ours(*key.remote());
        let [ingress, egress] = modes;
        let mode = match connection.began {
            Direction::Ingress => ingress,
            Direction::Egress => egress,
        };
        mode == Mode::Enforce && passes_by && judge.allows(key, connection.began).is_none()
    };
    Ok(connections.into_iter().filter(cut).map(Cut::from).collect())
}

impl From<Connection> for Cut {
    fn from(connection: Connection) -> Self {
        let Connection { key, began, process, own } = connection;
        let protocol =
            Service::protocol_name(key.protocol()).map_or_else(|| key.protocol().to_string(), str::to_owned);
        let end = |address: Address, port: u16| {
            let ip: IpAddr = address.into();
            if port == 0 { ip.to_string() } else { SocketAddr::new(ip, port).to_string() }
        };
        Self {
            protocol,
            local: end(*key.local(), key.local_port()),
            remote: end(*key.remote(), key.remote_port()),
            direction: began.name(),
            process,
            own,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn rules(ports: &str, peers: &str, id: &str) -> Vec<Rule> {
        let text = format!(
            "[[allow]]\nid = \"{id}\"\ndirection = \"ingress\"\nprotocol = \"tcp\"\nport = {ports}\n\
             peers = {peers}\nreason = \"r\"\n"
        );
        let catalogue = Catalogue::load(None).unwrap();
        policy::compile("host.toml", &text, &catalogue, date(2026, 11, 21)).unwrap().rules
    }

    #[test]
    fn flows_are_added_removed_changed_or_stay() {
        let (a, b) = (rules("443", "\"any\"", "SITE-1"), rules("444", "\"any\"", "SITE-1"));
        let other = rules("443", "\"any\"", "SITE-2");
        let of = |before: &[Rule], after: &[Rule]| {
            let mut plan = Plan::default();
            plan.compare(before, after);
            (plan.added.len(), plan.removed.len(), plan.changed.len(), plan.unchanged)
        };
        assert_eq!(of(&a, &a), (0, 0, 0, 1));
        assert_eq!(of(&a, &b), (0, 0, 1, 0));
        assert_eq!(of(&a, &other), (1, 1, 0, 0));
        assert_eq!(of(&[], &a), (1, 0, 0, 0));
        let mut plan = Plan::default();
        plan.compare(&a, &b);
        let [RuleChange { before, after, .. }] = plan.changed.as_slice() else { panic!("{plan:?}") };
        assert_eq!(
            (before[0].as_str(), after[0].as_str()),
            ("ingress tcp 443 from any", "ingress tcp 444 from any")
        );
    }

    #[test]
    fn what_the_policy_does_not_allow_is_cut() {
        let text = "[[allow]]\nid = \"S\"\ndirection = \"ingress\"\nprotocol = \"tcp\"\nport = 443\n\
                    peers = [\"198.51.100.0/24\"]\nreason = \"r\"\n";
        let catalogue = Catalogue::load(None).unwrap();
        let policy = policy::compile("host.toml", text, &catalogue, date(2026, 11, 21)).unwrap();
        let protected = ["192.0.2.10/24".parse().unwrap()];
        let ip = |text: &str| Address::from(text.parse::<IpAddr>().unwrap());
        let flow = |remote: &str, port| {
            let key = portreeve_common::flow::FlowKey::new(ip("192.0.2.10"), ip(remote), port, 40_000, 6);
            (key, Direction::Ingress)
        };
        let flows = [flow("198.51.100.7", 443), flow("203.0.113.7", 443), flow("198.51.100.7", 22)];
        let cuts = judged(&policy, &protected, [Mode::Enforce; 2], Slots::default(), &[], &flows).unwrap();
        let cuts: Vec<_> = cuts.iter().map(ToString::to_string).collect();
        assert_eq!(
            cuts,
            [
                "ingress tcp 192.0.2.10:443 - 203.0.113.7:40000",
                "ingress tcp 192.0.2.10:22 - 198.51.100.7:40000"
            ]
        );
    }
}

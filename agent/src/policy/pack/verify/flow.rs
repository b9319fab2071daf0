//! What flows and nevers say, and whom they name.

use super::{
    super::{Flow, Never, OptionKind, PeerRef, Protocol, Role, To},
    Checks,
};
use crate::policy::{host::suggest, rule::Kind};

impl<'p> Checks<'p> {
    pub(super) fn flow(&mut self, role: &'p Role, flow: &Flow) {
        let at = format!("flow {}", flow.id);
        let carries_ports = matches!(flow.protocol, Protocol::Tcp | Protocol::Udp);
        if carries_ports == flow.ports.is_empty() {
            let help = "write ports = [443] for tcp and udp, and leave it out for icmp and igmp";
            self.say("ports", format!("{at}: tcp and udp have ports, nothing else has"), help);
        }
        if !carries_ports && (flow.source_port.is_some() || flow.port_option.is_some()) {
            let message = format!("{at}: only tcp and udp have a port option or a source port");
            self.say("protocol", message, "leave them out");
        }
        for (key, port) in [("source_port", flow.source_port), ("control_port", flow.control_port)] {
            if port == Some(0) {
                self.say(key, format!("{at}: port 0 is out of range"), "ports go from 1 to 65535");
            }
        }
        if flow.kind == Kind::Site {
            let help = "write documented, mirror or implied";
            self.say("kind", format!("{at}: only host files have flows of the site"), help);
        }
        if flow.peers.is_empty() {
            self.say("peers", format!("{at}: names no remote end"), "write peers = [\"any\"] for anyone");
        }
        self.peers(role, &flow.peers, &at);
        self.port_option(role, flow.port_option.as_deref(), &at);
        if let Some(name) = flow.network.as_ref().filter(|name| role.network(name).is_none()) {
            let known: Vec<_> = role.networks.iter().map(|network| &network.name).collect();
            let message = format!("{at}: role {} has no network `{name}`", role.name);
            self.say("network", message, suggest(name, &known, "networks"));
        }
        self.condition(role, &flow.when, &at);
        for (index, instead) in flow.instead.iter().enumerate() {
            self.path.push(("instead", index));
            self.peers(role, &instead.peers, &at);
            self.condition(role, &instead.when, &at);
            self.path.pop();
        }
        self.destinations(role, flow, &at);
        let repeats = |id: &String| self.pack.flows.iter().any(|one| one.id == *id && one.alias_of.is_none());
        if let Some(other) = flow.alias_of.as_ref().filter(|id| !repeats(id)) {
            let message = format!("{at}: repeats `{other}`, which is no flow or repeats another itself");
            let ids: Vec<_> = self.pack.flows.iter().map(|flow| &flow.id).collect();
            let near = crate::policy::host::nearest(other, &ids);
            let help = near.map_or_else(String::new, |near| format!("did you mean `{near}`?"));
            self.say("alias_of", message, help);
        }
    }

    fn destinations(&mut self, role: &Role, flow: &Flow, at: &str) {
        if flow.to.is_empty() {
            let help = "leave `to` out for the host's own addresses";
            self.say("to", format!("{at}: names no remote end"), help);
        }
        for to in &flow.to {
            if let To::GroupOption(name) = to
                && role.option(name).is_none_or(|spec| spec.kind != OptionKind::Address)
            {
                let message = format!("{at}: role {} has no address option `{name}`", role.name);
                self.say("to", message, "write own, broadcast, a multicast group, or an address option");
            }
            let many = *to != To::Own;
            match flow.protocol {
                Protocol::Tcp if many => {
                    self.say("to", format!("{at}: tcp goes to one host"), "leave `to` out");
                }
                Protocol::Igmp if !many || *to == To::Broadcast => {
                    let help = "write to = [\"224.0.0.1\"], or the option that holds the group";
                    self.say("to", format!("{at}: igmp goes to groups"), help);
                }
                Protocol::Tcp | Protocol::Udp | Protocol::Icmp | Protocol::Igmp => {}
            }
        }
    }

    pub(super) fn never(&mut self, role: &'p Role, never: &Never) {
        let at = format!("the never of role {} ({})", role.name, never.row);
        if never.peers.is_empty() {
            self.say("peers", format!("{at}: forbids nobody"), "write peers = [\"any\"] for anyone");
        }
        if never.port == Some(0) {
            self.say("port", format!("{at}: port 0 is out of range"), "ports go from 1 to 65535");
        }
        self.peers(role, &never.peers, &at);
        self.port_option(role, never.port_option.as_deref(), &at);
    }

    fn peers(&mut self, role: &Role, peers: &[PeerRef], at: &str) {
        for peer in peers {
            match peer {
                PeerRef::Peer(name) if role.peer(name).is_none() => {
                    let known: Vec<_> = role.peers.iter().map(|peer| &peer.name).collect();
                    let message = format!("{at}: role {} has no peer `{name}`", role.name);
                    self.say("peers", message, suggest(name, &known, "peers"));
                }
                PeerRef::Controller(name) if !role.controllers.contains(name) => {
                    let message = format!("{at}: role {} has no controller `{name}`", role.name);
                    self.say("peers", message, suggest(name, &role.controllers, "controllers"));
                }
                PeerRef::Any
                | PeerRef::Peer(_)
                | PeerRef::Controller(_)
                | PeerRef::Net(_)
                | PeerRef::Name(_) => {}
            }
        }
    }
}

//! The policy as a list, read from top to bottom for every packet.

use std::net::IpAddr;

use ipnet::IpNet;
use portreeve::policy::{
    Policy,
    rule::{Local, Peers, Rule, Service},
};
use portreeve_common::{Direction, Reason};

use super::dissect::{ICMP, ICMPV6, TCP, UDP};

/// What a first packet asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) direction: Direction,
    pub(super) protocol: u8,
    /// Destination port, or type of ICMP; 0 where there is neither.
    pub(super) number: u16,
    pub(super) remote: IpAddr,
}

/// Rules in order, and the host's own addresses.
#[derive(Debug)]
pub(super) struct Rules {
    rules: Vec<Rule>,
    own: Vec<IpAddr>,
}

/// Positions in the list: those that allow a packet, or those that would allow another peer.
pub(super) type Which = Vec<usize>;

impl Rules {
    pub(super) fn new(policy: &Policy, protected: &[IpNet]) -> Self {
        let own = protected.iter().map(IpNet::addr).collect();
        Self { rules: policy.rules.clone(), own }
    }

    pub(super) fn name(&self, at: usize) -> String {
        self.rules[at].flow.clone()
    }

    /// The rules that allow it.
    ///
    /// # Errors
    /// `no-rule`; or `wrong-peer`, with the rules for others.
    pub(super) fn allow(&self, wish: Wish) -> Result<Which, (Reason, Which)> {
        let about: Which = (0..self.rules.len()).filter(|at| is_about(&self.rules[*at], wish)).collect();
        let allowing: Which =
            about.iter().copied().filter(|at| admits(&self.rules[*at].peers, wish.remote)).collect();
        if !allowing.is_empty() {
            Ok(allowing)
        } else if about.is_empty() {
            Err((Reason::NoRule, about))
        } else {
            Err((Reason::WrongPeer, about))
        }
    }

    /// Between this host and another one: what else could be meant is no flow of its own.
    ///
    /// # Errors
    /// `martian` or `not-local`.
    pub(super) fn ends(&self, local: IpAddr, remote: IpAddr) -> Result<(), Reason> {
        let nobody = remote.is_unspecified() || remote.is_loopback() || remote.is_multicast();
        if nobody || remote == IpAddr::from([255; 4]) || self.own.contains(&remote) {
            return Err(Reason::Martian);
        }
        if self.own.contains(&local) { Ok(()) } else { Err(Reason::NotLocal) }
    }
}

/// Whether a rule is about such packets, whoever the peer is.
fn is_about(rule: &Rule, wish: Wish) -> bool {
    if rule.direction != wish.direction || rule.local != Local::Own || rule.control_port.is_some() {
        return false;
    }
    let in_ports = |ports: &portreeve::policy::rule::Ports| {
        ports.source.is_none() && ports.destination.iter().any(|range| range.contains(&wish.number))
    };
    match &rule.service {
        Service::Tcp(ports) => wish.protocol == TCP && in_ports(ports),
        Service::Udp(ports) => wish.protocol == UDP && in_ports(ports),
        Service::Echo => {
            let echo = matches!((wish.protocol, wish.number), (ICMP, 8) | (ICMPV6, 128));
            echo && has_family(&rule.peers, wish.protocol == ICMP)
        }
        Service::Igmp => false,
        Service::Protocol(number) => wish.protocol == *number && wish.number == 0,
    }
}

/// An echo of one family says nothing of the other.
fn has_family(peers: &Peers, v4: bool) -> bool {
    match peers {
        Peers::Any => true,
        Peers::Listed { prefixes, names } => {
            !names.is_empty() || prefixes.iter().any(|net| net.addr().is_ipv4() == v4)
        }
    }
}

/// A name's addresses are not known here.
fn admits(peers: &Peers, remote: IpAddr) -> bool {
    match peers {
        Peers::Any => true,
        Peers::Listed { prefixes, names: _ } => prefixes.iter().any(|net| net.contains(&remote)),
    }
}

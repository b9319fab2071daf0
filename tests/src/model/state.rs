//! What is remembered of flows, and what the rules say of new ones.

use portreeve_common::{Direction, Reason};

use super::{
    Judged, Model,
    dissect::{ICMP, ICMPV6, IGMP, TCP, UDP},
    ends::{Ends, wish},
    flow::{Flow, Phase, Talk},
    names::Peer,
    rules::{Leave, Manner, Which},
};

impl Model {
    /// Packets without connections. The first answer makes an exchange live; until then nothing prolongs it.
    pub(super) fn exchange(&mut self, ends: Ends, direction: Direction) -> Result<Judged, Judged> {
        let Some(mut flow) = self.judged_again(&ends)? else {
            return match self.allow(&ends, direction) {
                Ok(leave) => self.begin(ends, direction, leave),
                Err(refusal) => Err(self.begin_refused(ends, direction, refusal)),
            };
        };
        let own = flow.began == direction || !self.observes_alone(flow.began);
        let refused = flow.refused.clone().filter(|_| own).map(|refusal| unnamed(refusal, &ends));
        let passes = refused.map_or_else(|| Ok((Reason::Established, flow.rules.clone())), Err);
        match flow.phase {
            Phase::Live(_) => flow.seen = self.now,
            Phase::Asked | Phase::Offered { .. } if flow.began != direction => {
                flow.seen = self.now;
                flow.phase = Phase::Live(Talk::default());
            }
            Phase::Asked | Phase::Offered { .. } | Phase::Met { .. } => {
                return passes;
            }
        }
        self.flows.insert(ends, flow);
        passes
    }

    pub(super) fn live(&self, ends: &Ends) -> Option<&Flow> {
        self.flows.get(ends).filter(|flow| flow.lives(ends.protocol, &self.limits, self.now))
    }

    /// A flow that lives; one that an older policy let begin is asked for again.
    pub(super) fn judged_again(&mut self, ends: &Ends) -> Result<Option<Flow>, Judged> {
        let Some(mut flow) = self.live(ends).cloned() else { return Ok(None) };
        if flow.policy != self.policy {
            match self.ask(ends, flow.began, Peer::Lives) {
                Ok(leave) => {
                    flow.policy = self.holds(&leave);
                    flow.rules = leave.rules;
                    flow.refused = None;
                }
                // It is not dropped, so it lives.
                Err(refused) if self.observes(flow.began) => {
                    (flow.policy, flow.rules, flow.refused) = (0, Which::new(), Some(refused));
                }
                Err(refused) => {
                    self.flows.remove(ends);
                    return Err(refused);
                }
            }
        }
        Ok(Some(flow))
    }

    /// What the rules say of a flow that begins in `began`.
    pub(super) fn ask(&self, ends: &Ends, began: Direction, peer: Peer) -> Result<Leave, Judged> {
        let controlled = |port| self.is_controlled(ends, began, port);
        let patterns = self.names.of(ends.remote.0, peer, self.now);
        self.rules.allow(wish(ends, began), controlled, &patterns, peer)
    }

    /// The policy under which a verdict holds for the packets that follow: what hangs on another flow is asked for
    /// again with each one.
    pub(super) fn holds(&self, leave: &Leave) -> u64 {
        if leave.manner == Manner::Beside { 0 } else { self.policy }
    }

    /// Whether a connection to `port` of the end that begins lives, between the same two hosts.
    fn is_controlled(&self, data: &Ends, began: Direction, port: u16) -> bool {
        self.flows.iter().any(|(ends, flow)| {
            let (server, client) = match began {
                Direction::Ingress => (ends.remote.1, ends.local.1),
                Direction::Egress => (ends.local.1, ends.remote.1),
            };
            ends.protocol == TCP
                && (ends.local.0, ends.remote.0) == (data.local.0, data.remote.0)
                && (server, client != 0) == (port, true)
                // The client has called.
                && flow.began != began
                && matches!(&flow.phase, Phase::Live(talk) if !talk.is_closing())
                && flow.lives(TCP, &self.limits, self.now)
        })
    }

    fn allow(&self, ends: &Ends, direction: Direction) -> Result<Leave, Judged> {
        self.ask(ends, direction, Peer::New).map_err(|refusal| unnamed(refusal, ends))
    }

    /// A flow that is refused where only that direction is observed goes out, and is answered.
    pub(super) fn begin_refused(&mut self, ends: Ends, began: Direction, refusal: Judged) -> Judged {
        let (local, remote) = (ends.local.0, ends.remote.0);
        if self.observes_alone(began) && self.rules.ends(local, remote, began, &Which::new()).is_ok() {
            let (rules, refused) = (Which::new(), Some(refusal.clone()));
            self.flows
                .insert(ends, Flow { began, rules, policy: 0, seen: self.now, phase: Phase::Asked, refused });
        }
        refusal
    }

    /// A packet to many begins nothing: who answers is not known.
    pub(super) fn begin(&mut self, ends: Ends, began: Direction, leave: Leave) -> Result<Judged, Judged> {
        let (local, remote) = (ends.local.0, ends.remote.0);
        let reason = match leave.manner {
            Manner::ToMany => {
                self.rules.sender(local, remote, began)?;
                return Ok((Reason::Rule, leave.rules));
            }
            Manner::Begins => Reason::Rule,
            Manner::Beside => Reason::Related,
        };
        self.rules.ends(local, remote, began, &leave.rules)?;
        let policy = self.holds(&leave);
        let rules = leave.rules.clone();
        self.flows
            .insert(ends, Flow { began, rules, policy, seen: self.now, phase: Phase::Asked, refused: None });
        Ok((reason, leave.rules))
    }
}

/// What has no port is named for what it is.
fn unnamed((reason, rules): Judged, ends: &Ends) -> Judged {
    let numbered = [TCP, UDP, ICMP, ICMPV6, IGMP].contains(&ends.protocol);
    (if reason == Reason::NoRule && !numbered { Reason::Protocol } else { reason }, rules)
}

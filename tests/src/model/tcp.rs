//! Connections: a SYN begins one, both ends make it live, and for a window one is taken as it is.

use portreeve_common::{Direction, Reason};

use super::{
    Judged, Model,
    dissect::flag,
    ends::Ends,
    flow::{Flow, Phase, Talk},
    names::Peer,
    rules::Which,
};

/// What of a TCP header a connection goes by.
#[derive(Clone, Copy)]
pub(super) struct Segment {
    pub(super) flags: u8,
    pub(super) sequence: u32,
    pub(super) acknowledgment: u32,
    /// Whether it carries any.
    pub(super) data: bool,
}

/// How far the acknowledgment of a SYN-ACK may be ahead: data that was sent early.
const EARLY: u32 = 1 << 16;

impl Model {
    pub(super) fn tcp(
        &mut self,
        ends: Ends,
        direction: Direction,
        segment: Segment,
    ) -> Result<Judged, Judged> {
        if segment.flags & (flag::SYN | flag::ACK) == flag::SYN {
            return self.opens(ends, direction);
        }
        match self.judged_again(&ends)? {
            Some(flow) => self.goes_on(ends, flow, direction, segment),
            None => self.adopt(ends, direction, segment),
        }
    }

    /// A SYN begins a connection, or knocks at one that lives on without noticing.
    fn opens(&mut self, ends: Ends, direction: Direction) -> Result<Judged, Judged> {
        let asked = self.ask(&ends, direction, Peer::New);
        if let (Err(refusal), false) = (&asked, self.observes_alone(direction)) {
            return Err(refusal.clone());
        }
        if let Some(flow) = self.live(&ends) {
            let over = matches!(&flow.phase, Phase::Live(talk) if talk.is_finished());
            if !over && flow.began != direction {
                return Err(asked.err().unwrap_or((Reason::NoState, Which::new())));
            }
            if !over && matches!(flow.phase, Phase::Live(_)) {
                return asked.map(|leave| (Reason::Established, leave.rules));
            }
            self.flows.remove(&ends);
        }
        match asked {
            Ok(leave) => self.begin(ends, direction, leave),
            Err(refusal) => Err(self.begin_refused(ends, direction, refusal)),
        }
    }

    /// Any segment but a SYN, of a connection that is known.
    fn goes_on(
        &mut self,
        ends: Ends,
        mut flow: Flow,
        direction: Direction,
        segment: Segment,
    ) -> Result<Judged, Judged> {
        let Segment { flags, sequence, acknowledgment, data } = segment;
        let answers = direction != flow.began;
        let rules = flow.rules.clone();
        let refused = Err((Reason::NoState, Which::new()));
        // What is refused is in the middle of nothing; its answers pass where they would be dropped.
        let own = flow.refused.is_some() && !(answers && self.observes_alone(flow.began));
        let passes = if own { refused.clone() } else { Ok((Reason::Established, rules)) };
        match &mut flow.phase {
            Phase::Live(talk) => talk.hears(direction, flags, sequence, acknowledgment),
            Phase::Met { .. } if flags & flag::RST != 0 => return passes,
            Phase::Met { .. } if flags & flag::SYN != 0 => return refused,
            Phase::Met { by, talk } => {
                talk.hears(direction, flags, sequence, acknowledgment);
                if *by == direction {
                    // One end alone does not keep it.
                    self.flows.insert(ends, flow);
                    return passes;
                }
                flow.phase = Phase::Live(talk.clone());
            }
            Phase::Asked | Phase::Offered { .. } if answers && flags & flag::SYN != 0 => {
                let early = data || matches!(flow.phase, Phase::Offered { early: true, .. });
                let expects = sequence.wrapping_add(1);
                flow.phase = Phase::Offered { expects, accepts: acknowledgment, early };
            }
            // A refusal, which the caller believes or not.
            Phase::Asked | Phase::Offered { .. } if flags & flag::RST != 0 => return passes,
            Phase::Offered { early, .. } if answers => {
                if data {
                    *early = true;
                    self.flows.insert(ends, flow);
                }
                return passes;
            }
            Phase::Offered { expects, accepts, early } => {
                // Only who has seen the SYN-ACK can acknowledge it.
                if flags & flag::SYN != 0
                    || acknowledgment.wrapping_sub(*expects) > if *early { EARLY } else { 0 }
                {
                    return refused;
                }
                let mut talk = Talk::default();
                // The host has answered the call.
                if direction == Direction::Ingress {
                    talk.accepts = Some(*accepts);
                }
                talk.hears(direction, flags, sequence, acknowledgment);
                flow.phase = Phase::Live(talk);
            }
            Phase::Asked => return refused,
        }
        flow.seen = self.now;
        self.flows.insert(ends, flow);
        passes
    }

    /// In the window after the first enforcement a connection is taken as it is, if it could have begun. The other end
    /// has to go on with it before it is one.
    fn adopt(&mut self, ends: Ends, direction: Direction, segment: Segment) -> Result<Judged, Judged> {
        let Segment { flags, sequence, acknowledgment, data: _ } = segment;
        let refused = (Reason::NoState, Which::new());
        if flags & (flag::SYN | flag::RST) != 0 || self.now >= self.adopts_until {
            return Err(refused);
        }
        let began = Direction::ALL
            .into_iter()
            .find_map(|began| self.ask(&ends, began, Peer::Lives).ok().map(|leave| (began, leave)));
        let (began, leave) = began.ok_or(refused)?;
        self.rules.ends(ends.local.0, ends.remote.0, direction, &leave.rules)?;
        let mut talk = Talk::default();
        talk.hears(direction, flags, sequence, acknowledgment);
        let (policy, rules) = (self.holds(&leave), leave.rules);
        let phase = Phase::Met { by: direction, talk };
        let flow = Flow { began, rules: rules.clone(), policy, seen: self.now, phase, refused: None };
        self.flows.insert(ends, flow);
        Ok((Reason::Adopted, rules))
    }
}

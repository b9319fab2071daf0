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
        let leave = self.ask(&ends, direction, Peer::New)?;
        if let Some(flow) = self.live(&ends) {
            let over = matches!(&flow.phase, Phase::Live(talk) if talk.is_finished());
            if !over && flow.began != direction {
                return Err((Reason::NoState, Which::new()));
            }
            if !over && matches!(flow.phase, Phase::Live(_)) {
                return Ok((Reason::Established, leave.rules));
            }
            self.flows.remove(&ends);
        }
        self.begin(ends, direction, leave)
    }

    /// Any segment but a SYN, of a connection that is known.
    fn goes_on(
        &mut self,
        ends: Ends,
        mut flow: Flow,
        direction: Direction,
        segment: Segment,
    ) -> Result<Judged, Judged> {
        let Segment { flags, sequence, acknowledgment } = segment;
        let answers = direction != flow.began;
        let rules = flow.rules.clone();
        let passes = Ok((Reason::Established, rules));
        let refused = Err((Reason::NoState, Which::new()));
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
                flow.phase = Phase::Offered { expects: sequence.wrapping_add(1), accepts: acknowledgment };
            }
            // A refusal, which the caller believes or not.
            Phase::Asked | Phase::Offered { .. } if flags & flag::RST != 0 => return passes,
            Phase::Offered { .. } if answers => return passes,
            Phase::Offered { expects, accepts } => {
                // Only who has seen the SYN-ACK can acknowledge it.
                if flags & flag::SYN != 0 || acknowledgment.wrapping_sub(*expects) > EARLY {
                    return refused;
                }
                let mut talk = Talk::default();
                talk.accepts.set(direction.opposite(), *accepts);
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
        let Segment { flags, sequence, acknowledgment } = segment;
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
        let flow = Flow { began, rules: rules.clone(), policy, seen: self.now, phase };
        self.flows.insert(ends, flow);
        Ok((Reason::Adopted, rules))
    }
}

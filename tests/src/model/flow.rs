//! Flows of the model: what the host remembers of a conversation.

use portreeve_common::Direction;

use super::{
    Judged,
    dissect::{ICMP, ICMPV6, TCP, flag},
    rules::Which,
};

/// What is known of a flow.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    pub(super) began: Direction,
    pub(super) rules: Which,
    /// The policy that allowed it last.
    pub(super) policy: u64,
    /// Milliseconds at which it was last seen.
    pub(super) seen: u64,
    pub(super) phase: Phase,
    /// Why no rule allows it, while it lives only because its beginning was observed.
    pub(super) refused: Option<Judged>,
}

/// How far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nobody has answered.
    Asked,
    /// A SYN-ACK waits for its acknowledgment, and has acknowledged a number itself; data may have come with it.
    Offered { expects: u32, accepts: u32, early: bool },
    /// Met in its middle, and heard of one end only: the one that sends in `by`.
    Met { by: Direction, talk: Talk },
    /// Both ends talk.
    Live(Talk),
}

/// A connection, or an exchange without one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Talk {
    /// The last number that the host has acknowledged, so the next that it accepts.
    pub(super) accepts: Option<u32>,
    /// Where the remote end's reset stands, while that is its last word.
    pub(super) resets: Option<u32>,
    /// Which ends have sent a FIN.
    pub(super) finished: PerEnd<bool>,
    /// The last word was a reset that its receiver believes.
    pub(super) reset: bool,
}

/// A value for the remote end and one for the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PerEnd<T> {
    remote: T,
    host: T,
}

impl<T: Copy> PerEnd<T> {
    /// Of the end that sends in `direction`.
    pub(super) fn of(self, direction: Direction) -> T {
        match direction {
            Direction::Ingress => self.remote,
            Direction::Egress => self.host,
        }
    }

    pub(super) fn set(&mut self, direction: Direction, value: T) {
        match direction {
            Direction::Ingress => self.remote = value,
            Direction::Egress => self.host = value,
        }
    }
}

/// How long what may be silent, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) tcp: u64,
    pub(super) udp: u64,
    pub(super) echo: u64,
    pub(super) closing: u64,
    pub(super) waiting: u64,
}

impl Talk {
    pub(super) fn is_closing(&self) -> bool {
        self.reset || self.is_finished()
    }

    /// Both ends have said that they are done.
    pub(super) fn is_finished(&self) -> bool {
        self.finished.of(Direction::Ingress) && self.finished.of(Direction::Egress)
    }

    /// Any segment but a SYN.
    pub(super) fn hears(&mut self, direction: Direction, flags: u8, sequence: u32, acknowledgment: u32) {
        if flags & flag::RST != 0 {
            // The host's own is one; a stranger's would have to know what the host has acknowledged.
            let believed = direction == Direction::Egress || self.accepts == Some(sequence);
            if direction == Direction::Ingress && (believed || !self.reset) {
                self.resets = Some(sequence);
            }
            self.reset |= believed;
            return;
        }
        // What was on its way when the reset came is acknowledged after it.
        self.reset = direction == Direction::Egress && self.resets == Some(acknowledgment);
        match direction {
            Direction::Egress => self.accepts = Some(acknowledgment),
            Direction::Ingress => self.resets = None,
        }
        if flags & flag::FIN != 0 {
            self.finished.set(direction, true);
        }
    }
}

impl Flow {
    /// Whether it is still there.
    pub(super) fn lives(&self, protocol: u8, limits: &Limits, now: u64) -> bool {
        let limit = match (&self.phase, protocol) {
            (Phase::Asked | Phase::Offered { .. } | Phase::Met { .. }, _) => limits.waiting,
            (Phase::Live(talk), TCP) if talk.is_closing() => limits.closing,
            (Phase::Live(_), TCP) => limits.tcp,
            (Phase::Live(_), ICMP | ICMPV6) => limits.echo,
            (Phase::Live(_), _) => limits.udp,
        };
        now - self.seen <= limit
    }
}

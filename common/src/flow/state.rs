//! What is remembered of a live flow.

use crate::{direction::Direction, number::protocol, settings::Limits};

/// Marks of a flow, in the word of its standing.
mod mark {
    /// The remote end sent the first packet.
    pub(super) const REMOTE_BEGAN: u64 = 1 << 32;
    /// The other end has answered.
    pub(super) const ANSWERED: u64 = 2 << 32;
    /// The host has sent its FIN.
    pub(super) const FIN_LOCAL: u64 = 4 << 32;
    /// The remote end has sent its FIN.
    pub(super) const FIN_REMOTE: u64 = 8 << 32;
    /// A credible reset was the last packet.
    pub(super) const RESET: u64 = 16 << 32;
    /// Met in its middle, and as yet the remote end's packets only.
    pub(super) const MET_REMOTE: u64 = 32 << 32;
    /// As above, the host's packets only.
    pub(super) const MET_LOCAL: u64 = 64 << 32;
    /// The end that was called has sent data before the handshake was complete.
    pub(super) const EARLY: u64 = 128 << 32;
    /// Any sign of an end.
    pub(super) const ENDS: u64 = FIN_LOCAL | FIN_REMOTE | RESET;
    /// Which idle limit holds: see `Limits`.
    pub(super) const KIND_SHIFT: u32 = 40;
}

/// What is remembered of a flow.
///
/// Three words: the tick of its last packet; the host's last acknowledgement in the upper half and in the lower where the
/// remote end's last reset stands, 0 if it went on (until the handshake is complete, the caller's half has what it must
/// acknowledge); then the rule in bits 0 to 15, the generation in bits 16 to 31, the marks from bit 32 and
/// the kind of its idle limit from bit 40.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowState {
    seen: u64,
    acknowledged: u64,
    standing: u64,
}

const _: () = assert!(size_of::<FlowState>() == 24);

impl FlowState {
    /// Of a flow that no rule allows: see [`Posture::observes_alone`](crate::switch::Posture::observes_alone).
    pub const NO_RULE: u16 = u16::MAX;

    /// A flow of `protocol` that begins now, in `began`.
    #[inline(always)]
    #[must_use]
    pub const fn new(protocol: u8, began: Direction, rule: u16, generation: u16, now: u64) -> Self {
        let marks = match began {
            Direction::Ingress => mark::REMOTE_BEGAN,
            Direction::Egress => 0,
        };
        let kind = match protocol {
            protocol::TCP => Limits::TCP,
            protocol::ICMP | protocol::ICMPV6 => Limits::ECHO,
            _ => Limits::UDP,
        };
        let standing = kind << mark::KIND_SHIFT | marks | (generation as u64) << 16 | rule as u64;
        Self { seen: now, acknowledged: 0, standing }
    }

    /// As it lies in the tables.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn words(&self) -> [u64; 3] {
        [self.seen, self.acknowledged, self.standing]
    }

    /// As above.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn from_words([seen, acknowledged, standing]: [u64; 3]) -> Self {
        Self { seen, acknowledged, standing }
    }

    #[inline(always)]
    const fn is(&self, mark: u64) -> bool {
        self.standing & mark != 0
    }

    #[inline(always)]
    const fn marked(mut self, mark: u64) -> Self {
        self.standing |= mark;
        self
    }

    /// The direction of its first packet.
    #[inline(always)]
    #[must_use]
    pub const fn began(&self) -> Direction {
        if self.is(mark::REMOTE_BEGAN) { Direction::Ingress } else { Direction::Egress }
    }

    /// The rule under which it lives.
    #[inline(always)]
    #[must_use]
    pub const fn rule(&self) -> u16 {
        self.standing as u16
    }

    /// The generation that judged it last.
    #[inline(always)]
    #[must_use]
    pub const fn generation(&self) -> u16 {
        (self.standing >> 16) as u16
    }

    /// Tick of its last packet.
    #[inline(always)]
    #[must_use]
    pub const fn seen(&self) -> u64 {
        self.seen
    }

    /// Judged again, by a newer generation.
    #[inline(always)]
    #[must_use]
    pub const fn under(mut self, rule: u16, generation: u16) -> Self {
        self.standing = self.standing & !0xffff_ffff | (generation as u64) << 16 | rule as u64;
        self
    }

    /// A packet was seen.
    #[inline(always)]
    #[must_use]
    pub const fn at(mut self, now: u64) -> Self {
        self.seen = now;
        self
    }

    /// The other end has answered.
    #[inline(always)]
    #[must_use]
    pub const fn answered(self) -> Self {
        self.marked(mark::ANSWERED)
    }

    /// The end that was called has sent data before the handshake was complete (RFC 7413), if it has.
    #[inline(always)]
    #[must_use]
    pub const fn early(self, data: bool) -> Self {
        if data { self.marked(mark::EARLY) } else { self }
    }

    /// Whether it has.
    #[inline(always)]
    #[must_use]
    pub const fn is_early(&self) -> bool {
        self.is(mark::EARLY)
    }

    /// Whether the other end has answered.
    #[inline(always)]
    #[must_use]
    pub const fn is_answered(&self) -> bool {
        self.is(mark::ANSWERED)
    }

    /// Met in its middle, by a packet that goes in `direction`: what the other end says of it is not known yet.
    #[inline(always)]
    #[must_use]
    pub const fn met(self, direction: Direction) -> Self {
        self.marked(match direction {
            Direction::Ingress => mark::MET_REMOTE,
            Direction::Egress => mark::MET_LOCAL,
        })
    }

    /// The direction of the packet by which it was met in its middle.
    #[inline(always)]
    #[must_use]
    pub const fn met_by(&self) -> Option<Direction> {
        if self.is(mark::MET_REMOTE) {
            Some(Direction::Ingress)
        } else if self.is(mark::MET_LOCAL) {
            Some(Direction::Egress)
        } else {
            None
        }
    }

    /// Whether it is a TCP connection.
    #[inline(always)]
    #[must_use]
    pub const fn is_tcp(&self) -> bool {
        self.kind() == Limits::TCP
    }

    /// Which idle limit holds for it.
    #[inline(always)]
    const fn kind(&self) -> u64 {
        self.standing >> mark::KIND_SHIFT & 3
    }

    /// The end that sends in `direction` has acknowledged up to `number`; for a SYN-ACK: what the other end must
    /// acknowledge to complete the handshake.
    #[inline(always)]
    #[must_use]
    pub const fn acknowledging(mut self, direction: Direction, number: u32) -> Self {
        let shift = direction.index() * 32;
        self.acknowledged = self.acknowledged & !(0xffff_ffff << shift) | (number as u64) << shift;
        self
    }

    /// The last acknowledgement of the end that sends in `direction`; of a complete connection the host's alone is kept.
    #[inline(always)]
    #[must_use]
    pub const fn acknowledged(&self, direction: Direction) -> u32 {
        (self.acknowledged >> (direction.index() * 32)) as u32
    }

    /// The remote end's last packet is a reset, whose sequence number this is; 0 for any other packet.
    #[inline(always)]
    #[must_use]
    pub const fn resetting(self, number: u32) -> Self {
        self.acknowledging(Direction::Ingress, number)
    }

    /// As above.
    #[inline(always)]
    #[must_use]
    pub const fn resets_at(&self) -> u32 {
        self.acknowledged(Direction::Ingress)
    }

    /// The end that sends in `direction` has sent its FIN.
    #[inline(always)]
    #[must_use]
    pub const fn finished(self, direction: Direction) -> Self {
        self.marked(match direction {
            Direction::Ingress => mark::FIN_REMOTE,
            Direction::Egress => mark::FIN_LOCAL,
        })
    }

    /// Whether a credible reset was the last packet.
    #[inline(always)]
    #[must_use]
    pub const fn reset(mut self, reset: bool) -> Self {
        self.standing = if reset { self.standing | mark::RESET } else { self.standing & !mark::RESET };
        self
    }

    /// Whether it was.
    #[inline(always)]
    #[must_use]
    pub const fn is_reset(&self) -> bool {
        self.is(mark::RESET)
    }

    /// Both ends have finished.
    #[inline(always)]
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.is(mark::FIN_LOCAL) && self.is(mark::FIN_REMOTE)
    }

    /// Both ends have finished, or one has reset the connection.
    #[inline(always)]
    #[must_use]
    pub const fn is_closing(&self) -> bool {
        self.closing() != 0
    }

    /// 1 or 0, without a branch.
    #[inline(always)]
    const fn closing(&self) -> u64 {
        let marks = self.standing >> mark::FIN_LOCAL.trailing_zeros();
        (marks & marks >> 1 | marks >> 2) & 1
    }

    /// Whether an answered flow is still within its idle limit.
    #[inline(always)]
    #[must_use]
    pub const fn lives(&self, limits: &Limits, now: u64) -> bool {
        let kind = self.kind();
        // Only TCP, whose kind is 0, ever closes.
        let kind = if self.is(mark::ENDS) { kind | (self.closing() * Limits::CLOSING) } else { kind };
        // A clock that runs behind another CPU's has not passed it.
        now <= self.seen.saturating_add(limits.idle(kind))
    }

    /// Whether a flow that waits for its answer may still wait.
    #[inline(always)]
    #[must_use]
    pub const fn waits(&self, limits: &Limits, now: u64) -> bool {
        now <= self.seen.saturating_add(limits.embryonic())
    }
}

#[cfg(feature = "user")]
// SAFETY: `repr(C)` of words; every bit pattern is a value.
unsafe impl aya::Pod for FlowState {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_locked() {
        let state =
            FlowState::new(protocol::TCP, Direction::Ingress, 3, 9, 77).acknowledging(Direction::Egress, 5);
        assert_eq!(state, FlowState { seen: 77, acknowledged: 5 << 32, standing: 1 << 32 | 9 << 16 | 3 });
    }

    #[test]
    fn a_flow_closes_by_two_fins_or_a_reset_that_stays_the_last_word() {
        let open = FlowState::new(protocol::TCP, Direction::Egress, 0, 1, 0);
        assert!(!open.finished(Direction::Ingress).is_closing());
        assert!(open.finished(Direction::Ingress).finished(Direction::Egress).is_closing());
        assert!(open.reset(true).is_closing() && !open.reset(true).reset(false).is_closing());
    }

    #[test]
    fn each_kind_of_flow_has_its_own_idle_limit() {
        let limits = Limits::new(1_000, 60, 30, 180, 40);
        for (protocol, limit) in
            [(protocol::TCP, 1_000), (protocol::UDP, 180), (protocol::ICMP, 40), (132, 180)]
        {
            let state = FlowState::new(protocol, Direction::Egress, 0, 1, 5);
            assert!(state.lives(&limits, 5 + limit) && !state.lives(&limits, 6 + limit), "{protocol}");
        }
        let closing = FlowState::new(protocol::TCP, Direction::Egress, 0, 1, 5).reset(true);
        assert!(closing.lives(&limits, 65) && !closing.lives(&limits, 66));
        assert!(closing.waits(&limits, 35) && !closing.waits(&limits, 36));
    }
}

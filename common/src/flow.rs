//! A live flow: its key, and what is remembered of it.

use crate::{Address, Service, direction::Direction, hash, number::protocol, settings::Limits};

/// The two ends and the protocol, keyed from the host's side: both directions make the same key.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FlowKey {
    local: Address,
    remote: Address,
    local_port: u16,
    remote_port: u16,
    protocol: u8,
    reserved: [u8; 3],
}

const _: () = assert!(size_of::<FlowKey>() == 40);

impl FlowKey {
    /// Ports of an echo: see [`FlowKey::echo`]; of protocols without ports: 0.
    #[inline(always)]
    #[must_use]
    pub const fn new(
        local: Address,
        remote: Address,
        local_port: u16,
        remote_port: u16,
        protocol: u8,
    ) -> Self {
        Self { local, remote, local_port, remote_port, protocol, reserved: [0; 3] }
    }

    /// An echo goes by its identifier, and by who asks: both hosts may ask with the same one.
    #[inline(always)]
    #[must_use]
    pub const fn echo(
        local: Address,
        remote: Address,
        identifier: u16,
        asks: Direction,
        protocol: u8,
    ) -> Self {
        Self::new(local, remote, identifier, asks.index() as u16, protocol)
    }

    /// The host's end.
    #[inline(always)]
    #[must_use]
    pub const fn local(&self) -> Address {
        self.local
    }

    /// The other end.
    #[inline(always)]
    #[must_use]
    pub const fn remote(&self) -> Address {
        self.remote
    }

    /// Port of the host's end.
    #[must_use]
    pub const fn local_port(&self) -> u16 {
        self.local_port
    }

    /// Port of the other end.
    #[must_use]
    pub const fn remote_port(&self) -> u16 {
        self.remote_port
    }

    /// IANA number.
    #[inline(always)]
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        self.protocol
    }

    /// The service that the flow's first packet asked for, when it went in `began`.
    #[inline(always)]
    #[must_use]
    pub const fn service(&self, began: Direction) -> Service {
        let number = match (self.protocol, began) {
            (protocol::TCP | protocol::UDP, Direction::Ingress) => self.local_port,
            (protocol::TCP | protocol::UDP, Direction::Egress) => self.remote_port,
            (protocol::ICMP, _) => crate::number::icmp::ECHO as u16,
            (protocol::ICMPV6, _) => crate::number::icmpv6::ECHO as u16,
            _ => 0,
        };
        Service { direction: began, protocol: self.protocol, number }
    }

    /// Mixes the key with four secret words: who doesn't know them can't aim at a bucket.
    #[inline(always)]
    #[must_use]
    pub const fn hash(&self, secret: &[u64; 4]) -> u64 {
        let ([l0, l1], [r0, r1]) = (self.local.words(), self.remote.words());
        let ports = (self.local_port as u64) << 32 | (self.remote_port as u64) << 16 | self.protocol as u64;
        let [m0, m1, m2, m3, m4] = hash::MULTIPLIERS;
        let a = (l1 ^ secret[0]).wrapping_mul(m0);
        let b = (r1 ^ secret[1]).wrapping_mul(m1);
        let c = (ports ^ secret[2]).wrapping_mul(m2);
        let d = (l0.rotate_left(32) ^ r0 ^ secret[3]).wrapping_mul(m3);
        let mixed = a.rotate_left(17) ^ b.rotate_left(31) ^ c ^ d.rotate_left(47);
        (mixed ^ (mixed >> 32)).wrapping_mul(m4)
    }
}

/// Marks of a flow.
mod mark {
    /// The remote end sent the first packet.
    pub(super) const REMOTE_BEGAN: u8 = 1;
    /// The other end has answered.
    pub(super) const ANSWERED: u8 = 2;
    /// The host has sent its FIN.
    pub(super) const FIN_LOCAL: u8 = 4;
    /// The remote end has sent its FIN.
    pub(super) const FIN_REMOTE: u8 = 8;
    /// A credible reset was the last packet.
    pub(super) const RESET: u8 = 16;
}

/// What is remembered of a flow.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowState {
    seen: u64,
    acknowledged: [u32; 2],
    rule: u16,
    generation: u16,
    marks: u8,
    reserved: [u8; 3],
}

const _: () = assert!(size_of::<FlowState>() == 24);

impl FlowState {
    /// A flow that begins now, in `began`.
    #[inline(always)]
    #[must_use]
    pub const fn new(began: Direction, rule: u16, generation: u16, now: u64) -> Self {
        let marks = match began {
            Direction::Ingress => mark::REMOTE_BEGAN,
            Direction::Egress => 0,
        };
        Self { seen: now, acknowledged: [0; 2], rule, generation, marks, reserved: [0; 3] }
    }

    /// The direction of its first packet.
    #[inline(always)]
    #[must_use]
    pub const fn began(&self) -> Direction {
        if self.marks & mark::REMOTE_BEGAN != 0 { Direction::Ingress } else { Direction::Egress }
    }

    /// The rule under which it lives.
    #[inline(always)]
    #[must_use]
    pub const fn rule(&self) -> u16 {
        self.rule
    }

    /// The generation that judged it last.
    #[inline(always)]
    #[must_use]
    pub const fn generation(&self) -> u16 {
        self.generation
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
        self.rule = rule;
        self.generation = generation;
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
    pub const fn answered(mut self) -> Self {
        self.marks |= mark::ANSWERED;
        self
    }

    /// Whether the other end has answered.
    #[inline(always)]
    #[must_use]
    pub const fn is_answered(&self) -> bool {
        self.marks & mark::ANSWERED != 0
    }

    /// The end that sends in `direction` has acknowledged up to `number`; for a SYN-ACK: what the other end must
    /// acknowledge to complete the handshake.
    #[inline(always)]
    #[must_use]
    pub const fn acknowledging(mut self, direction: Direction, number: u32) -> Self {
        match direction {
            Direction::Ingress => self.acknowledged[0] = number,
            Direction::Egress => self.acknowledged[1] = number,
        }
        self
    }

    /// The last acknowledgement of the end that sends in `direction`.
    #[inline(always)]
    #[must_use]
    pub const fn acknowledged(&self, direction: Direction) -> u32 {
        match direction {
            Direction::Ingress => self.acknowledged[0],
            Direction::Egress => self.acknowledged[1],
        }
    }

    /// The end that sends in `direction` has sent its FIN.
    #[inline(always)]
    #[must_use]
    pub const fn finished(mut self, direction: Direction) -> Self {
        self.marks |= match direction {
            Direction::Ingress => mark::FIN_REMOTE,
            Direction::Egress => mark::FIN_LOCAL,
        };
        self
    }

    /// Whether a credible reset was the last packet.
    #[inline(always)]
    #[must_use]
    pub const fn reset(mut self, reset: bool) -> Self {
        self.marks = if reset { self.marks | mark::RESET } else { self.marks & !mark::RESET };
        self
    }

    /// Both ends have finished, or one has reset the connection.
    #[inline(always)]
    #[must_use]
    pub const fn is_closing(&self) -> bool {
        let both = mark::FIN_LOCAL | mark::FIN_REMOTE;
        self.marks & both == both || self.marks & mark::RESET != 0
    }

    /// Whether an answered flow is still within its idle limit.
    #[inline(always)]
    #[must_use]
    pub const fn lives(&self, protocol: u8, limits: &Limits, now: u64) -> bool {
        let limit = match protocol {
            protocol::TCP if self.is_closing() => limits.closing(),
            protocol::TCP => limits.tcp_idle(),
            protocol::ICMP | protocol::ICMPV6 => limits.echo_idle(),
            _ => limits.udp_idle(),
        };
        now.saturating_sub(self.seen) <= limit
    }

    /// Whether a flow that waits for its answer may still wait.
    #[inline(always)]
    #[must_use]
    pub const fn waits(&self, limits: &Limits, now: u64) -> bool {
        now.saturating_sub(self.seen) <= limits.embryonic()
    }
}

#[cfg(feature = "user")]
// SAFETY: `repr(C)` of addresses and integers, its padding spelled out; every bit pattern is a value.
unsafe impl aya::Pod for FlowKey {}
#[cfg(feature = "user")]
// SAFETY: `repr(C)` of integers, its padding spelled out; every bit pattern is a value.
unsafe impl aya::Pod for FlowState {}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: Address = Address::v4([192, 0, 2, 10]);
    const REMOTE: Address = Address::v4([198, 51, 100, 7]);

    #[test]
    fn the_bytes_are_locked() {
        let key = FlowKey::new(LOCAL, REMOTE, 443, 40_000, protocol::TCP);
        let state = FlowState::new(Direction::Ingress, 3, 9, 77).acknowledging(Direction::Egress, 5);
        assert_eq!((size_of_val(&key), align_of_val(&key)), (40, 8));
        assert_eq!((size_of_val(&state), core::mem::offset_of!(FlowState, marks)), (24, 20));
    }

    #[test]
    fn a_service_is_the_end_that_was_called() {
        let key = FlowKey::new(LOCAL, REMOTE, 443, 40_000, protocol::TCP);
        assert_eq!(key.service(Direction::Ingress).number, 443);
        assert_eq!(key.service(Direction::Egress).number, 40_000);
        let echo = FlowKey::echo(LOCAL, REMOTE, 7, Direction::Ingress, protocol::ICMP);
        assert_eq!(echo.service(Direction::Ingress).number, 8);
        assert_ne!(echo, FlowKey::echo(LOCAL, REMOTE, 7, Direction::Egress, protocol::ICMP));
    }

    #[test]
    fn a_flow_closes_by_two_fins_or_a_reset_that_stays_the_last_word() {
        let open = FlowState::new(Direction::Egress, 0, 1, 0);
        assert!(!open.finished(Direction::Ingress).is_closing());
        assert!(open.finished(Direction::Ingress).finished(Direction::Egress).is_closing());
        assert!(open.reset(true).is_closing() && !open.reset(true).reset(false).is_closing());
    }

    #[test]
    fn the_hash_depends_on_every_part_and_on_the_secret() {
        let secret = [1, 2, 3, 4];
        let key = FlowKey::new(LOCAL, REMOTE, 443, 40_000, protocol::TCP);
        for other in [
            FlowKey::new(REMOTE, LOCAL, 443, 40_000, protocol::TCP),
            FlowKey::new(LOCAL, REMOTE, 444, 40_000, protocol::TCP),
            FlowKey::new(LOCAL, REMOTE, 443, 40_001, protocol::TCP),
            FlowKey::new(LOCAL, REMOTE, 443, 40_000, protocol::UDP),
        ] {
            assert_ne!(key.hash(&secret), other.hash(&secret));
        }
        assert_ne!(key.hash(&secret), key.hash(&[1, 2, 3, 5]));
    }
}

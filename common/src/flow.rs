//! A live flow: its key, and what is remembered of it ([`FlowState`]).

mod state;

pub use self::state::FlowState;
use crate::{Address, Service, direction::Direction, hash, number::protocol};

/// The two ends and the protocol, keyed from the host's side: both directions make the same key.
///
/// Five words: local address, remote address, then the local port in bits 32 to 47, the remote port in bits 16 to
/// 31, and the protocol in bits 0 to 7. Whole words keep the kernel programs from moving it about in odd pieces.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowKey {
    local: Address,
    remote: Address,
    ports: u64,
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
        let ports = (local_port as u64) << 32 | (remote_port as u64) << 16 | protocol as u64;
        Self { local, remote, ports }
    }

    /// The ends of a packet from `source` to `destination` that goes in `direction`; ports come later.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn between(source: Address, destination: Address, direction: Direction) -> Self {
        match direction {
            Direction::Ingress => Self { local: destination, remote: source, ports: 0 },
            Direction::Egress => Self { local: source, remote: destination, ports: 0 },
        }
    }

    /// Adds the protocol, and the ports of a packet that goes in `direction`.
    #[inline(always)]
    pub(crate) const fn carry(&mut self, source: u16, destination: u16, direction: Direction, protocol: u8) {
        let (local, remote) = match direction {
            Direction::Ingress => (destination, source),
            Direction::Egress => (source, destination),
        };
        self.ports = (local as u64) << 32 | (remote as u64) << 16 | protocol as u64;
    }

    /// Makes it an echo that the end which sends in `asks` began.
    #[inline(always)]
    pub(crate) const fn ask(&mut self, identifier: u16, asks: Direction, protocol: u8) {
        self.ports = (identifier as u64) << 32 | (asks.index() as u64) << 16 | protocol as u64;
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

    /// As it lies in the tables.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn words(&self) -> [u64; 5] {
        let ([l0, l1], [r0, r1]) = (self.local.words(), self.remote.words());
        [l0, l1, r0, r1, self.ports]
    }

    /// As above.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn from_words([l0, l1, r0, r1, ports]: [u64; 5]) -> Self {
        Self { local: Address::from_words([l0, l1]), remote: Address::from_words([r0, r1]), ports }
    }

    /// The host's end.
    #[inline(always)]
    #[must_use]
    pub const fn local(&self) -> &Address {
        &self.local
    }

    /// The other end.
    #[inline(always)]
    #[must_use]
    pub const fn remote(&self) -> &Address {
        &self.remote
    }

    /// Port of the host's end.
    #[inline(always)]
    #[must_use]
    pub const fn local_port(&self) -> u16 {
        (self.ports >> 32) as u16
    }

    /// Port of the other end.
    #[inline(always)]
    #[must_use]
    pub const fn remote_port(&self) -> u16 {
        (self.ports >> 16) as u16
    }

    /// IANA number.
    #[inline(always)]
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        self.ports as u8
    }

    /// The service that the flow's first packet asked for, when it went in `began`.
    #[inline(always)]
    #[must_use]
    pub const fn service(&self, began: Direction) -> Service {
        let number = match (self.protocol(), began) {
            (protocol::TCP | protocol::UDP, Direction::Ingress) => self.local_port(),
            (protocol::TCP | protocol::UDP, Direction::Egress) => self.remote_port(),
            (protocol::ICMP, _) => crate::number::icmp::ECHO as u16,
            (protocol::ICMPV6, _) => crate::number::icmpv6::ECHO as u16,
            _ => 0,
        };
        Service { direction: began, protocol: self.protocol(), number }
    }

    /// Mixes the key with two secret words: who doesn't know them can't aim at a bucket.
    #[inline(always)]
    #[must_use]
    pub const fn hash(&self, secret: &[u64; 2]) -> u64 {
        let ([l0, l1], [r0, r1]) = (self.local.words(), self.remote.words());
        let [m0, m1, m2, m3] = hash::MULTIPLIERS;
        let remote = (r1 ^ secret[0]).wrapping_mul(m0);
        let rest = (self.ports ^ l1 ^ secret[1]).wrapping_mul(m1);
        // Nothing for IPv4, whose upper words are 0.
        let upper = (r0 ^ l0.rotate_left(32)).wrapping_mul(m2);
        let mixed = remote.wrapping_add(rest) ^ upper.rotate_left(16);
        (mixed ^ (mixed >> 32)).wrapping_mul(m3)
    }
}

#[cfg(feature = "user")]
// SAFETY: `repr(C)` of words; every bit pattern is a value.
unsafe impl aya::Pod for FlowKey {}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: Address = Address::v4([192, 0, 2, 10]);
    const REMOTE: Address = Address::v4([198, 51, 100, 7]);

    #[test]
    fn the_bytes_are_locked() {
        let key = FlowKey::new(LOCAL, REMOTE, 443, 40_000, protocol::TCP);
        assert_eq!((size_of_val(&key), align_of_val(&key)), (40, 8));
        assert_eq!(key.ports, 443 << 32 | 40_000 << 16 | 6);
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
    fn the_hash_depends_on_every_part_and_on_the_secret() {
        let secret = [1, 2];
        let key = FlowKey::new(LOCAL, REMOTE, 443, 40_000, protocol::TCP);
        for other in [
            FlowKey::new(REMOTE, LOCAL, 443, 40_000, protocol::TCP),
            FlowKey::new(LOCAL, REMOTE, 444, 40_000, protocol::TCP),
            FlowKey::new(LOCAL, REMOTE, 443, 40_001, protocol::TCP),
            FlowKey::new(LOCAL, REMOTE, 443, 40_000, protocol::UDP),
        ] {
            assert_ne!(key.hash(&secret), other.hash(&secret));
        }
        assert_ne!(key.hash(&secret), key.hash(&[1, 3]));
    }
}

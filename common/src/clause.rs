//! One way in which a service may be used that looks at more than the peer: at a group, a source port, a control flow, the
//! interface.

use crate::{Address, class::Class, counter::MAX_INTERFACES};

/// Clauses over all services.
pub const MAX_CLAUSES: u32 = 1 << 11;
/// Clauses of one service.
pub const MAX_ALTERNATIVES: u32 = 16;

/// To whom a first packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// One host.
    Host,
    /// 255.255.255.255, or the directed broadcast address of an interface.
    Broadcast,
    /// A multicast group.
    Group(Address),
}

/// A clause as it lies in the kernel's map: all that it states has to hold.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Clause {
    group: Address,
    source_port: u16,
    control_port: u16,
    class: u16,
    kind: u16,
    interfaces: u64,
}

const _: () = assert!(size_of::<Clause>() == 32);

/// Interfaces, a bit for each one's place.
pub type Interfaces = u64;

/// Every interface, and where a packet's is not known.
pub const ANY_INTERFACE: Interfaces = Interfaces::MAX;

/// The interface with this place alone.
#[must_use]
pub const fn interface(place: u32) -> Interfaces {
    1 << (place % MAX_INTERFACES)
}

const _: () = assert!(MAX_INTERFACES <= Interfaces::BITS);

impl Clause {
    const BROADCAST: u16 = 1;
    const GROUP: u16 = 2;
    /// No other clause of the service follows.
    const LAST: u16 = 1 << 8;
    /// It is for whom the service's roles, which are only observed, don't name.
    const OBSERVED: u16 = 1 << 9;

    /// `source_port`, `control_port`: 0 where there is none; `class`: nobody, anybody or numbered.
    #[must_use]
    pub const fn new(to: To, source_port: u16, control_port: u16, class: Class) -> Self {
        let (kind, group) = match to {
            To::Host => (0, Address::UNSPECIFIED),
            To::Broadcast => (Self::BROADCAST, Address::UNSPECIFIED),
            To::Group(group) => (Self::GROUP, group),
        };
        Self { group, source_port, control_port, class: class.word(), kind, interfaces: ANY_INTERFACE }
    }

    /// The service's last one.
    #[must_use]
    pub const fn last(self) -> Self {
        Self { kind: self.kind | Self::LAST, ..self }
    }

    /// On these interfaces only.
    #[must_use]
    pub const fn on(self, interfaces: Interfaces) -> Self {
        Self { interfaces, ..self }
    }

    /// For those whom enforcing would drop.
    #[must_use]
    pub const fn observed(self) -> Self {
        Self { kind: self.kind | Self::OBSERVED, ..self }
    }

    /// Whether enforcing would drop what it lets pass.
    #[inline(always)]
    #[must_use]
    pub const fn is_observed(&self) -> bool {
        self.kind & Self::OBSERVED != 0
    }

    /// Whether no other one of the service follows.
    #[inline(always)]
    #[must_use]
    pub const fn is_last(&self) -> bool {
        self.kind & Self::LAST != 0
    }

    /// Whether it is about packets to many.
    #[inline(always)]
    #[must_use]
    pub const fn is_to_many(&self) -> bool {
        self.kind & (Self::BROADCAST | Self::GROUP) != 0
    }

    /// Whether it is about packets to `destination`, which is a `broadcast` address or not.
    #[inline(always)]
    #[must_use]
    pub fn is_to(&self, destination: &Address, broadcast: bool) -> bool {
        if self.kind & Self::GROUP != 0 {
            self.group == *destination
        } else {
            broadcast == (self.kind & Self::BROADCAST != 0) && !destination.is_multicast()
        }
    }

    /// Whether it is about packets from this port.
    #[inline(always)]
    #[must_use]
    pub const fn is_from(&self, port: u16) -> bool {
        self.source_port == 0 || self.source_port == port
    }

    /// Whether it is about one of these interfaces.
    #[inline(always)]
    #[must_use]
    pub const fn is_on(&self, interfaces: Interfaces) -> bool {
        self.interfaces & interfaces != 0
    }

    /// Server port of the flow that has to live; 0 where none has to.
    #[inline(always)]
    #[must_use]
    pub const fn control_port(&self) -> u16 {
        self.control_port
    }

    /// Its peers.
    #[inline(always)]
    #[must_use]
    pub const fn class(&self) -> Class {
        Class::from_word(self.class)
    }
}

#[cfg(feature = "user")]
// SAFETY: `repr(C)` of an address and integers without padding; every bit pattern is a value.
unsafe impl aya::Pod for Clause {}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: Address = Address::v4([192, 0, 2, 10]);
    const ALL: Address = Address::v4([255; 4]);
    const GROUP: Address = Address::v4([224, 10, 10, 25]);
    const GROUP_V6: Address = Address::v6([0xff, 2, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0xfb]);

    #[test]
    fn the_bytes_are_locked() {
        let clause = Clause::new(To::Group(GROUP), 20, 21, Class::numbered(7)).last();
        let Clause { group, source_port, control_port, class, kind, interfaces } = clause;
        assert_eq!((group, source_port, control_port, class, kind), (GROUP, 20, 21, 7, 0x102));
        assert_eq!((interfaces, interface(0), interface(31)), (u64::MAX, 1, 1 << 31));
        assert_eq!(clause.class(), Class::numbered(7));
        let Clause { kind, .. } = clause.observed();
        assert_eq!((kind, clause.is_observed(), clause.observed().is_observed()), (0x302, false, true));
    }

    #[test]
    fn each_destination_has_its_own_clause() {
        for (to, host, broadcast, group, group_v6) in [
            (To::Host, true, false, false, false),
            (To::Broadcast, false, true, false, false),
            (To::Group(GROUP), false, false, true, false),
            (To::Group(GROUP_V6), false, false, false, true),
        ] {
            let clause = Clause::new(to, 0, 0, Class::anybody(1));
            let found = [(HOST, false), (ALL, true), (GROUP, false), (GROUP_V6, false)]
                .map(|(address, is_broadcast)| clause.is_to(&address, is_broadcast));
            assert_eq!(found, [host, broadcast, group, group_v6], "{to:?}");
            assert_eq!(clause.is_to_many(), to != To::Host);
        }
    }

    #[test]
    fn an_interface_is_one_of_some_or_any() {
        let any = Clause::new(To::Host, 0, 0, Class::anybody(1));
        let two = any.on(interface(1) | interface(4));
        for (place, within) in [(0, false), (1, true), (4, true), (5, false)] {
            assert_eq!((any.is_on(interface(place)), two.is_on(interface(place))), (true, within), "{place}");
        }
        assert!(two.is_on(ANY_INTERFACE) && !any.on(0).is_on(ANY_INTERFACE));
    }

    #[test]
    fn a_source_port_is_one_or_any() {
        let any = Clause::new(To::Host, 0, 0, Class::anybody(1));
        let one = Clause::new(To::Host, 20, 0, Class::anybody(1));
        assert!(any.is_from(20) && any.is_from(50_000) && one.is_from(20) && !one.is_from(50_000));
        assert!(!any.is_last() && any.last().is_last());
    }
}

//! The look-ups that a verdict needs: over maps in the kernel, over plain collections in user space.

use crate::{
    Address, Decision, Direction, Service, Sight,
    class::{self, Class, PeerBucket, Peering, RuleId},
    clause::{Clause, Interfaces},
    decide::{self, Control},
    flow::{FlowKey, FlowState},
    names::{LearnedSet, NameId},
    service::Transport,
    settings::Settings,
    switch::Posture,
};

/// Policy of one generation, state, and the clock.
pub trait Tables {
    /// Where a flow stands, to write its state back.
    type Slot: Copy;

    /// The clock in ticks, monotonic.
    fn now(&self) -> u64;

    /// The generation that is in force.
    fn generation(&self) -> u16;

    /// The modes in force, whatever the generation.
    fn posture(&self) -> Posture;

    /// Its settings.
    fn settings(&self) -> &Settings;

    /// What the policy says of the service with this slot.
    fn class_at(&self, slot: u32) -> Class;

    /// What the policy says of a service.
    fn class(&self, service: Service) -> Class {
        self.class_at(service.slot())
    }

    /// Whether any rule documents a port.
    fn documents(&self, direction: Direction, transport: Transport, port: u16) -> bool {
        self.class_at(Service::port_slot(direction, transport, port)) != Class::NONE
    }

    /// A numbered class.
    fn peering(&self, number: u16) -> Option<&Peering>;

    /// A bucket of the peer table; the index wraps.
    fn peers(&self, bucket: u32) -> Option<&PeerBucket>;

    /// An entry of the list of shared rules.
    fn shared(&self, index: u32) -> Option<RuleId>;

    /// The verdict on a peer of a numbered class. In the kernel this is two functions of their own.
    fn among(&self, number: u16, remote: &Address) -> Decision
    where
        Self: Sized,
    {
        match decide::among(number, remote, self) {
            decision if decision.asks_names() => self.named(number, remote, false),
            decision => decision,
        }
    }

    /// The same for the peer of a flow that lives, whose names hold beyond their time.
    fn among_living(&self, number: u16, remote: &Address) -> Decision
    where
        Self: Sized,
    {
        match decide::among(number, remote, self) {
            decision if decision.asks_names() => self.named(number, remote, true),
            decision => decision,
        }
    }

    /// The set in which the names stand that were learned for an address, handed to `tell`.
    fn learned<R>(&self, address: &Address, tell: impl FnOnce(&LearnedSet) -> Option<R>) -> Option<R>
    where
        Self: Sized;

    /// The verdict on a peer of a numbered class by its names, see [`decide::named`]. In the kernel this is a function of
    /// its own.
    fn named(&self, number: u16, remote: &Address, lives: bool) -> Decision
    where
        Self: Sized,
    {
        decide::named(number, remote, lives, self)
    }

    /// The interface that a packet came by or leaves by; every one where that is not known.
    fn interfaces(&self) -> Interfaces;

    /// A clause.
    fn clause(&self, index: u32) -> Option<&Clause>;

    /// The verdict of the clauses from `first` on, on a flow that begins in `began`, or lives since it did. In the kernel
    /// this is a function of its own.
    fn particular(&self, first: u16, key: &FlowKey, began: Direction, lives: bool) -> Decision
    where
        Self: Sized,
    {
        decide::particular(first, key, began, lives, self)
    }

    /// Whether a control flow to `port` lives beside a data connection that begins in `began`. In the kernel this is a
    /// function of its own.
    fn is_controlled(&self, port: u16, key: &FlowKey, began: Direction) -> bool
    where
        Self: Sized,
    {
        decide::is_controlled(port, key, began, self)
    }

    /// One judgement, see [`decide::judge`]. In the kernel this is a function of its own.
    fn judge(&self, sight: &Sight, direction: Direction) -> Decision
    where
        Self: Sized,
    {
        decide::judge(sight, direction, self)
    }

    /// Whether a packet of DHCP is this host's own matter, see [`decide::leases`]. In the kernel this is a function of its
    /// own.
    fn leases(&self, sight: &Sight, direction: Direction) -> bool
    where
        Self: Sized,
    {
        decide::leases(sight, direction, self)
    }

    /// What a protected address is, see [`decide::protects`]. In the kernel this is a function of its own.
    fn protects(&self, address: &Address) -> u16
    where
        Self: Sized,
    {
        decide::protects(address, self)
    }

    /// The position of a name in a set. In the kernel this is a function of its own.
    fn pattern(&self, set: u16, name: NameId) -> Option<u16>
    where
        Self: Sized,
    {
        class::pattern(set, name, self)
    }

    /// A flow whose other end has answered, if it lives at tick `now`.
    fn established(&self, key: &FlowKey, now: u64) -> Option<Live<Self::Slot>>;

    /// Whether a flow waits for its answer, or did not long ago.
    fn is_embryonic(&self, key: &FlowKey) -> bool;

    /// A live flow, established or waiting for its answer.
    fn find(&self, key: &FlowKey) -> Option<Live<Self::Slot>>;

    /// Puts a flow into the embryonic table, where it may push out the one that waited longest.
    fn begin(&self, key: &FlowKey, state: FlowState);

    /// Moves a flow to the established table. Where that is full the flow stays embryonic, and the refusal is
    /// counted.
    fn establish(&self, key: &FlowKey, state: FlowState);

    /// Writes the state of an established flow back.
    fn refresh(&self, live: &Live<Self::Slot>, key: &FlowKey, state: FlowState);

    /// Takes a flow out of both tables.
    fn end(&self, key: &FlowKey);

    /// The direction in which a flow began that is established, and neither closes nor was reset. In the kernel this is a
    /// function of its own.
    fn open(&self, key: &FlowKey) -> Option<Direction> {
        let live = self.established(key, self.now())?;
        if live.state.is_closing() { None } else { Some(live.state.began()) }
    }

    /// Keeps a control flow in mind, see [`decide::note`]. In the kernel this is a function of its own.
    fn note(&self, key: &FlowKey, began: Direction)
    where
        Self: Sized,
    {
        decide::note(key, began, self);
    }

    /// The control flows between two hosts, by [`Control::key`].
    fn control(&self, pair: &FlowKey) -> Option<Control>;

    /// Writes them back.
    fn set_control(&self, pair: &FlowKey, control: Control);

    /// What the first fragment of a datagram left behind.
    fn fragment(&self, key: &FragmentKey) -> Option<FragmentState>;

    /// A first fragment has passed.
    fn remember(&self, key: &FragmentKey, state: FragmentState);
}

/// A flow that was found.
#[derive(Clone, Copy, Debug)]
pub struct Live<Slot> {
    /// Where.
    pub slot: Slot,
    /// What is known of it.
    pub state: FlowState,
    /// Whether its other end has answered.
    pub established: bool,
}

/// A datagram in fragments (RFC 791, RFC 8200).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FragmentKey {
    /// Who sends it.
    pub source: Address,
    /// To whom.
    pub destination: Address,
    /// Its identification.
    pub id: u32,
    /// IANA number of its transport; 0 for IPv6, whose fragments may name any (RFC 8200, section 4.5).
    pub protocol: u32,
}

/// A first fragment that has passed.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FragmentState {
    /// Tick at which it passed.
    pub seen: u64,
    /// Where its payload ends in the datagram's: later fragments begin there or behind.
    pub end: u32,
    /// The rule under which it passed, or [`FragmentState::NO_RULE`].
    pub rule: u16,
    /// The generation that let it pass.
    pub generation: u16,
}

impl FragmentState {
    /// The first fragment passed without a rule.
    pub const NO_RULE: u16 = u16::MAX;
}

const _: () = assert!(size_of::<FragmentKey>() == 40);
const _: () = assert!(size_of::<FragmentState>() == 16);

#[cfg(feature = "user")]
// SAFETY: `repr(C)` of addresses and integers without padding; every bit pattern is a value.
unsafe impl aya::Pod for FragmentKey {}
#[cfg(feature = "user")]
// SAFETY: `repr(C)` of integers without padding; every bit pattern is a value.
unsafe impl aya::Pod for FragmentState {}

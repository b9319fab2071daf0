//! What a generation of the policy says beside its rules.

use crate::{class::RuleId, number::ethertype};

/// EtherTypes that a host file may list.
pub const MAX_ETHERTYPES: usize = 16;
/// Ports of control flows that a policy may have: FTP's is the one that documents name.
pub const MAX_CONTROL_PORTS: usize = 6;
/// Flows to resolvers that a policy may have: a role has two or three.
pub const MAX_RESOLVERS: usize = 16;

/// Idle limits in ticks of the clock that [`crate::Tables::now`] reads.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    idle: [u64; 4],
    embryonic: u64,
}

impl Limits {
    /// Established TCP.
    pub(crate) const TCP: u64 = 0;
    /// Answered UDP, and other protocols without connections.
    pub(crate) const UDP: u64 = 1;
    /// Answered echo.
    pub(crate) const ECHO: u64 = 2;
    /// TCP after both FINs or a reset.
    pub(crate) const CLOSING: u64 = 3;

    /// All in ticks: established TCP, TCP that closes, anything that waits for its answer, answered UDP, answered echo.
    #[must_use]
    pub const fn new(tcp_idle: u64, closing: u64, embryonic: u64, udp_idle: u64, echo_idle: u64) -> Self {
        Self { idle: [tcp_idle, udp_idle, echo_idle, closing], embryonic }
    }

    /// The limit of a kind of flow.
    #[inline(always)]
    pub(crate) const fn idle(&self, kind: u64) -> u64 {
        self.idle[(kind & 3) as usize]
    }

    /// Anything that waits for its answer.
    #[inline(always)]
    #[must_use]
    pub const fn embryonic(&self) -> u64 {
        self.embryonic
    }
}

/// Switches of the baseline.
pub mod flag {
    /// This host is a DHCP client.
    pub const DHCP: u32 = 1;
    /// Only the listed EtherTypes pass.
    pub const ETHERTYPES_LISTED: u32 = 2;
    /// A rule needs multicast, and so IGMP.
    pub const MULTICAST: u32 = 4;
    /// A rule names a domain name: what resolvers answer is learned.
    pub const NAMES: u32 = 8;
}

/// A generation's settings, as they lie in the kernel's map.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    limits: Limits,
    adopt_until: u64,
    peer_seed: u64,
    ethertypes: [u16; MAX_ETHERTYPES],
    flags: u32,
    control_ports: [u16; MAX_CONTROL_PORTS],
    /// One more than each rule under which resolvers are asked; 0 where there is none.
    resolvers: [u16; MAX_RESOLVERS],
    ticks_per_second: u64,
}

const _: () = assert!(size_of::<Settings>() == 144);

impl Settings {
    /// `adopt_until`: tick until which connections met mid-stream are adopted; `peer_seed`: of the peer table;
    /// `ethertypes`: those that pass when [`flag::ETHERTYPES_LISTED`] is set, ended by 0.
    #[must_use]
    pub const fn new(
        limits: Limits,
        adopt_until: u64,
        peer_seed: u64,
        flags: u32,
        ethertypes: [u16; MAX_ETHERTYPES],
    ) -> Self {
        Self {
            limits,
            adopt_until,
            peer_seed,
            ethertypes,
            flags,
            control_ports: [0; MAX_CONTROL_PORTS],
            resolvers: [0; MAX_RESOLVERS],
            ticks_per_second: 0,
        }
    }

    /// The idle limits.
    #[inline(always)]
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Tick until which connections met mid-stream are adopted.
    #[inline(always)]
    #[must_use]
    pub const fn adopt_until(&self) -> u64 {
        self.adopt_until
    }

    /// The same settings with another adoption window.
    #[must_use]
    pub const fn adopting_until(mut self, tick: u64) -> Self {
        self.adopt_until = tick;
        self
    }

    /// The same settings with flows to these server ports as control flows, ended by 0.
    #[must_use]
    pub const fn controlled_by(mut self, ports: [u16; MAX_CONTROL_PORTS]) -> Self {
        self.control_ports = ports;
        self
    }

    /// The same settings with names to learn from what is answered under these rules, each with one added and ended by
    /// 0; lifetimes come in seconds.
    #[must_use]
    pub const fn learning(mut self, resolvers: [u16; MAX_RESOLVERS], ticks_per_second: u64) -> Self {
        self.flags |= flag::NAMES;
        self.resolvers = resolvers;
        self.ticks_per_second = ticks_per_second;
        self
    }

    /// Whether the flows of a rule go to resolvers.
    #[inline(always)]
    #[must_use]
    pub fn is_resolvers(&self, rule: RuleId) -> bool {
        self.resolvers.contains(&rule.wrapping_add(1))
    }

    /// Ticks in a second; 0 where nothing is learned.
    #[inline(always)]
    #[must_use]
    pub const fn ticks_per_second(&self) -> u64 {
        self.ticks_per_second
    }

    /// Whether other flows depend on those to this server port.
    #[inline(always)]
    #[must_use]
    pub fn controls(&self, port: u16) -> bool {
        port != 0 && self.control_ports.contains(&port)
    }

    /// Seed of the peer table.
    #[inline(always)]
    #[must_use]
    pub const fn peer_seed(&self) -> u64 {
        self.peer_seed
    }

    /// Whether a switch of [`flag`] is on.
    #[inline(always)]
    #[must_use]
    pub const fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Whether a frame that is not IP may pass. LLC frames go by [`LLC`].
    #[inline(always)]
    #[must_use]
    pub fn lets_through(&self, kind: u16) -> bool {
        if !self.has(flag::ETHERTYPES_LISTED) {
            return true;
        }
        let kind = if kind < ethertype::FIRST { LLC } else { kind };
        self.ethertypes.contains(&kind)
    }
}

/// How a list of EtherTypes names LLC frames: a number that no EtherType has.
pub const LLC: u16 = 1;

#[cfg(feature = "user")]
// SAFETY: `repr(C)` of integers without padding; every bit pattern is a value.
unsafe impl aya::Pod for Settings {}

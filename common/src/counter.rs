//! What is counted, as it lies in the kernel's maps: one copy a CPU, so that no count is lost or locked.

use core::ops::AddAssign;

use crate::{Address, Direction, Reason, switch::Mode};

/// Ports in one value of the port counters' map.
pub const PORTS_PER_PAGE: u32 = 2_048;
/// Values of the port counters' map: two modes, two directions, two protocols, 65,536 ports.
pub const PORT_PAGES: u32 = 2 * 2 * 2 * (65_536 / PORTS_PER_PAGE);
/// Entries of the reasons' counters for one interface.
pub const REASON_SLOTS: u32 = 2 * 2 * Reason::COUNT;
/// Interfaces that are counted apart.
pub const MAX_INTERFACES: u32 = 32;
/// Sets of the table of who.
pub const TALKER_SETS: u32 = 1 << 10;
/// Places in a set of who.
pub const TALKER_WAYS: usize = 4;

/// Things that happen to the tables themselves.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// An answered flow found the established table full, or what it may have of it, and stayed embryonic.
    EstablishedFull = 0,
    /// A flow that waited for its answer was pushed out by a newer one.
    EmbryonicPushedOut = 1,
    /// A line of the table of who gave way to a newer one.
    TalkerPushedOut = 2,
}

impl Happening {
    /// Size of their counters.
    pub const COUNT: u32 = 4;
}

/// Packets and bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Packets; a super-packet counts as those that it becomes.
    pub packets: u64,
    /// Bytes on the wire, Ethernet headers included.
    pub bytes: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
    }
}

/// Of a documented flow.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowCounter {
    /// Passed.
    pub passed: Tally,
    /// Dropped, or would have been: for its port, but from another peer.
    pub dropped: Tally,
    /// Tick of the last packet that passed.
    pub seen: u64,
}

const _: () = assert!(size_of::<FlowCounter>() == 40);

/// Page and place of a dropped packet's counter; `would`: see [`Mode::would`].
#[inline(always)]
#[must_use]
pub const fn port_slot(would: u64, direction: Direction, transport: u64, port: u16) -> (u32, u32) {
    let table = (would * 2 + direction.index() as u64) * 2 + transport;
    let (port, pages) = (port as u64, (1 << 16) / PORTS_PER_PAGE as u64);
    ((table * pages + port / PORTS_PER_PAGE as u64) as u32, (port % PORTS_PER_PAGE as u64) as u32)
}

/// Place of a reason's counter; `would`: see [`Mode::would`]; `reason`: its number.
#[inline(always)]
#[must_use]
pub const fn reason_slot(interface: u32, would: u64, direction: Direction, reason: u8) -> u32 {
    let table = would as u32 * 2 + direction.index();
    interface * REASON_SLOTS + table * Reason::COUNT + reason as u32 % Reason::COUNT
}

/// A page of the ports' counters: one mode, direction and protocol.
///
/// With what else a dropped packet of one of these ports is counted under, so that the kernel finds all of it by one
/// look-up. Packets that were refused on the long way count under the reasons' own counters instead.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortPage {
    /// Dropped packets of each port.
    pub ports: [u64; PORTS_PER_PAGE as usize],
    /// By interface and [`PortPage::reason_place`].
    pub reasons: [Tally; (MAX_INTERFACES * PAGE_REASONS) as usize],
    /// Who was dropped last: not yet in the table of who.
    pub latest: Talker,
}

/// Places for reasons in a [`PortPage`], for each interface.
const PAGE_REASONS: u32 = 4;
const _: () = assert!(size_of::<PortPage>() == 8 * 2_048 + 16 * 128 + 64);

impl PortPage {
    /// Those that are counted in it.
    pub const REASONS: [Reason; 3] = [Reason::NoRule, Reason::WrongPeer, Reason::NoState];

    /// Place of a tally among its reasons'.
    #[inline(always)]
    #[must_use]
    pub const fn reason_place(interface: u32, reason: Reason) -> u32 {
        reason as u32 % PAGE_REASONS * MAX_INTERFACES + interface % MAX_INTERFACES
    }
}

/// Who was dropped, where, and why.
///
/// The other end's address, then a word: the destination port or type in bits 16 to 31, the protocol in bits 8 to
/// 15, the reason in bits 0 to 5, a would-drop in bit 6, egress in bit 7. A drop's reason is never 0.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TalkerKey {
    peer: Address,
    what: u64,
}

impl TalkerKey {
    const EGRESS: u64 = 0x80;
    const WOULD: u64 = 0x40;
    const REASON: u64 = 0x3f;

    /// `would`: see [`Mode::would`]; `reason`: its number.
    #[inline(always)]
    #[must_use]
    pub const fn new(
        peer: Address,
        port: u16,
        protocol: u8,
        direction: Direction,
        would: u64,
        reason: u8,
    ) -> Self {
        let egress = (direction.index() as u64) << 7;
        let numbers = (port as u64) << 16 | (protocol as u64) << 8;
        Self { peer, what: numbers | egress | would << 6 | reason as u64 & Self::REASON }
    }

    /// From the peer and the word.
    #[inline(always)]
    #[must_use]
    pub const fn from_words(peer: Address, what: u64) -> Self {
        Self { peer, what }
    }

    /// The word.
    #[inline(always)]
    #[must_use]
    pub const fn what(&self) -> u64 {
        self.what
    }

    /// The other end.
    #[inline(always)]
    #[must_use]
    pub const fn peer(&self) -> Address {
        self.peer
    }

    /// Destination port, or type.
    #[must_use]
    pub const fn port(&self) -> u16 {
        (self.what >> 16) as u16
    }

    /// IANA number.
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        (self.what >> 8) as u8
    }

    /// Which way the packets went.
    #[must_use]
    pub const fn direction(&self) -> Direction {
        if self.what & Self::EGRESS != 0 { Direction::Egress } else { Direction::Ingress }
    }

    /// Whether they were only observed.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        if self.what & Self::WOULD != 0 { Mode::Observe } else { Mode::Enforce }
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        Reason::from_index((self.what & Self::REASON) as u8)
    }

    /// Whether the place is taken.
    #[inline(always)]
    #[must_use]
    pub const fn is_present(&self) -> bool {
        self.what != 0
    }

    /// The set to look in. Secret factors: who doesn't know them can't aim at the set that would show him.
    #[inline(always)]
    #[must_use]
    pub const fn set(&self, secret: &[u64; 2]) -> u32 {
        let [high, low] = self.peer.words();
        let [first, second] = [secret[0] | 1, secret[1] | 1];
        let mixed = low.wrapping_mul(first).wrapping_add(self.what.wrapping_mul(second));
        let mixed = mixed.wrapping_add(high.wrapping_mul(first.rotate_left(32) ^ second));
        (mixed >> (64 - TALKER_SETS.trailing_zeros())) as u32
    }
}

/// One place in the table of who.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Talker {
    /// Who.
    pub key: TalkerKey,
    /// Packets since it came into the table.
    pub packets: u64,
    /// Tick of the first of them.
    pub first: u64,
    /// Tick of the last of them.
    pub last: u64,
    /// On egress, the cgroup that sent the last of them; else 0.
    pub cgroup: u64,
    /// On egress, the user that sent the last of them; else 0.
    pub uid: u32,
    /// Explicit padding.
    pub reserved: u32,
}

impl Talker {
    /// Somebody who was dropped at tick `now` for the first time.
    #[inline(always)]
    #[must_use]
    pub const fn new(key: TalkerKey, packets: u64, now: u64) -> Self {
        Self { key, packets, first: now, last: now, cgroup: 0, uid: 0, reserved: 0 }
    }
}

/// Four places of the table of who.
pub type TalkerSet = [Talker; TALKER_WAYS];

const _: () = assert!(size_of::<Talker>() == 64);

#[cfg(feature = "user")]
// SAFETY: `repr(C)` of integers without padding; every bit pattern is a value.
unsafe impl aya::Pod for Tally {}
#[cfg(feature = "user")]
// SAFETY: `repr(C)` of integers without padding; every bit pattern is a value.
unsafe impl aya::Pod for FlowCounter {}
#[cfg(feature = "user")]
// SAFETY: `repr(C)` of addresses and integers, its padding spelled out; every bit pattern is a value.
unsafe impl aya::Pod for Talker {}
#[cfg(feature = "user")]
// SAFETY: `repr(C)` of the above and of words, without padding; every bit pattern is a value.
unsafe impl aya::Pod for PortPage {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{number::protocol, service::Transport};

    #[test]
    fn every_port_of_both_modes_has_its_own_counter() {
        let mut last = None;
        for mode in [Mode::Enforce, Mode::Observe] {
            for direction in Direction::ALL {
                for transport in [Transport::TCP, Transport::UDP] {
                    for port in 0..=u16::MAX {
                        let (page, place) = port_slot(mode.would(), direction, transport.index(), port);
                        assert!(page < PORT_PAGES && place < PORTS_PER_PAGE);
                        let position = page * PORTS_PER_PAGE + place;
                        assert_eq!(position, last.map_or(0, |last: u32| last + 1));
                        last = Some(position);
                    }
                }
            }
        }
    }

    #[test]
    fn a_talker_tells_what_it_was_made_of() {
        let peer = Address::v4([198, 51, 100, 7]);
        let key = TalkerKey::new(peer, 23, protocol::TCP, Direction::Egress, Mode::Observe.would(), 25);
        assert_eq!((key.direction(), key.mode()), (Direction::Egress, Mode::Observe));
        assert_eq!((key.reason(), key.is_present()), (Some(Reason::WrongPeer), true));
    }

    #[test]
    fn talkers_spread_and_nobody_knows_where() {
        let key = |port| {
            let peer = Address::v4([198, 51, 100, port as u8]);
            TalkerKey::new(peer, port, protocol::TCP, Direction::Ingress, 0, 24)
        };
        let secrets = [[0x5eed_0f0f_1234_9876, 0xcafe_4321_8888_1111], [1 << 40 | 77, 0x1357_9bdf_0246_8ace]];
        for secret in secrets {
            let mut load = [0u32; TALKER_SETS as usize];
            (0..16_384).for_each(|port| load[key(port).set(&secret) as usize] += 1);
            assert!(load.iter().all(|count| *count < 128), "{:?}", load.iter().max());
        }
        let alike = (0..1_024).filter(|port| key(*port).set(&secrets[0]) == key(*port).set(&secrets[1]));
        assert!(alike.count() < 32);
    }
}

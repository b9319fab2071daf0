//! The one word that makes a generation current, in every program and direction at once.

use crate::Direction;

/// Whether a drop drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// A drop is counted as a would-drop, and passes.
    Observe,
    /// A drop drops.
    Enforce,
}

impl Mode {
    /// 1 for a drop that only would have been one, else 0.
    #[inline(always)]
    #[must_use]
    pub const fn would(self) -> u64 {
        match self {
            Self::Observe => 1,
            Self::Enforce => 0,
        }
    }

    /// The word of host files and outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Enforce => "enforce",
        }
    }
}

/// Generations count from 1; beyond the last one they begin again. It is the mask of their bits, too.
pub const LAST_GENERATION: u16 = 0x3fff;

/// A generation and the modes that it runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posture(u16);

impl Posture {
    /// `generation` counts from 1 and wraps at [`LAST_GENERATION`].
    #[must_use]
    pub const fn new(generation: u16, ingress: Mode, egress: Mode) -> Self {
        let ingress = (matches!(ingress, Mode::Enforce) as u16) << 14;
        let egress = (matches!(egress, Mode::Enforce) as u16) << 15;
        Self(generation & LAST_GENERATION | ingress | egress)
    }

    /// A generation, whatever its modes.
    #[inline(always)]
    #[must_use]
    pub const fn of(generation: u16) -> Self {
        Self(generation & LAST_GENERATION)
    }

    /// The generation; its lowest bit says which half of the tables holds it.
    #[inline(always)]
    #[must_use]
    pub const fn generation(self) -> u16 {
        self.0 & LAST_GENERATION
    }

    /// The mode of a direction.
    #[inline(always)]
    #[must_use]
    pub const fn mode(self, direction: Direction) -> Mode {
        let bit = match direction {
            Direction::Ingress => 1 << 14,
            Direction::Egress => 1 << 15,
        };
        if self.0 & bit != 0 { Mode::Enforce } else { Mode::Observe }
    }

    /// The modes of this one for another generation.
    #[must_use]
    pub const fn as_generation(self, generation: u16) -> Self {
        Self::new(generation, self.mode(Direction::Ingress), self.mode(Direction::Egress))
    }

    /// 1 where a drop of this direction only would have been one, else 0: a number, since the kernel has no use for
    /// the branch that an enum makes.
    #[inline(always)]
    #[must_use]
    pub const fn would(self, direction: Direction) -> u64 {
        let enforces = match direction {
            Direction::Ingress => self.0 >> 14,
            Direction::Egress => self.0 >> 15,
        };
        (enforces as u64 & 1) ^ 1
    }

    /// Whether this direction is observed while the other one is enforced: what it lets pass is to be answered.
    #[inline(always)]
    #[must_use]
    pub const fn observes_alone(self, direction: Direction) -> bool {
        let other = match direction {
            Direction::Ingress => 0b10,
            Direction::Egress => 0b01,
        };
        self.0 >> 14 == other
    }

    /// As a function in the kernel is told of it.
    #[inline(always)]
    #[must_use]
    pub const fn word(self) -> u16 {
        self.0
    }

    /// As above.
    #[inline(always)]
    #[must_use]
    pub const fn from_word(word: u16) -> Self {
        Self(word)
    }

    /// The same with another mode for one direction.
    #[must_use]
    pub const fn with(self, direction: Direction, mode: Mode) -> Self {
        match direction {
            Direction::Ingress => Self::new(self.generation(), mode, self.mode(Direction::Egress)),
            Direction::Egress => Self::new(self.generation(), self.mode(Direction::Ingress), mode),
        }
    }
}

/// The current posture, the one to go back to, and until when the change may be confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switch(u64);

impl Switch {
    /// A deadline counts in sixteens of ticks: 31 bits of them last for a year at 1,000 ticks a second.
    const DEADLINE_SHIFT: u32 = 4;
    /// Set while a deadline runs: to ask for the sign of a word costs the kernel least.
    const RUNS: u64 = 1 << 63;

    /// A posture that stays.
    #[must_use]
    pub const fn settled(current: Posture, previous: Posture) -> Self {
        Self(current.0 as u64 | (previous.0 as u64) << 16)
    }

    /// A posture that goes back to `previous` when the clock passes `deadline` ticks, within 16 ticks.
    #[must_use]
    pub const fn until(current: Posture, previous: Posture, deadline: u64) -> Self {
        let deadline = (deadline >> Self::DEADLINE_SHIFT) + 1;
        Self(Self::settled(current, previous).0 | deadline << 32 | Self::RUNS)
    }

    /// Other postures, and the deadline as it is.
    #[must_use]
    pub const fn with(self, latest: Posture, previous: Posture) -> Self {
        Self(self.0 >> 32 << 32 | Self::settled(latest, previous).0)
    }

    /// As it lies in the kernel's map.
    #[inline(always)]
    #[must_use]
    pub const fn word(self) -> u64 {
        self.0
    }

    /// From the kernel's map.
    #[inline(always)]
    #[must_use]
    pub const fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// The posture in force; the clock is read only while a deadline runs.
    #[inline(always)]
    #[must_use]
    pub fn posture(self, now: impl FnOnce() -> u64) -> Posture {
        if self.0.cast_signed() < 0 && now() >> Self::DEADLINE_SHIFT >= self.limit() {
            self.previous()
        } else {
            self.latest()
        }
    }

    /// The posture that was stored last, confirmed or not.
    #[inline(always)]
    #[must_use]
    pub const fn latest(self) -> Posture {
        Posture((self.0 & 0xffff) as u16)
    }

    /// The posture to go back to.
    #[inline(always)]
    #[must_use]
    pub const fn previous(self) -> Posture {
        Posture((self.0 >> 16 & 0xffff) as u16)
    }

    /// The first tick after the deadline, where one runs.
    #[must_use]
    pub const fn deadline(self) -> Option<u64> {
        if self.0 & Self::RUNS == 0 { None } else { Some(self.limit() << Self::DEADLINE_SHIFT) }
    }

    /// The deadline as it is stored.
    #[inline(always)]
    const fn limit(self) -> u64 {
        (self.0 & !Self::RUNS) >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Posture = Posture::new(6, Mode::Enforce, Mode::Observe);
    const NEW: Posture = Posture::new(7, Mode::Enforce, Mode::Enforce);

    #[test]
    fn a_posture_keeps_generation_and_modes_apart() {
        assert_eq!((OLD.generation(), NEW.generation()), (6, 7));
        assert_eq!(OLD.mode(Direction::Ingress), Mode::Enforce);
        assert_eq!(OLD.mode(Direction::Egress), Mode::Observe);
        assert_eq!(OLD.with(Direction::Egress, Mode::Enforce), Posture::new(6, Mode::Enforce, Mode::Enforce));
        assert_eq!(OLD.as_generation(9), Posture::new(9, Mode::Enforce, Mode::Observe));
        assert_eq!(Posture::new(16_384, Mode::Observe, Mode::Observe).generation(), 0);
        assert!(OLD.observes_alone(Direction::Egress) && !OLD.observes_alone(Direction::Ingress));
        assert!(OLD.with(Direction::Ingress, Mode::Observe).mode(Direction::Egress) == Mode::Observe);
        for direction in Direction::ALL {
            assert!(!NEW.observes_alone(direction) && !Posture::of(6).observes_alone(direction));
            assert!(NEW.with(direction, Mode::Observe).observes_alone(direction));
        }
    }

    #[test]
    fn an_unconfirmed_change_goes_back_by_the_clock_alone() {
        let switch = Switch::until(NEW, OLD, 1_000);
        assert_eq!(switch.posture(|| 1_000), NEW);
        assert_eq!(switch.posture(|| switch.deadline().unwrap() - 1), NEW);
        assert_eq!(switch.posture(|| switch.deadline().unwrap()), OLD);
        let eased = switch.with(OLD, OLD);
        assert_eq!((eased.deadline(), eased.latest()), (switch.deadline(), OLD));
        assert!(switch.deadline().unwrap() - 1_000 <= 16);
    }

    #[test]
    fn a_settled_change_never_asks_for_the_time() {
        assert_eq!(Switch::settled(NEW, OLD).posture(|| unreachable!()), NEW);
        assert_eq!(Switch::settled(NEW, OLD).deadline(), None);
    }
}

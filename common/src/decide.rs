//! From what was seen of a packet to its verdict, the first step that matches wins.
//!
//! What is not IP, fragments, baseline, ICMP errors, state, policy. `observe` and `enforce` come after:
//! the verdict is the same in both.

mod link;

mod fragment;

mod dhcp;
mod igmp;

mod state;
mod tcp;

mod clause;
mod control;
mod policy;

pub(crate) use tcp::goes_on as tcp_goes_on;

pub use clause::particular;
pub use control::{Control, is_controlled, note};
pub use dhcp::leases;
pub use policy::{BROADCAST, GROUP, OWN, PROTECTED_SET, among, named, protects};

use crate::{
    Direction, Reason, Tables,
    class::RuleId,
    parse::Fragment,
    sight::{Part, Sight},
};

/// A verdict and its rule, in one word: the kernel programs hand it on in a register.
///
/// The reason in bits 16 to 23, the rule in bits 0 to 15, bit 24 where there is a rule, and within the core bit 25
/// where the packet goes to many hosts. An open question, see `asks`, has a reason of its own number and the
/// first clause in place of the rule; bit 26 says who begins the flow, bit 29 that it lives. Bit 27: the packet passes
/// because its role is only observed. Bit 28 asks for the peer's names, see [`among`].
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Decision(u32);

impl Decision {
    const RULED: u32 = 1 << 24;
    const TO_MANY: u32 = 1 << 25;
    const EGRESS: u32 = 1 << 26;
    const OBSERVED: u32 = 1 << 27;
    const NAMES: u32 = 1 << 28;
    const LIVES: u32 = 1 << 29;
    /// No reason's number, and no pass.
    const QUESTION: u32 = Reason::COUNT;

    /// A verdict without a rule.
    #[inline(always)]
    #[must_use]
    pub const fn plain(reason: Reason) -> Self {
        Self((reason as u32) << 16)
    }

    /// A verdict without a rule, by the reason's number.
    #[inline(always)]
    const fn numbered(reason: u8) -> Self {
        Self((reason as u32) << 16)
    }

    /// Passes under a rule; or `wrong-peer`, with the rule that would allow another peer.
    #[inline(always)]
    #[must_use]
    pub const fn under(reason: Reason, rule: RuleId) -> Self {
        Self(Self::RULED | (reason as u32) << 16 | rule as u32)
    }

    /// As a function in the kernel returns it.
    #[inline(always)]
    #[must_use]
    pub const fn word(self) -> u32 {
        self.0
    }

    /// From a function in the kernel.
    #[inline(always)]
    #[must_use]
    pub const fn from_word(word: u32) -> Self {
        Self(word)
    }

    /// The same rule for another reason.
    #[inline(always)]
    const fn because(self, reason: Reason) -> Self {
        Self(self.0 & !0xff_0000 | (reason as u32) << 16)
    }

    /// The same, unless a name of the peer says otherwise.
    #[inline(always)]
    const fn naming(self) -> Self {
        Self(self.0 | Self::NAMES)
    }

    /// Whether the peer's names are to be asked.
    #[inline(always)]
    #[must_use]
    pub const fn asks_names(self) -> bool {
        self.0 & Self::NAMES != 0
    }

    /// The same, for a packet to a group or broadcast, which begins no flow: who answers is not known.
    #[inline(always)]
    const fn to_many(self) -> Self {
        Self(self.0 | Self::TO_MANY)
    }

    /// The same, for a packet that passes only because its role is observed: it counts as one that would be dropped.
    #[inline(always)]
    const fn observed(self) -> Self {
        Self(self.0 | Self::OBSERVED)
    }

    /// Whether enforcing its role would drop it.
    #[inline(always)]
    #[must_use]
    pub const fn is_observed(self) -> bool {
        self.0 & Self::OBSERVED != 0
    }

    /// A question in place of a verdict: what do the clauses from `first` on say of a flow that begins in `began`, or
    /// `lives` since it did?
    #[inline(always)]
    const fn asks(first: u16, began: Direction, lives: bool) -> Self {
        let egress = match began {
            Direction::Ingress => 0,
            Direction::Egress => Self::EGRESS,
        };
        let lives = if lives { Self::LIVES } else { 0 };
        Self(lives | egress | Self::QUESTION << 16 | first as u32)
    }

    /// The question, where it is one.
    #[inline(always)]
    const fn question(self) -> Option<(u16, Direction, bool)> {
        if self.number() as u32 != Self::QUESTION {
            return None;
        }
        let began = if self.0 & Self::EGRESS != 0 { Direction::Egress } else { Direction::Ingress };
        Some((self.id(), began, self.0 & Self::LIVES != 0))
    }

    /// Whether it is for a packet to many; and the verdict without that mark.
    #[inline(always)]
    const fn settled(self) -> (bool, Self) {
        (self.0 & Self::TO_MANY != 0, Self(self.0 & !Self::TO_MANY))
    }

    /// The reason's number.
    #[inline(always)]
    #[must_use]
    pub const fn number(self) -> u8 {
        (self.0 >> 16) as u8
    }

    /// Why. User space's: the kernel programs count by number.
    #[must_use]
    pub fn reason(self) -> Reason {
        Reason::from_index(self.number()).unwrap_or(Reason::Internal)
    }

    /// Whether it is for this reason.
    #[inline(always)]
    #[must_use]
    pub const fn is(self, reason: Reason) -> bool {
        self.number() == reason as u8
    }

    /// Whether the packet passes where the policy is enforced.
    #[inline(always)]
    #[must_use]
    pub const fn passes(self) -> bool {
        self.number() < Reason::FIRST_DROP
    }

    /// The rule under which it passes; for `wrong-peer` the rule that would allow another peer.
    #[inline(always)]
    #[must_use]
    pub const fn rule(self) -> Option<RuleId> {
        if self.0 & Self::RULED != 0 { Some(self.id()) } else { None }
    }

    /// The rule of a decision that has one.
    #[inline(always)]
    pub(crate) const fn id(self) -> RuleId {
        self.0 as u16
    }
}

impl core::fmt::Debug for Decision {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Decision").field("reason", &self.reason()).field("rule", &self.rule()).finish()
    }
}

impl From<Reason> for Decision {
    #[inline(always)]
    fn from(reason: Reason) -> Self {
        Self::plain(reason)
    }
}

/// Questions about one packet: a connection that is adopted may have begun either way.
const MAX_QUESTIONS: usize = 2;

/// Judges a packet by what was seen of it.
///
/// DHCP is seen to before, and what clauses say is asked for between two judgements, not within one: in the kernel,
/// functions that call functions would need more stack than there is.
#[inline(always)]
pub fn decide<T: Tables>(sight: &mut Sight, direction: Direction, tables: &T) -> Decision {
    if matches!(sight.part, Part::Dhcp) && tables.leases(sight, direction) {
        sight.judge(Reason::BaselineDhcp);
    }
    let mut decision = tables.judge(sight, direction);
    for _ in 0..MAX_QUESTIONS {
        let Some((first, began, lives)) = decision.question() else { break };
        let answer = tables.particular(first, &sight.headers.key, began, lives);
        sight.answer(began, answer);
        decision = tables.judge(sight, direction);
    }
    if matches!(sight.part, Part::GoesOn) && decision.passes() {
        control::note_either(&sight.headers.key, tables);
    }
    decision
}

/// One judgement, or the question that is open.
#[inline(always)]
pub fn judge<T: Tables>(sight: &Sight, direction: Direction, tables: &T) -> Decision {
    let decision = step(sight, direction, tables).unwrap_or_else(|refusal| refusal);
    if matches!(sight.headers.fragment, Fragment::First) && decision.passes() {
        fragment::first(&sight.headers, direction, decision, tables);
    }
    decision
}

/// # Errors
///
/// A refusal.
#[inline(always)]
fn step<T: Tables>(sight: &Sight, direction: Direction, tables: &T) -> Result<Decision, Decision> {
    match sight.part {
        Part::Judged => Ok(Decision::numbered(sight.judged())),
        Part::Link => Ok(link::judge(sight.headers.ethertype, tables).into()),
        Part::Follows => Ok(fragment::later(&sight.headers, direction, tables)),
        Part::Igmp => igmp::judge(sight, direction, tables),
        Part::Message => Err(Reason::NoRule.into()),
        Part::Dhcp | Part::Begins | Part::GoesOn | Part::Sends | Part::Answers | Part::Reports => {
            state::judge(sight, direction, tables)
        }
    }
}

//! From what was seen of a packet to its verdict, the first step that matches wins.
//!
//! What is not IP, fragments, baseline, ICMP errors, state, policy. `observe` and `enforce` come after:
//! the verdict is the same in both.

mod link;

mod fragment;

mod state;
mod tcp;

mod policy;

pub(crate) use tcp::goes_on as tcp_goes_on;

pub use policy::{BROADCAST, OWN, PROTECTED_SET, among, protects};

use crate::{
    Direction, Reason, Tables,
    class::RuleId,
    number::protocol,
    parse::Fragment,
    settings::flag,
    sight::{Part, Sight},
};

/// A verdict and its rule, in one word: the kernel programs hand it on in a register.
///
/// The reason in bits 16 to 23, the rule in bits 0 to 15, and bit 24 where there is a rule.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Decision(u32);

impl Decision {
    const RULED: u32 = 1 << 24;

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

/// Judges a packet by what was seen of it.
#[inline(always)]
pub fn decide<T: Tables>(sight: &Sight, direction: Direction, tables: &T) -> Decision {
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
        Part::Dhcp if tables.settings().has(flag::DHCP) => Ok(Reason::BaselineDhcp.into()),
        Part::Message => Ok(message(sight, direction, tables)),
        Part::Dhcp | Part::Begins | Part::GoesOn | Part::Sends | Part::Answers | Part::Reports => {
            state::judge(sight, direction, tables)
        }
    }
}

/// IGMP reports leave and queries come (RFC 3376), other ICMP goes by its type; none of them makes a flow.
#[inline(always)]
fn message<T: Tables>(sight: &Sight, direction: Direction, tables: &T) -> Decision {
    let ruled = policy::look_up(sight.service(direction), &sight.headers.key.remote(), tables);
    if ruled.is(Reason::NoRule) && sight.headers.protocol == protocol::IGMP {
        return Reason::Protocol.into();
    }
    ruled
}

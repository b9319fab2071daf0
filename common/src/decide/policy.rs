//! Whether a documented flow allows a packet to begin one.

use super::Decision;
use crate::{
    Address, Direction, Reason, Service, Tables,
    class::{self, Allows, PeerKey, Peering},
    flow::FlowKey,
    sight::Sight,
};

/// The set of peers that holds the protected addresses themselves.
pub const PROTECTED_SET: u16 = 0;
/// A protected unicast address.
pub const OWN: u16 = 1;
/// 255.255.255.255, or the directed broadcast address of an interface.
pub const BROADCAST: u16 = 2;
/// A multicast group that a rule names.
pub const GROUP: u16 = 3;

/// `rule` where a rule allows a flow with the packet's ends to ask for `service`, else why not, or what has to be asked
/// first; `wrong-peer` names a rule that would allow another peer. `lives`: the flow is there already.
#[inline(always)]
pub(super) fn look_up<T: Tables>(service: Service, sight: &Sight, lives: bool, tables: &T) -> Decision {
    match tables.class(service).allows() {
        Allows::Nobody => Reason::NoRule.into(),
        Allows::Anybody(rule) => Decision::under(Reason::Rule, rule),
        Allows::Peers(number) if lives => tables.among_living(number, sight.headers.key.remote()),
        Allows::Peers(number) => tables.among(number, sight.headers.key.remote()),
        Allows::Particular(first) => {
            sight.answered(service.direction).unwrap_or(Decision::asks(first, service.direction, lives))
        }
    }
}

/// The same for the peers of a numbered class. Where names are among them and the peer is in no prefix, they are to be
/// asked: see [`named`].
#[inline(always)]
pub fn among<T: Tables>(number: u16, remote: &Address, tables: &T) -> Decision {
    let Some(peering) = tables.peering(number) else { return Reason::Internal.into() };
    let member = class::member(tables, peering, remote);
    let decision = by(peering, member, tables);
    if member.is_none() && peering.has_names() { decision.naming() } else { decision }
}

/// The same for what was learned of a peer's names: a name is one more member of the class's set. `lives`: a flow to the
/// peer does, for which its names hold as long as they are remembered.
#[inline(always)]
pub fn named<T: Tables>(number: u16, remote: &Address, lives: bool, tables: &T) -> Decision {
    let Some(peering) = tables.peering(number) else { return Reason::Internal.into() };
    by(peering, class::named(tables, peering.set(), remote, lives), tables)
}

#[inline(always)]
fn by<T: Tables>(peering: &Peering, member: Option<u16>, tables: &T) -> Decision {
    let reason = if member.is_some() { Reason::Rule } else { Reason::WrongPeer };
    match tables.shared(u32::from(peering.rules()) + u32::from(member.unwrap_or(0))) {
        Some(rule) => Decision::under(reason, rule),
        None => Reason::Internal.into(),
    }
}

/// A flow may begin, by `ruled`, only between a protected address and a peer that a wire can have.
///
/// # Errors
///
/// `martian`, `not-local`, or `wrong-peer` for a group or broadcast that the rule does not name.
#[inline(always)]
pub(super) fn ends<T: Tables>(
    key: &FlowKey,
    direction: Direction,
    ruled: Decision,
    tables: &T,
) -> Result<(), Decision> {
    let (local, remote) = (key.local(), key.remote());
    let known = tables.protects(remote);
    let many = remote.is_multicast() || known == BROADCAST;
    if many && matches!(direction, Direction::Egress) {
        return Err(ruled.because(Reason::WrongPeer));
    }
    if many || is_martian(remote) || known == OWN {
        return Err(Reason::Martian.into());
    }
    if tables.protects(local) == OWN { Ok(()) } else { Err(Reason::NotLocal.into()) }
}

/// Who may send to many: another host that a wire can have, or this one.
///
/// # Errors
///
/// `martian` or `not-local`.
#[inline(always)]
pub(super) fn sender<T: Tables>(key: &FlowKey, direction: Direction, tables: &T) -> Result<(), Decision> {
    let (sender, refusal) = match direction {
        Direction::Ingress => (key.remote(), Reason::Martian),
        Direction::Egress => (key.local(), Reason::NotLocal),
    };
    let known = tables.protects(sender);
    let right = match direction {
        Direction::Ingress => known == 0 && !sender.is_multicast() && !is_martian(sender),
        Direction::Egress => known == OWN,
    };
    if right { Ok(()) } else { Err(refusal.into()) }
}

/// What a protected address is: [`OWN`], [`BROADCAST`], [`GROUP`], or 0 for any other address.
#[inline(always)]
pub fn protects<T: Tables>(address: &Address, tables: &T) -> u16 {
    let key = PeerKey { address: *address, set: PROTECTED_SET, length: 128 };
    class::find(tables, &key).unwrap_or(0)
}

/// Never the address of another host (RFC 1122, section 3.2.1.3; RFC 4291).
#[inline(always)]
const fn is_martian(address: &Address) -> bool {
    address.is_nowhere() || address.is_loopback() || address.is_limited_broadcast()
}

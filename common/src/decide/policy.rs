//! Whether a documented flow allows a packet to begin one.

use super::Ends;
use crate::{
    Address, Reason, Service, Tables,
    class::{Allows, Found, MAX_PROBES, PeerKey, Peering, RuleId},
};

/// The set of peers that holds the protected addresses themselves.
pub const PROTECTED_SET: u16 = 0;
/// A protected unicast address.
pub const OWN: u16 = 1;
/// The directed broadcast address of an interface.
pub const BROADCAST: u16 = 2;

/// A refusal, and for `wrong-peer` the rule that would allow another peer.
#[derive(Clone, Copy)]
pub(super) struct Refusal {
    pub(super) reason: Reason,
    pub(super) nearest: Option<RuleId>,
}

impl From<Refusal> for super::Decision {
    #[inline(always)]
    fn from(refusal: Refusal) -> Self {
        Self { reason: refusal.reason, rule: refusal.nearest, subject: None }
    }
}

impl From<Reason> for Refusal {
    #[inline(always)]
    fn from(reason: Reason) -> Self {
        Self { reason, nearest: None }
    }
}

/// The rule that allows `remote` to use `service`.
#[inline(always)]
pub(super) fn look_up<T: Tables>(service: Service, remote: &Address, tables: &T) -> Result<RuleId, Refusal> {
    match tables.class(service).allows() {
        Allows::Nobody => Err(Reason::NoRule.into()),
        Allows::Anybody(rule) => Ok(rule),
        Allows::Peers(number) => {
            let peering = tables.peering(number).ok_or(Reason::Internal)?;
            let base = u32::from(peering.rules());
            match member(peering, remote, tables) {
                Some(member) => tables.shared(base + u32::from(member)).ok_or(Reason::Internal.into()),
                None => Err(Refusal { reason: Reason::WrongPeer, nearest: tables.shared(base) }),
            }
        }
    }
}

/// Tries the set's prefix lengths, longest first.
#[inline(always)]
fn member<T: Tables>(peering: &Peering, remote: &Address, tables: &T) -> Option<u16> {
    for length in peering.lengths(remote.is_v4()) {
        if length == 0 {
            return None;
        }
        let key = PeerKey { address: remote.masked(length), set: peering.set(), length };
        if let Some(member) = find(&key, tables) {
            return Some(member);
        }
    }
    None
}

#[inline(always)]
fn find<T: Tables>(key: &PeerKey, tables: &T) -> Option<u16> {
    let mut bucket = key.bucket(tables.settings().peer_seed());
    for _ in 0..MAX_PROBES {
        match tables.peers(bucket)?.find(key) {
            Found::Member(member) => return Some(member),
            Found::Nowhere => return None,
            Found::Further => bucket = bucket.wrapping_add(1),
        }
    }
    None
}

/// A flow may begin only between a protected address and a peer that a wire can have.
#[inline(always)]
pub(super) fn ends<T: Tables>(ends: &Ends, tables: &T) -> Result<(), Reason> {
    if is_martian(&ends.remote) || protected(&ends.remote, tables) == Some(OWN) {
        return Err(Reason::Martian);
    }
    match protected(&ends.local, tables) {
        Some(OWN) => Ok(()),
        _ => Err(Reason::NotLocal),
    }
}

#[inline(always)]
fn protected<T: Tables>(address: &Address, tables: &T) -> Option<u16> {
    find(&PeerKey { address: *address, set: PROTECTED_SET, length: 128 }, tables)
}

/// Never one end of a flow between two hosts (RFC 1122, section 3.2.1.3; RFC 4291).
#[inline(always)]
fn is_martian(address: &Address) -> bool {
    address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || address.is_limited_broadcast()
}

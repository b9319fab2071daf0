//! Whether a documented flow allows a packet to begin one.

use super::Decision;
use crate::{
    Address, Reason, Service, Tables,
    class::{self, Allows, PeerKey},
    flow::FlowKey,
};

/// The set of peers that holds the protected addresses themselves.
pub const PROTECTED_SET: u16 = 0;
/// A protected unicast address.
pub const OWN: u16 = 1;
/// The directed broadcast address of an interface.
pub const BROADCAST: u16 = 2;
/// `rule` where a rule allows `remote` to use `service`, else why not; `wrong-peer` names a rule that would allow
/// another peer.
#[inline(always)]
pub(super) fn look_up<T: Tables>(service: Service, remote: &Address, tables: &T) -> Decision {
    match tables.class(service).allows() {
        Allows::Nobody => Reason::NoRule.into(),
        Allows::Anybody(rule) => Decision::under(Reason::Rule, rule),
        Allows::Peers(number) => tables.among(number, remote),
    }
}

/// The same for the peers of a numbered class.
#[inline(always)]
pub fn among<T: Tables>(number: u16, remote: &Address, tables: &T) -> Decision {
    let Some(peering) = tables.peering(number) else { return Reason::Internal.into() };
    let member = class::member(tables, peering, remote);
    let reason = if member.is_some() { Reason::Rule } else { Reason::WrongPeer };
    match tables.shared(u32::from(peering.rules()) + u32::from(member.unwrap_or(0))) {
        Some(rule) => Decision::under(reason, rule),
        None => Reason::Internal.into(),
    }
}

/// A flow may begin only between a protected address and a peer that a wire can have.
///
/// # Errors
///
/// `martian` or `not-local`.
#[inline(always)]
pub(super) fn ends<T: Tables>(key: &FlowKey, tables: &T) -> Result<(), Decision> {
    let (local, remote) = (key.local(), key.remote());
    if is_martian(&remote) || tables.protects(&remote) == OWN {
        return Err(Reason::Martian.into());
    }
    if tables.protects(&local) == OWN { Ok(()) } else { Err(Reason::NotLocal.into()) }
}

/// What a protected address is: [`OWN`], [`BROADCAST`], or 0 for any other address.
#[inline(always)]
pub fn protects<T: Tables>(address: &Address, tables: &T) -> u16 {
    let key = PeerKey { address: *address, set: PROTECTED_SET, length: 128 };
    class::find(tables, &key).unwrap_or(0)
}

/// Never one end of a flow between two hosts (RFC 1122, section 3.2.1.3; RFC 4291).
#[inline(always)]
const fn is_martian(address: &Address) -> bool {
    address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || address.is_limited_broadcast()
}

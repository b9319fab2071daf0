//! The Ethernet header and its VLAN tags.

use super::Headers;
use crate::{Packet, Reason, number::ethertype};

/// Both addresses of an Ethernet header.
const ADDRESSES: u32 = 12;
/// Bytes of one VLAN tag.
const TAG: u32 = 4;
/// Tags that are read: a provider's and a customer's (IEEE 802.1ad).
const MAX_TAGS: u32 = 2;

/// Sets the EtherType behind the tags, and where its payload begins.
#[inline(always)]
pub(super) fn parse<P: Packet + ?Sized>(packet: &P, headers: &mut Headers) -> Result<(), Reason> {
    let mut at = ADDRESSES;
    let mut kind = read_kind(packet, at)?;
    let mut tags = u32::from(packet.tag_beside());
    while is_tag(kind) {
        if tags == MAX_TAGS {
            return Err(Reason::VlanDepth);
        }
        tags += 1;
        at += TAG;
        kind = read_kind(packet, at)?;
    }
    headers.ethertype = kind;
    headers.offset = at + 2;
    Ok(())
}

#[inline(always)]
fn read_kind<P: Packet + ?Sized>(packet: &P, at: u32) -> Result<u16, Reason> {
    packet.read(at).map(u16::from_be_bytes).ok_or(Reason::Malformed)
}

#[inline(always)]
const fn is_tag(kind: u16) -> bool {
    matches!(kind, ethertype::VLAN | ethertype::PROVIDER_VLAN | ethertype::OLD_STACKED_VLAN)
}

//! The Ethernet header and its VLAN tags.

use crate::{Packet, Reason, number::ethertype};

/// Both addresses of an Ethernet header.
const ADDRESSES: usize = 12;
/// Bytes of one VLAN tag.
const TAG: usize = 4;
/// Tags that are read: a provider's and a customer's (IEEE 802.1ad).
const MAX_TAGS: usize = 2;

/// The EtherType behind the tags, and where its payload begins.
#[inline(always)]
pub(super) fn parse<P: Packet + ?Sized>(packet: &P) -> Result<(u16, usize), Reason> {
    let mut offset = ADDRESSES;
    let mut kind = read_kind(packet, offset)?;
    let beside = usize::from(packet.tag_beside());
    for _ in beside..MAX_TAGS {
        if !is_tag(kind) {
            break;
        }
        offset += TAG;
        kind = read_kind(packet, offset)?;
    }
    if is_tag(kind) { Err(Reason::VlanDepth) } else { Ok((kind, offset + 2)) }
}

#[inline(always)]
fn read_kind<P: Packet + ?Sized>(packet: &P, offset: usize) -> Result<u16, Reason> {
    packet.read(offset).map(u16::from_be_bytes).ok_or(Reason::Malformed)
}

#[inline(always)]
const fn is_tag(kind: u16) -> bool {
    matches!(kind, ethertype::VLAN | ethertype::PROVIDER_VLAN | ethertype::OLD_STACKED_VLAN)
}

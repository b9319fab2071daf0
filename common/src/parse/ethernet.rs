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
    let beside = u32::from(packet.tag_beside());
    // Counted, so that the compiler unrolls it: Linux 6.1 refuses the loop that it would make of `while`.
    for tags in 0..=MAX_TAGS {
        let at = ADDRESSES + tags * TAG;
        let kind = read_kind(packet, at)?;
        if !is_tag(kind) {
            headers.ethertype = kind;
            headers.offset = at + 2;
            return Ok(());
        }
        if tags + beside == MAX_TAGS {
            break;
        }
    }
    Err(Reason::VlanDepth)
}

#[inline(always)]
fn read_kind<P: Packet + ?Sized>(packet: &P, at: u32) -> Result<u16, Reason> {
    packet.read(at).map(u16::from_be_bytes).ok_or(Reason::Malformed)
}

#[inline(always)]
const fn is_tag(kind: u16) -> bool {
    matches!(kind, ethertype::VLAN | ethertype::PROVIDER_VLAN | ethertype::OLD_STACKED_VLAN)
}

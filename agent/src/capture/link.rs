//! Link types: what stands before the IP packet, and the Ethernet header that takes its place.

use portreeve_common::Direction;

use super::{CaptureError, Frame, Packet};

/// Makes a captured packet a frame.
///
/// # Errors
/// When the link type has no Ethernet frames or IP packets, or the packet is shorter than its cooked header.
pub(super) fn frame(number: u64, packet: Packet) -> Result<Frame, CaptureError> {
    let Packet { time, direction, link, bytes, original_length } = packet;
    let missing = original_length.saturating_sub(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    let cooked = |layout: &Layout| {
        let header = Cooked::read(&bytes, layout).ok_or(CaptureError::LinkHeader {
            packet: number,
            length: bytes.len(),
            needed: layout.length,
        })?;
        Ok((header.direction(), header.ethernet(bytes.get(layout.length..).unwrap_or_default())))
    };
    let (cooked_direction, bytes) = match link {
        ETHERNET => (None, bytes),
        RAW => (None, ethernet(UNKNOWN, UNKNOWN, ip_protocol(&bytes), &bytes)),
        IPV4 => (None, ethernet(UNKNOWN, UNKNOWN, ETHERTYPE_IPV4, &bytes)),
        IPV6 => (None, ethernet(UNKNOWN, UNKNOWN, ETHERTYPE_IPV6, &bytes)),
        COOKED => cooked(&COOKED_LAYOUT)?,
        COOKED_V2 => cooked(&COOKED_V2_LAYOUT)?,
        _ => return Err(CaptureError::LinkType { packet: number, link }),
    };
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    Ok(Frame {
        number,
        time,
        direction: direction.or(cooked_direction),
        bytes,
        original_length: length.saturating_add(missing),
        truncated: missing > 0,
    })
}

/// Where a cooked header holds what we need, in bytes from its start.
struct Layout {
    length: usize,
    packet_type: usize,
    address_length: usize,
    address: usize,
    protocol: usize,
}

/// `LINKTYPE_LINUX_SLL`; the low bytes of its 16-bit packet type and address length.
const COOKED_LAYOUT: Layout =
    Layout { length: 16, packet_type: 1, address_length: 5, address: 6, protocol: 14 };

/// `LINKTYPE_LINUX_SLL2`.
const COOKED_V2_LAYOUT: Layout =
    Layout { length: 20, packet_type: 10, address_length: 11, address: 12, protocol: 0 };

/// What a cooked header tells.
struct Cooked {
    packet_type: u8,
    /// The sender's, where it is an Ethernet address.
    sender: Address,
    protocol: u16,
}

type Address = [u8; 6];

impl Cooked {
    fn read(bytes: &[u8], layout: &Layout) -> Option<Self> {
        let header = bytes.get(..layout.length)?;
        let address = header.get(layout.address..)?.first_chunk().copied()?;
        let sender = if header.get(layout.address_length) == Some(&6) { address } else { UNKNOWN };
        let protocol = header.get(layout.protocol..)?.first_chunk().copied()?;
        let packet_type = *header.get(layout.packet_type)?;
        Some(Self { packet_type, sender, protocol: u16::from_be_bytes(protocol) })
    }

    fn direction(&self) -> Option<Direction> {
        Some(if self.packet_type == OUTGOING { Direction::Egress } else { Direction::Ingress })
    }

    /// The receiver is known only as far as the packet type tells.
    fn ethernet(&self, payload: &[u8]) -> Vec<u8> {
        let receiver = match self.packet_type {
            BROADCAST => [0xff; 6],
            MULTICAST => [1, 0, 0, 0, 0, 0],
            _ => UNKNOWN,
        };
        // Values below 0x600 stand for frames with a length in place of the EtherType (if_ether.h, ETH_P_802_2).
        let length = u16::try_from(payload.len()).unwrap_or(u16::MAX).min(LONGEST_802_3);
        let protocol = if self.protocol < FIRST_ETHERTYPE { length } else { self.protocol };
        ethernet(receiver, self.sender, protocol, payload)
    }
}

fn ethernet(destination: Address, source: Address, protocol: u16, payload: &[u8]) -> Vec<u8> {
    [&destination[..], &source, &protocol.to_be_bytes(), payload].concat()
}

/// A packet of neither version goes as IPv4, so that the parser calls it malformed.
fn ip_protocol(packet: &[u8]) -> u16 {
    match packet.first().map(|byte| byte >> 4) {
        Some(6) => ETHERTYPE_IPV6,
        Some(_) | None => ETHERTYPE_IPV4,
    }
}

/// Numbers of the tcpdump group's registry of link types.
const ETHERNET: u32 = 1;
const RAW: u32 = 101;
const COOKED: u32 = 113;
const IPV4: u32 = 228;
const IPV6: u32 = 229;
const COOKED_V2: u32 = 276;

/// Packet types of a cooked header (`if_packet.h`); 0 is to us, 3 to another host.
const BROADCAST: u8 = 1;
const MULTICAST: u8 = 2;
const OUTGOING: u8 = 4;

const UNKNOWN: Address = [0; 6];
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const FIRST_ETHERTYPE: u16 = 0x0600;
const LONGEST_802_3: u16 = 1500;

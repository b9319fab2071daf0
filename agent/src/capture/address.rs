//! The direction of a frame whose capture doesn't state it.

use std::net::IpAddr;

use portreeve_common::Direction;

/// Egress when the frame's IP source, or ARP sender, is one of the host's addresses; everything else is ingress.
///
/// Looks behind up to two VLAN tags.
#[must_use]
pub fn direction_by_address(frame: &[u8], locals: &[IpAddr]) -> Direction {
    match sender(frame) {
        Some(address) if locals.contains(&address) => Direction::Egress,
        Some(_) | None => Direction::Ingress,
    }
}

fn sender(frame: &[u8]) -> Option<IpAddr> {
    let mut at = ETHERTYPE_OFFSET;
    let mut ethertype = u16::from_be_bytes(read(frame, at)?);
    for _ in 0..TAGS {
        if !matches!(ethertype, VLAN | SERVICE_VLAN) {
            break;
        }
        at += TAG;
        ethertype = u16::from_be_bytes(read(frame, at)?);
    }
    let packet = at + 2;
    match ethertype {
        IPV4 => read::<4>(frame, packet + 12).map(IpAddr::from),
        IPV6 => read::<16>(frame, packet + 8).map(IpAddr::from),
        ARP => arp_sender(frame, packet),
        _ => None,
    }
}

/// The sender's protocol address stands behind its hardware address, whose length the packet tells (RFC 826).
fn arp_sender(frame: &[u8], packet: usize) -> Option<IpAddr> {
    let [hardware, protocol] = read(frame, packet + 4)?;
    if protocol != 4 {
        return None;
    }
    read::<4>(frame, packet + 8 + usize::from(hardware)).map(IpAddr::from)
}

fn read<const N: usize>(frame: &[u8], at: usize) -> Option<[u8; N]> {
    frame.get(at..)?.first_chunk().copied()
}

const ETHERTYPE_OFFSET: usize = 12;
const TAG: usize = 4;
/// As many as the parser of the programs takes off.
const TAGS: usize = 2;

const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const VLAN: u16 = 0x8100;
const IPV6: u16 = 0x86dd;
const SERVICE_VLAN: u16 = 0x88a8;

#[cfg(test)]
mod tests {
    use super::*;

    const LOCALS: [&str; 2] = ["192.0.2.10", "2001:db8:1::10"];

    #[test]
    fn ip_source_is_seen_behind_two_tags_and_no_more() {
        let packets = [ipv4([192, 0, 2, 10]), ipv6("2001:db8:1::10")];
        let tag = |id| [VLAN.to_be_bytes(), [0, id]].concat();
        for packet in packets {
            for (tags, expected) in [
                (0, Direction::Egress),
                (1, Direction::Egress),
                (2, Direction::Egress),
                (3, Direction::Ingress),
            ] {
                let frame = [vec![0; 12], tag(5).repeat(tags), packet.clone()].concat();
                assert_eq!(judge(&frame), expected, "{tags} tags, {frame:02x?}");
            }
        }
    }

    #[test]
    fn another_source_is_ingress() {
        for packet in [ipv4([192, 0, 2, 11]), ipv6("2001:db8:1::11"), vec![0x88, 0xcc, 1]] {
            assert_eq!(judge(&[vec![0; 12], packet].concat()), Direction::Ingress);
        }
    }

    #[test]
    fn arp_goes_by_its_sender() {
        for (last, expected) in [(10, Direction::Egress), (1, Direction::Ingress)] {
            let packet = [0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 192, 0, 2, last];
            assert_eq!(judge(&[vec![0; 12], packet.to_vec()].concat()), expected);
        }
    }

    #[test]
    fn what_is_cut_off_is_ingress() {
        let frame = [vec![0; 12], ipv6("2001:db8:1::10")].concat();
        for length in 0..frame.len() {
            assert_eq!(judge(&frame[..length]), Direction::Ingress);
        }
    }

    fn judge(frame: &[u8]) -> Direction {
        direction_by_address(frame, &LOCALS.map(|address| address.parse().unwrap()))
    }

    fn ipv4(source: [u8; 4]) -> Vec<u8> {
        [&[8, 0][..], &[0x45, 0, 0, 20], &[0; 8], &source].concat()
    }

    fn ipv6(source: &str) -> Vec<u8> {
        let source: std::net::Ipv6Addr = source.parse().unwrap();
        [&[0x86, 0xdd][..], &[0x60, 0, 0, 0], &[0; 4], &source.octets()].concat()
    }
}

use etherparse::{NetSlice, SlicedPacket, TransportSlice};

use super::*;

#[test]
fn a_tcp_segment_in_both_families() {
    for (source, destination) in
        [("198.51.100.7:40000", "192.0.2.10:443"), ("[2001:db8:2::7]:40000", "[2001:db8:1::10]:443")]
    {
        let bytes = frame().vlan(5).from(source).to(destination).tcp("SA").payload(*b"abc").bytes();
        let packet = SlicedPacket::from_ethernet(&bytes).unwrap();
        assert_eq!(packet.vlan_ids().as_slice(), [etherparse::VlanId::try_new(5).unwrap()]);
        let Some(TransportSlice::Tcp(tcp)) = &packet.transport else { panic!("{packet:?}") };
        assert_eq!((tcp.source_port(), tcp.destination_port()), (40_000, 443));
        assert_eq!((tcp.syn(), tcp.ack(), tcp.fin(), tcp.payload()), (true, true, false, &b"abc"[..]));
        assert_checksums(&bytes);
    }
}

#[test]
fn checksums_of_every_body_are_right() {
    let families =
        [("198.51.100.7:40000", "192.0.2.10:443"), ("[2001:db8:2::7]:40000", "[2001:db8:1::10]:443")];
    for (source, destination) in families {
        let ends = || frame().from(source).to(destination);
        for frame in
            [ends().udp(), ends().udp().payload(*b"odd"), ends().tcp("S"), ends().tcp("PA").payload([7; 33])]
        {
            assert_checksums(&frame.bytes());
        }
    }
    for kind in [0, 3, 5, 8, 11, 13] {
        assert_checksums(&frame().icmp(kind, 0).echo(1, 2).bytes());
    }
    for kind in [1, 2, 3, 4, 128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 143] {
        let frame = frame().from("2001:db8:2::7").to("2001:db8:1::10").icmpv6(kind, 0);
        assert_checksums(&frame.bytes());
    }
}

#[test]
fn a_udp_checksum_is_never_zero() {
    // The last two bytes are chosen by trying all: one of them sums up to zero.
    for word in 0..=u16::MAX {
        let bytes = frame().payload(word.to_be_bytes()).bytes();
        assert_ne!(bytes[40..42], [0, 0]);
    }
}

#[test]
fn igmp_has_the_router_alert_option_and_goes_to_the_group() {
    let bytes = frame().from("192.0.2.10").to("224.10.10.25").igmp(0x16).outbound().bytes();
    assert_eq!(bytes[..6], [0x01, 0x00, 0x5e, 10, 10, 25]);
    assert_eq!((bytes[14], bytes[22], &bytes[34..38]), (0x46, 1, &ROUTER_ALERT[..]));
    assert!(matches!(SlicedPacket::from_ethernet(&bytes).unwrap().transport, Some(TransportSlice::Igmp(_))));
}

#[test]
fn arp_asks_everyone_and_answers_one() {
    let request = frame().from("192.0.2.1").to("192.0.2.10").arp_request().bytes();
    assert_eq!(
        (&request[..6], &request[20..22], &request[32..38]),
        (&[0xff; 6][..], &[0, 1][..], &[0; 6][..])
    );
    let reply = frame().from("192.0.2.1").to("192.0.2.10").arp_reply().bytes();
    assert_eq!(
        (&reply[..6], &reply[28..32], &reply[38..42]),
        (&HOST_MAC[..], &[192, 0, 2, 1][..], &[192, 0, 2, 10][..])
    );
}

#[test]
fn extension_headers_are_chained_in_order() {
    let all = [Extension::RouterAlert, Extension::Destination, Extension::Routing, Extension::Authentication];
    let whole = frame().from("2001:db8:1::10").to("ff02::16").icmpv6(143, 0);
    let framed = all.iter().fold(whole, |frame, extension| frame.extension(*extension));
    let bytes = framed.bytes();
    let packet = SlicedPacket::from_ethernet(&bytes).unwrap();
    let Some(NetSlice::Ipv6(ip)) = &packet.net else { panic!("{packet:?}") };
    assert_eq!(ip.extensions().slice().len(), 8 + 8 + 8 + 16);
    assert!(matches!(packet.transport, Some(TransportSlice::Icmpv6(_))));
    assert_eq!((bytes[20], bytes[54], bytes[62], bytes[70], bytes[78]), (0, 60, 43, 51, 58));
}

#[test]
fn fragments_put_together_are_the_datagram() {
    for (source, destination) in
        [("192.0.2.53:53", "192.0.2.10:49200"), ("[2001:db8::53]:53", "[2001:db8:1::10]:49200")]
    {
        let payload: Vec<_> = (0..1600u16).map(|at| (at % 251) as u8).collect();
        let whole = frame().from(source).to(destination).udp().payload(payload);
        let first = whole.clone().fragment(0, true, 7).fragment_bytes(1480);
        let second = whole.clone().fragment(185, false, 7);
        let header = first.packet().len() - 1480;
        assert_eq!(whole.datagram(), [&first.packet()[header..], &second.packet()[header..]].concat());
        for part in [&first, &second] {
            let bytes = part.bytes();
            let packet = SlicedPacket::from_ethernet(&bytes).unwrap();
            assert!(packet.is_ip_payload_fragmented() && packet.transport.is_none());
        }
    }
}

#[test]
fn a_tiny_first_fragment_holds_no_whole_header() {
    let bytes = frame().tcp("S").fragment(0, true, 1).fragment_bytes(8).bytes();
    assert_eq!((bytes.len(), &bytes[20..22]), (14 + 20 + 8, &[0x20, 0][..]));
}

#[test]
fn extensions_behind_the_fragment_header_are_in_the_datagram() {
    let frame = frame().from("2001:db8::1").to("2001:db8::2").tcp("S");
    let frame = frame.extension(Extension::Fragment).extension(Extension::Destination).fragment(0, true, 1);
    let packet = frame.packet();
    assert_eq!((packet[6], packet[40], packet[48]), (44, 60, 6));
    assert_eq!(packet.len(), 40 + 8 + 8 + 24, "rounded up to a multiple of 8");
}

#[test]
fn errors_quote_as_much_as_routers_do() {
    let quoted = frame().from("192.0.2.10:49200").to("203.0.113.10:443").tcp("S");
    let bytes = frame().icmp(11, 0).quoting(&quoted).bytes();
    assert_eq!((bytes.len(), &bytes[42..62]), (14 + 20 + 8 + 28, &quoted.packet()[..20]));
    let quoted = frame().from("2001:db8::1").to("2001:db8::2").payload([1; 1300]);
    let bytes = frame().from("2001:db8::3").to("2001:db8::1").icmpv6(2, 0).quoting(&quoted).bytes();
    assert_eq!(bytes.len(), 14 + 1280);
    assert_checksums(&bytes);
}

#[test]
fn flaws_change_what_they_name() {
    let flawed = |flaws| frame().tcp("S").flaws(flaws).bytes();
    assert_eq!(flawed(Flaws { ihl: Some(4), ..Flaws::default() })[14], 0x44);
    assert_eq!(flawed(Flaws { version: Some(7), ..Flaws::default() })[14], 0x75);
    assert_eq!(flawed(Flaws { length: Some(19), ..Flaws::default() })[16..18], [0, 19]);
    assert_eq!(flawed(Flaws { data_offset: Some(4), ..Flaws::default() })[46], 0x40);
    let short = flawed(Flaws { transport_bytes: Some(8), ..Flaws::default() });
    assert_eq!((short.len(), &short[16..18]), (42, &[0, 28][..]));
    assert_eq!(flawed(Flaws { frame_bytes: Some(20), ..Flaws::default() }).len(), 20);
    assert_eq!(flawed(Flaws { padding: 6, ..Flaws::default() }).len(), 60);
    let lie = Flaws { udp_length: Some(4), ..Flaws::default() };
    assert_eq!(frame().udp().flaws(lie).bytes()[38..40], [0, 4]);
    assert!(!lie.none() && Flaws { padding: 4, ..Flaws::default() }.none());
}

#[test]
fn tags_and_raw_frames() {
    let bytes = frame().tag(0x88a8, 7).vlan(5).ethertype(0x8892).bytes();
    assert_eq!(bytes[12..22], [0x88, 0xa8, 0, 7, 0x81, 0, 0, 5, 0x88, 0x92]);
    assert_eq!(bytes.len(), 22 + 46);
}

/// The receiver's check: everything that a checksum covers, and the checksum, sum up to nothing.
fn assert_checksums(bytes: &[u8]) {
    let packet = SlicedPacket::from_ethernet(bytes).unwrap();
    match &packet.net {
        Some(NetSlice::Ipv4(ip)) => {
            let header = ip.header().to_header();
            assert_eq!(header.header_checksum, header.calc_header_checksum());
        }
        Some(NetSlice::Ipv6(_) | NetSlice::Arp(_)) | None => {}
    }
    let (source, destination) = addresses(&packet);
    let expected = match (&packet.transport, source.len()) {
        (Some(TransportSlice::Tcp(tcp)), 4) => (
            tcp.to_header().calc_checksum_ipv4_raw(
                source.try_into().unwrap(),
                destination.try_into().unwrap(),
                tcp.payload(),
            ),
            tcp.checksum(),
        ),
        (Some(TransportSlice::Tcp(tcp)), _) => (
            tcp.to_header().calc_checksum_ipv6_raw(
                source.try_into().unwrap(),
                destination.try_into().unwrap(),
                tcp.payload(),
            ),
            tcp.checksum(),
        ),
        (Some(TransportSlice::Udp(udp)), 4) => (
            udp.to_header().calc_checksum_ipv4_raw(
                source.try_into().unwrap(),
                destination.try_into().unwrap(),
                udp.payload(),
            ),
            udp.checksum(),
        ),
        (Some(TransportSlice::Udp(udp)), _) => (
            udp.to_header().calc_checksum_ipv6_raw(
                source.try_into().unwrap(),
                destination.try_into().unwrap(),
                udp.payload(),
            ),
            udp.checksum(),
        ),
        (Some(TransportSlice::Icmpv4(icmp)), _) => {
            let sum = etherparse::checksum::Sum16BitWords::new().add_slice(icmp.slice());
            (Ok(sum.ones_complement()), 0)
        }
        (Some(TransportSlice::Icmpv6(icmp)), _) => {
            let valid = icmp.is_checksum_valid(source.try_into().unwrap(), destination.try_into().unwrap());
            (Ok(u16::from(!valid)), 0)
        }
        (Some(TransportSlice::Igmp(_)) | None, _) => panic!("no transport in {packet:?}"),
    };
    assert_eq!(expected.0.unwrap(), expected.1, "{packet:?}");
}

fn addresses(packet: &SlicedPacket<'_>) -> (Vec<u8>, Vec<u8>) {
    match &packet.net {
        Some(NetSlice::Ipv4(ip)) => (ip.header().source().to_vec(), ip.header().destination().to_vec()),
        Some(NetSlice::Ipv6(ip)) => (ip.header().source().to_vec(), ip.header().destination().to_vec()),
        Some(NetSlice::Arp(_)) | None => (Vec::new(), Vec::new()),
    }
}

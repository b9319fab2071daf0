//! Captures made by hand: what no tool here writes, what is broken, and what is noise.

use std::time::Duration;

use portreeve_common::Direction;
use proptest::prelude::*;

use super::{Capture, CaptureError, Frame};

#[test]
fn sections_of_both_orders_with_interfaces_of_their_own() {
    let file = [
        section(Order::Little),
        interface(Order::Little, 1, 0, &[]),
        interface(Order::Little, 101, 0, &[(9, &[9])]),
        enhanced(Order::Little, 0, 1_500_000, &frame_bytes(), 60, None),
        enhanced(Order::Little, 1, 2_000_000_001, &ip_bytes(), 46, Some(2)),
        section(Order::Big),
        interface(Order::Big, 1, 0, &[(9, &[0x80 | 10]), (14, &10i64.to_be_bytes())]),
        enhanced(Order::Big, 0, 1024 + 512, &frame_bytes(), 100, Some(1)),
    ]
    .concat();
    let frames = read(&file).unwrap();
    let times: Vec<_> = frames.iter().map(|frame| frame.time).collect();
    assert_eq!(times, [Duration::from_millis(1500), Duration::new(2, 1), Duration::from_millis(11_500)]);
    let directions: Vec<_> = frames.iter().map(|frame| frame.direction).collect();
    assert_eq!(directions, [None, Some(Direction::Egress), Some(Direction::Ingress)]);
    assert_eq!(frames[1].bytes[12..], frames[0].bytes[12..]);
    assert_eq!(frames.iter().map(|frame| frame.truncated).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!(frames.iter().map(|frame| frame.number).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn simple_packets_have_the_snap_length_and_the_time_before_them() {
    for order in [Order::Little, Order::Big] {
        let file = [
            section(order),
            interface(order, 1, 60, &[]),
            enhanced(order, 0, 7_000_000, &frame_bytes(), 60, None),
            simple(order, &frame_bytes()[..58], 58),
            simple(order, &frame_bytes(), 1500),
        ]
        .concat();
        let frames = read(&file).unwrap();
        assert_eq!(frames[1].bytes.len(), 58);
        assert_eq!(frames[1].time, Duration::from_secs(7));
        assert_eq!((frames[2].bytes.len(), frames[2].original_length, frames[2].truncated), (60, 1500, true));
    }
}

#[test]
fn other_blocks_are_skipped() {
    let file = [
        section(Order::Little),
        block(Order::Little, 5, &[0; 12]),
        interface(Order::Little, 1, 0, &[]),
        block(Order::Little, 0x0bad, b"four"),
        enhanced(Order::Little, 0, 1, &frame_bytes(), 60, None),
        block(Order::Little, 4, &[]),
    ]
    .concat();
    assert_eq!(read(&file).unwrap().len(), 1);
}

#[test]
fn clocks_at_their_limits() {
    for (resolution, ticks, expected) in [
        (0, 5, Duration::from_secs(5)),
        (12, u64::MAX, Duration::new(18_446_744, 73_709_551)),
        (127, u64::MAX, Duration::ZERO),
        (0x80, u64::MAX, Duration::from_secs(u64::MAX)),
        (0xff, u64::MAX, Duration::ZERO),
        (0x80 | 63, u64::MAX, Duration::new(1, 999_999_999)),
    ] {
        let file = [
            section(Order::Little),
            interface(Order::Little, 1, 0, &[(9, &[resolution])]),
            enhanced(Order::Little, 0, ticks, &frame_bytes(), 60, None),
        ]
        .concat();
        assert_eq!(read(&file).unwrap()[0].time, expected, "if_tsresol {resolution:#x}");
    }
}

#[test]
fn what_is_no_capture_says_what_it_is() {
    assert!(matches!(failure(&[]), CaptureError::Empty));
    assert_eq!(
        failure(b"\x1f\x8b\x08\0rest").to_string(),
        "not a pcap or pcapng capture: it begins with 1f 8b 08 00 72 65 73 74"
    );
    assert_eq!(failure(b"{}").to_string(), "not a pcap or pcapng capture: it begins with 7b 7d");
}

#[test]
fn a_file_that_is_cut_off_gives_what_came_before() {
    let file = pcap(65_535, &[(60, 60), (60, 60)]);
    for length in 24..file.len() {
        let frames: Vec<_> = Capture::new(&file[..length]).unwrap().collect();
        let whole = (length - 24) / 76;
        assert!(frames[..whole].iter().all(Result::is_ok));
        let error = frames.get(whole).map(|frame| frame.as_ref().unwrap_err());
        match error {
            None => assert_eq!((length - 24) % 76, 0),
            Some(CaptureError::CutOff { offset, packets, .. }) => {
                assert_eq!((*offset, *packets), (24 + 76 * whole as u64, whole as u64));
            }
            Some(error) => panic!("{error}"),
        }
    }
    assert_eq!(
        failure(&file[..24 + 76 + 20]).to_string(),
        "the file is cut off: the packet at byte 100 needs 76 bytes and has 20 (packets before it: 1)"
    );
    assert_eq!(
        failure(&file[..10]).to_string(),
        "the file is cut off: the file header at byte 0 needs 24 bytes and has 10 (packets before it: 0)"
    );
}

#[test]
fn a_block_that_is_cut_off_names_its_place() {
    let (head, packet) = (
        [section(Order::Big), interface(Order::Big, 1, 0, &[])].concat(),
        enhanced(Order::Big, 0, 1, &frame_bytes(), 60, None),
    );
    for length in 1..packet.len() {
        let file = [&head[..], &packet, &packet[..length]].concat();
        let place = (head.len() + packet.len()) as u64;
        let error = failure(&file);
        let CaptureError::CutOff { offset, packets: 1, found, .. } = error else { panic!("{error}") };
        assert_eq!((offset, found), (place, length as u64));
    }
}

#[test]
fn a_packet_longer_than_the_snap_length_is_an_error() {
    let error = failure(&pcap(40, &[(40, 60), (60, 60)]));
    assert_eq!(error.to_string(), "packet 2 at byte 80 claims 60 captured bytes, but the snap length is 40");
    let claims = failure(&pcap(0, &[(u32::MAX, 60)]));
    assert!(matches!(
        claims,
        CaptureError::TooLong { packet: 1, offset: 24, length: u32::MAX, limit: 262_144 }
    ));
    let file = [
        section(Order::Little),
        interface(Order::Little, 1, 40, &[]),
        enhanced(Order::Little, 0, 1, &frame_bytes(), 60, None),
    ];
    assert!(matches!(
        failure(&file.concat()),
        CaptureError::TooLong { packet: 1, length: 60, limit: 40, .. }
    ));
}

#[test]
fn broken_blocks_are_named() {
    let head = [section(Order::Little), interface(Order::Little, 1, 0, &[])].concat();
    let after = |block: Vec<u8>| failure(&[head.clone(), block].concat());
    let unknown = after(enhanced(Order::Little, 3, 1, &frame_bytes(), 60, None));
    assert!(matches!(unknown, CaptureError::Interface { packet: 1, interface: 3, known: 1, .. }));
    assert!(matches!(after(block(Order::Little, 2, &[0; 40])), CaptureError::Obsolete { offset: 52 }));
    assert!(matches!(
        after(block(Order::Little, 6, &[0; 4])),
        CaptureError::Block { what: "enhanced packet", .. }
    ));
    let mut lengths = enhanced(Order::Little, 0, 1, &frame_bytes(), 60, None);
    *lengths.last_mut().unwrap() ^= 1;
    assert!(matches!(after(lengths), CaptureError::BlockLength { offset: 52, .. }));
    assert!(matches!(after(vec![6, 0, 0, 0, 7, 0, 0, 0]), CaptureError::BlockLength { length: 7, .. }));
    assert!(matches!(
        after(vec![6, 0, 0, 0, 0, 0, 0, 0x80]),
        CaptureError::BlockLength { length: 0x8000_0000, .. }
    ));
    let mut order = section(Order::Little);
    order[8] = 0;
    assert!(matches!(failure(&order), CaptureError::Block { what: "section header", offset: 0 }));
}

#[test]
fn cooked_headers_that_are_cut_off_are_errors() {
    for (link, needed) in [(113, 16), (276, 20)] {
        let file = [
            section(Order::Little),
            interface(Order::Little, link, 0, &[]),
            enhanced(Order::Little, 0, 1, &frame_bytes()[..needed - 1], 60, None),
        ];
        let error = failure(&file.concat());
        assert!(
            matches!(error, CaptureError::LinkHeader { packet: 1, needed: n, .. } if n == needed),
            "{error}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn noise_never_panics(magic in magic(), noise in prop::collection::vec(any::<u8>(), 0..300)) {
        exhaust(&[magic, noise].concat());
    }

    #[test]
    fn mutated_captures_never_panic(
        seed in prop::sample::select(seeds()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        whole in any::<bool>(),
    ) {
        let mut file = seed;
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if !whole {
            file.truncate(cut.index(file.len()));
        }
        exhaust(&file);
    }
}

/// Reads all, and checks that errors end the iteration and that frames keep their promises.
fn exhaust(file: &[u8]) {
    let Ok(mut capture) = Capture::new(file) else { return };
    let mut packets = 0;
    while let Some(frame) = capture.next() {
        let Ok(frame) = frame else {
            assert!(capture.next().is_none());
            return;
        };
        packets += 1;
        assert_eq!(frame.number, packets);
        assert!(frame.bytes.len() <= file.len() + 14);
        assert_eq!(frame.truncated, (frame.bytes.len() as u64) < u64::from(frame.original_length));
        let _ = frame.direction_among(&["192.0.2.10".parse().unwrap()]);
    }
}

fn magic() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(vec![
        vec![],
        pcap(0, &[]),
        pcap(96, &[]),
        section(Order::Little),
        section(Order::Big),
        [section(Order::Big), interface(Order::Big, 276, 0, &[]), vec![0, 0, 0, 6]].concat(),
        [section(Order::Little), interface(Order::Little, 1, 0, &[]), vec![6, 0, 0, 0]].concat(),
    ])
}

fn seeds() -> Vec<Vec<u8>> {
    let sections = [Order::Little, Order::Big].map(|order| {
        let options: &[(u16, &[u8])] = &[(9, &[0x89]), (14, &[1; 8]), (2, b"eth0")];
        [
            section(order),
            interface(order, 1, 0, options),
            interface(order, 113, 96, &[]),
            interface(order, 276, 0, &[]),
            enhanced(order, 0, u64::MAX, &frame_bytes(), 60, Some(1)),
            simple(order, &frame_bytes(), 60),
            enhanced(order, 1, 1, &frame_bytes(), 60, None),
            enhanced(order, 2, 1, &frame_bytes(), 60, Some(2)),
        ]
        .concat()
    });
    sections.into_iter().chain([pcap(65_535, &[(60, 60), (20, 60)])]).collect()
}

fn read(file: &[u8]) -> Result<Vec<Frame>, CaptureError> {
    Capture::new(file)?.collect()
}

fn failure(file: &[u8]) -> CaptureError {
    read(file).unwrap_err()
}

/// 60 bytes: an Ethernet header and an IPv4 packet of 46.
fn frame_bytes() -> Vec<u8> {
    let mut bytes = vec![0; 60];
    bytes[12] = 8;
    bytes[14] = 0x45;
    bytes[26..30].copy_from_slice(&[192, 0, 2, 10]);
    bytes
}

fn ip_bytes() -> Vec<u8> {
    frame_bytes().split_off(14)
}

/// A little-endian file in microseconds; each record claims its first length and holds at most 60 bytes.
fn pcap(snap: u32, records: &[(u32, u32)]) -> Vec<u8> {
    let header = [0xa1b2_c3d4, 0x0004_0002, 0, 0, snap, 1];
    let mut file: Vec<u8> = header.iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
    for &(captured, original) in records {
        file.extend([1, 2, captured, original].iter().flat_map(|word: &u32| word.to_le_bytes()));
        file.extend(&frame_bytes()[..captured.min(60) as usize]);
    }
    file
}

#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn half(self, value: u16) -> [u8; 2] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    fn word(self, value: u32) -> [u8; 4] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }
}

fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let length = order.word(u32::try_from(body.len() + 12).unwrap());
    [&order.word(kind)[..], &length, body, &length].concat()
}

fn section(order: Order) -> Vec<u8> {
    let body = [&order.word(0x1a2b_3c4d)[..], &order.half(1), &order.half(0), &[0xff; 8]].concat();
    block(order, 0x0a0d_0d0a, &body)
}

fn interface(order: Order, link: u16, snap: u32, list: &[(u16, &[u8])]) -> Vec<u8> {
    let body = [&order.half(link)[..], &[0; 2], &order.word(snap), &options(order, list)].concat();
    block(order, 1, &body)
}

fn enhanced(
    order: Order,
    interface: u32,
    ticks: u64,
    bytes: &[u8],
    original: u32,
    flags: Option<u32>,
) -> Vec<u8> {
    let captured = u32::try_from(bytes.len()).unwrap();
    let words = [interface, (ticks >> 32) as u32, (ticks & 0xffff_ffff) as u32, captured, original];
    let mut body: Vec<u8> = words.iter().flat_map(|word| order.word(*word)).collect();
    body.extend(padded(bytes));
    if let Some(flags) = flags {
        body.extend(options(order, &[(2, &order.word(flags))]));
    }
    block(order, 6, &body)
}

fn simple(order: Order, bytes: &[u8], original: u32) -> Vec<u8> {
    block(order, 3, &[&order.word(original)[..], &padded(bytes)].concat())
}

fn options(order: Order, list: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (code, value) in list {
        bytes.extend(order.half(*code));
        bytes.extend(order.half(u16::try_from(value.len()).unwrap()));
        bytes.extend(padded(value));
    }
    bytes.extend([0; 4]);
    bytes
}

fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

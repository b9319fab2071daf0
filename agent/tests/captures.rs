//! Captures that real tools wrote: what `captures/README.md` describes is what is read.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use portreeve::capture::{Capture, CaptureError, Frame};
use portreeve_common::Direction::{self, Egress, Ingress};

#[test]
fn every_byte_order_and_precision_gives_the_same_frames() {
    let expected = read("ethernet-micro-le.pcap");
    assert_eq!(expected.len(), 7);
    for name in
        ["ethernet-micro-be.pcap", "ethernet-nano-le.pcap", "ethernet-nano-be.pcap", "ethernet.pcapng"]
    {
        assert_eq!(read(name), expected, "{name}");
    }
}

#[test]
fn frames_are_numbered_and_timed() {
    for (index, frame) in read("ethernet-nano-be.pcap").iter().enumerate() {
        let seconds = 1_700_000_000 + index as u64;
        assert_eq!(frame.number, index as u64 + 1);
        assert_eq!(frame.time, Duration::new(seconds, 15_625_000));
        assert_eq!((frame.truncated, frame.original_length as usize), (false, frame.bytes.len()));
    }
}

#[test]
fn ethernet_without_flags_goes_by_address() {
    let frames = read("ethernet-micro-le.pcap");
    assert!(frames.iter().all(|frame| frame.direction.is_none()));
    assert_eq!(directions(&frames), [Ingress, Egress, Ingress, Egress, Egress, Egress, Ingress]);
}

#[test]
fn raw_ip_gets_an_ethernet_header() {
    let (raw, ethernet) = (read("raw-ip.pcap"), read("ethernet-micro-le.pcap"));
    assert_eq!(raw.len(), 4);
    for (raw, ethernet) in raw.iter().zip(&ethernet) {
        assert_eq!(raw.bytes[12..], ethernet.bytes[12..]);
        assert_eq!(raw.original_length, ethernet.original_length);
    }
    assert_eq!(directions(&raw), [Ingress, Egress, Ingress, Egress]);
}

#[test]
fn cooked_packets_state_direction_and_sender() {
    let frames = read("cooked.pcap");
    let stated: Vec<_> = frames.iter().map(|frame| frame.direction).collect();
    assert_eq!(stated, [Some(Ingress), Some(Egress), Some(Ingress)]);
    let ethernet = read("ethernet-micro-le.pcap");
    assert_eq!(frames[0].bytes[6..], ethernet[0].bytes[6..]);
    assert_eq!(frames[1].bytes[6..], ethernet[1].bytes[6..]);
    assert_eq!(frames[2].bytes[6..], ethernet[6].bytes[6..]);
    assert_eq!(frames[2].bytes[..6], [0xff; 6], "a broadcast packet");
}

#[test]
fn tcpdump_on_any_interface() {
    let frames = read("cooked-v2.pcap");
    let expected = [
        Egress, Ingress, Egress, Ingress, Egress, Ingress, Ingress, Egress, Ingress, Ingress, Egress,
        Ingress, Ingress,
    ];
    assert_eq!(frames.iter().map(|frame| frame.direction).collect::<Vec<_>>(), expected.map(Some));
    // The same wire as `veth0` saw it, which keeps whole headers; 96 - 20 bytes against 80 - 14.
    for (cooked, wire) in frames.iter().zip(read("veth-cut-nano.pcap")) {
        assert_eq!(cooked.original_length, wire.original_length);
        let common = cooked.bytes.len().min(wire.bytes.len());
        assert_eq!(cooked.bytes[12..common], wire.bytes[12..common]);
        assert_eq!(cooked.time.as_micros(), wire.time.as_micros());
    }
}

#[test]
fn a_short_snap_length_is_reported() {
    let frames = read("veth-cut-nano.pcap");
    let lengths: Vec<_> = frames.iter().map(|frame| (frame.bytes.len(), frame.original_length)).collect();
    assert_eq!(lengths[..3], [(42, 42), (42, 42), (80, 142)]);
    assert!(frames.iter().all(|frame| frame.truncated == (frame.original_length > 80)));
    assert!(frames.iter().any(|frame| frame.time.subsec_nanos() % 1000 != 0), "nanoseconds are kept");
    assert!(frames.is_sorted_by_key(|frame| frame.time));
    assert_eq!(directions(&frames[..4]), [Egress, Ingress, Egress, Ingress]);
}

#[test]
fn loopback_is_ethernet_from_the_host_to_itself() {
    let frames = read("loopback.pcap");
    assert_eq!(directions(&frames), [Egress, Egress]);
    assert!(frames[0].time > Duration::from_secs(1_700_000_000));
}

#[test]
fn another_link_type_is_named() {
    let error = open("other-link.pcap").next().unwrap().unwrap_err();
    assert!(matches!(error, CaptureError::LinkType { packet: 1, link: 105 }));
    assert!(error.to_string().contains("link type 105"), "{error}");
}

#[test]
fn a_missing_file_is_named() {
    let error = Capture::open("no-such.pcap").err().unwrap();
    assert_eq!(error.to_string(), "can't open no-such.pcap");
}

fn directions(frames: &[Frame]) -> Vec<Direction> {
    let locals: [IpAddr; 2] =
        ["192.0.2.10", "2001:db8:1::10"].map(|address| address.parse().expect("an address"));
    frames.iter().map(|frame| frame.direction_among(&locals)).collect()
}

fn read(name: &str) -> Vec<Frame> {
    open(name).collect::<Result<_, _>>().expect(name)
}

fn open(name: &str) -> Capture<impl std::io::Read> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    Capture::open(folder.join(name)).expect(name)
}

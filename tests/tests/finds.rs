//! What the model found, each with a sentence that says what went wrong.

use ipnet::IpNet;
use jiff::civil::date;
use portreeve::{
    image::{Image, Slots, simulation::Simulation},
    policy::{self, Catalogue, Policy},
};
use portreeve_common::{Direction, Reason};
use portreeve_tests::{
    frame::{Body, Extension, Frame, HOST_MAC, frame},
    model::Model,
};

const HOST: &str = r#"
[host]
name = "finds"
interfaces = ["eth0"]

[[allow]]
id = "WEB"
direction = "ingress"
protocol = "tcp"
port = 443
peers = "any"
reason = "user interface"

[[allow]]
id = "PING"
direction = "egress"
protocol = "icmp"
peers = "any"
reason = "is the peer there"
"#;

const PROTECTED: [&str; 2] = ["192.0.2.10/24", "2001:db8:1::10/64"];

/// One frame, when it comes in milliseconds, and its verdict.
type Line = (u64, Frame, Reason);

/// Both the shared lines and the model say so.
fn check(lines: &[Line]) {
    check_adopting(0, lines);
}

/// The same, while connections that nobody saw begin are taken in.
fn check_adopting(until: u64, lines: &[Line]) {
    let protected = PROTECTED.map(|text| text.parse::<IpNet>().expect("a prefix"));
    let catalogue = Catalogue::built_in().expect("the built-in packs");
    let policy: Policy =
        policy::compile("host.toml", HOST, &catalogue, date(2026, 11, 21)).expect("a valid host file");
    let image = Image::compile(&policy, &protected, &mut Slots::default(), 1_000).expect("an image");
    let mut simulation = Simulation::new(image);
    simulation.adopt_until(until);
    let mut model = Model::new(&policy, &protected, until);
    for (number, (at, frame, reason)) in lines.iter().enumerate() {
        let direction = if frame.sender == HOST_MAC { Direction::Egress } else { Direction::Ingress };
        simulation.set_now(*at);
        let bytes = frame.bytes();
        let judged = simulation.judge_quickly(bytes.as_slice(), direction).reason();
        assert_eq!(judged, *reason, "line {number}: {frame:?}");
        assert_eq!(model.judge(&bytes, direction, *at).reason, *reason, "the model, line {number}");
    }
}

const CLIENT: &str = "198.51.100.7:40000";
const PAGE: &str = "192.0.2.10:443";

fn there(flags: u8, sequence: u32, acknowledgment: u32) -> Frame {
    frame().from(CLIENT).to(PAGE).body(Body::Tcp { flags, sequence, acknowledgment })
}

fn back(flags: u8, sequence: u32, acknowledgment: u32) -> Frame {
    frame().from(PAGE).to(CLIENT).outbound().body(Body::Tcp { flags, sequence, acknowledgment })
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// The number that a SYN-ACK acknowledges was not kept, so a reset right behind the handshake was taken for a forged one,
/// and its connection held a place for the idle limit of a day.
#[test]
fn a_reset_right_behind_the_handshake_closes() {
    let [us, them] = [0x6eb0_a4af, 0xfb72_560d];
    check(&[
        (0, there(SYN, us, 0), Reason::Rule),
        (1, back(SYN | ACK, them, us + 1), Reason::Established),
        (2, there(ACK, us + 1, them + 1), Reason::Established),
        (3, there(RST, us + 1, 0), Reason::Established),
        // Closed for a minute, and then gone.
        (60_004, there(ACK, us + 1, them + 1), Reason::NoState),
    ]);
}

/// Extension headers behind the fragment header were left out of the first fragment's length, so a later one could reach
/// back over its ports.
#[test]
fn a_later_fragment_reaches_back_into_no_extension_header() {
    let syn = frame().from("[2001:db8:2::7]:40000").to("[2001:db8:1::10]:443").tcp("S").payload(vec![0; 64]);
    let first = [Extension::Fragment, Extension::Destination, Extension::Destination]
        .into_iter()
        .fold(syn.clone(), Frame::extension);
    // Two headers of eight bytes, and the 20 of TCP with 12 behind them: 48 bytes.
    let first = first.fragment(0, true, 9).fragment_bytes(48);
    check(&[
        (0, first, Reason::Rule),
        (1, syn.clone().fragment(4, false, 9), Reason::Fragment),
        (2, syn.clone().fragment(5, false, 9), Reason::Fragment),
        (3, syn.fragment(6, false, 9), Reason::Related),
    ]);
}

/// An IPv6 packet between IPv4-mapped addresses was taken for a packet of those IPv4 hosts.
#[test]
fn a_mapped_address_stands_for_no_host() {
    let [us, them] = [1_000, 2_000];
    let disguised = |frame: Frame| frame.from("[::ffff:198.51.100.7]:40000");
    check(&[
        (0, disguised(there(SYN, us, 0)).to("[::ffff:192.0.2.10]:443"), Reason::Martian),
        (1, there(SYN, us, 0), Reason::Rule),
        (2, back(SYN | ACK, them, us + 1), Reason::Established),
        (3, there(ACK, us + 1, them + 1), Reason::Established),
        (4, disguised(there(ACK, us + 1, them + 1)).to("[::ffff:192.0.2.10]:443"), Reason::Martian),
        (5, there(ACK, us + 1, them + 1), Reason::Established),
    ]);
}

/// An error about an ICMP error was taken for one about the echo that has the error's unused bytes as its identifier.
#[test]
fn an_error_about_an_error_belongs_to_no_flow() {
    let ping = frame().from("192.0.2.10").to("198.51.100.7").outbound().icmp(8, 0).echo(0, 1);
    let told = frame().from("192.0.2.10").to("198.51.100.7").outbound().icmp(3, 3);
    let error = || frame().from("198.51.100.7").to("192.0.2.10").icmp(3, 1);
    check(&[
        (0, ping.clone(), Reason::Rule),
        (1, error().quoting(&ping), Reason::Related),
        (2, error().quoting(&told), Reason::IcmpUnrelated),
    ]);
}

/// What stands behind the packet's own end was read as part of the packet that an error quotes.
#[test]
fn padding_quotes_nothing() {
    let ping = frame().from("192.0.2.10").to("198.51.100.7").outbound().icmp(8, 0).echo(7, 1);
    let mut error = frame().from("198.51.100.7").to("192.0.2.10").icmp(3, 1).quoting(&ping);
    // The IP packet ends behind the quoted IP header, the frame behind the whole quote.
    error.flaws.length = Some(20 + 8 + 20);
    check(&[(0, ping, Reason::Rule), (1, error, Reason::IcmpUnrelated)]);
}

/// One forged acknowledgment in the adoption window took a place among the established flows, where nothing is pushed out.
#[test]
fn a_forged_acknowledgment_is_no_connection() {
    let [us, them] = [1_000, 2_000];
    let forged = there(ACK, us, them);
    check_adopting(
        10_000,
        &[
            (0, forged.clone(), Reason::Adopted),
            // The host knows nothing of it.
            (1, back(RST, them, 0), Reason::Established),
            (20_000, forged.clone(), Reason::Established),
            // An established one would live for a day.
            (30_001, forged, Reason::NoState),
            (30_002, back(ACK, them, us), Reason::NoState),
        ],
    );
}

/// What goes on from both ends is a connection, also where the window closes between them.
#[test]
fn a_connection_that_both_ends_go_on_with_is_adopted() {
    let [us, them] = [1_000, 2_000];
    check_adopting(
        10_000,
        &[
            (9_999, back(ACK, them, us), Reason::Adopted),
            (10_000, there(SYN | ACK, us, them), Reason::NoState),
            (10_001, there(ACK, us, them + 1), Reason::Established),
            (500_000, back(ACK, them + 1, us), Reason::Established),
            (500_001, back(FIN | ACK, them + 1, us), Reason::Established),
            (500_002, there(FIN | ACK, us, them + 2), Reason::Established),
            (560_003, back(ACK, them + 2, us + 1), Reason::NoState),
        ],
    );
}

/// Discovery in fragments was let through, though no receiver takes it, and it took a place among the first fragments.
#[test]
fn discovery_comes_whole() {
    let advertisement = || frame().from("fe80::1").to("ff02::1").icmpv6(134, 0);
    let query = || frame().from("fe80::1").to("ff02::1").icmpv6(130, 0);
    check(&[
        (0, advertisement(), Reason::BaselineNdp),
        (1, advertisement().fragment(0, true, 7), Reason::Fragment),
        (2, advertisement().payload([0; 64]).fragment(8, false, 7), Reason::Fragment),
        // A fragment header alone is enough.
        (3, advertisement().fragment(0, false, 8), Reason::Fragment),
        (4, query(), Reason::BaselineMld),
        (5, query().fragment(0, true, 9), Reason::Fragment),
        (6, query().payload([0; 64]).fragment(8, false, 9), Reason::Fragment),
    ]);
}

const PSH: u8 = 8;
const DAY: u64 = 86_400_000;

fn data(frame: Frame) -> Frame {
    frame.payload(vec![0; 100])
}

/// A reset within 64 KiB of what the host had acknowledged counted, though its receiver ignores all but the exact one; and
/// of a connection that was not seen to begin, one within 64 KiB of 0.
#[test]
fn a_reset_that_its_receiver_ignores_closes_nothing() {
    let [us, them] = [0x1000_0000, 0x2000_0000];
    for off in [1, 65_000, 70_000, u32::MAX] {
        check(&[
            (0, there(SYN, us, 0), Reason::Rule),
            (1, back(SYN | ACK, them, us + 1), Reason::Established),
            (2, there(ACK, us + 1, them + 1), Reason::Established),
            (3, there(RST, (us + 1).wrapping_add(off), 0), Reason::Established),
            (3_600_000, there(ACK, us + 1, them + 1), Reason::Established),
            // Then the host acknowledges what was on its way, but not all of it.
            (3_600_000, back(ACK, them + 1, us + 50), Reason::Established),
            // The host's own it means.
            (3_600_001, back(RST, them + 9, 0), Reason::Established),
            (3_660_002, there(ACK, us + 1, them + 1), Reason::NoState),
        ]);
    }
    // Data is on its way when the reset comes, and is acknowledged behind it.
    check(&[
        (0, there(SYN, us, 0), Reason::Rule),
        (1, back(SYN | ACK, them, us + 1), Reason::Established),
        (2, there(ACK, us + 1, them + 1), Reason::Established),
        (3, data(there(PSH | ACK, us + 1, them + 1)), Reason::Established),
        (3, there(RST, us + 101, 0), Reason::Established),
        (4, back(ACK, them + 1, us + 101), Reason::Established),
        (60_005, there(ACK, us + 101, them + 1), Reason::NoState),
    ]);
    check_adopting(
        10,
        &[
            (0, there(ACK, us, them), Reason::Adopted),
            (1, there(RST, 0, 0), Reason::Established),
            (2, back(ACK, them, us), Reason::Established),
            (3, there(RST, 0, 0), Reason::Established),
            (3_600_000, there(ACK, us, them), Reason::Established),
        ],
    );
}

/// One of 65,537 acknowledgments completed a handshake, so a forged source could by trying; it takes the very one, or that
/// of data which the server has really sent behind its SYN-ACK.
#[test]
fn a_handshake_is_complete_with_the_very_acknowledgment() {
    let [us, them] = [0x1000_0000, 0x2000_0000];
    let opens =
        [(0, there(SYN, us, 0), Reason::Rule), (1, back(SYN | ACK, them, us + 1), Reason::Established)];
    for off in [1, 100, 65_536, u32::MAX] {
        let guess = there(ACK, us + 1, (them + 1).wrapping_add(off));
        check(&[opens.to_vec(), vec![(2, guess, Reason::NoState)]].concat());
    }
    let early = data(back(PSH | ACK, them + 1, us + 1));
    let goes_on = (DAY - 10, there(ACK, us + 1, them + 101), Reason::Established);
    for first in [them + 1, them + 101] {
        let lines = vec![
            (2, early.clone(), Reason::Established),
            (3, there(ACK, us + 1, first), Reason::Established),
            goes_on.clone(),
        ];
        check(&[opens.to_vec(), lines].concat());
    }
}

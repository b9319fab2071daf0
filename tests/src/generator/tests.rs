use std::collections::HashSet;

use etherparse::SlicedPacket;
use proptest::prelude::*;

use super::*;

#[test]
fn a_seed_is_a_sequence() {
    let take = |seed| Generator::new(seed).take(1000).collect::<Vec<_>>();
    assert_eq!(take(7), take(7));
    assert_ne!(take(7), take(8));
}

#[test]
fn frames_differ_and_flows_repeat() {
    let frames: Vec<_> = Generator::new(1).take(20_000).collect();
    assert!(frames.iter().collect::<HashSet<_>>().len() > 10_000);
    let mut generator = Generator::new(1);
    let mut flows = HashSet::new();
    let mut repeated = 0;
    for _ in 0..20_000 {
        let (direction, frame) = generator.valid();
        let (local, peer) = match direction {
            Direction::Ingress => (frame.destination, frame.source),
            Direction::Egress => (frame.source, frame.destination),
        };
        if !flows.insert((frame.body.protocol(), local.address, local.port, peer.address, peer.port)) {
            repeated += 1;
        }
    }
    assert!(repeated > 15_000, "{repeated} of 20000 frames belong to a flow that was there");
}

#[test]
fn most_frames_parse_and_some_do_not() {
    let frames = Generator::new(2).take(20_000);
    let parsed = frames.filter(|bytes| SlicedPacket::from_ethernet(bytes).is_ok()).count();
    assert!((10_000..19_500).contains(&parsed), "{parsed} of 20000 parse");
}

#[test]
fn the_plainest_recipe_is_a_syn() {
    let (direction, frame) = Recipe::default().frame(&Pool::default());
    let plain = crate::frame::frame().from("198.51.100.20:49200").to("192.0.2.10:443").tcp("S");
    assert_eq!((direction, frame), (Direction::Ingress, plain));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn strategies_make_frames(bytes in any_frame(), (_, frame) in any_valid_frame(Pool::default())) {
        prop_assert!(bytes.len() < 70_000);
        prop_assert!(frame.flaws.none());
        prop_assert!(frame.bytes().len() >= 14);
    }
}

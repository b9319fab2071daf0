//! The short way and the long way give every packet the same verdict, and leave the same state behind.

use portreeve::image::simulation::Simulation;
use portreeve_common::{Decision, switch::Mode};
use portreeve_tests::{
    generator::{Generator, Pool, Timed, Traffic},
    policy,
    step::Step,
};

/// Enough that every kind of flow opens, answers, closes and expires many times.
const PACKETS: usize = 300_000;
const TICKS_PER_SECOND: u64 = 100;

const HOST: &str = r#"
[host]
name = "short-way"
interfaces = ["eth0"]
addresses = ["192.0.2.10", "2001:db8:1::10"]

[[role]]
pack = "siemens-industrial-edge"
role = "ied"
options = { offering = "IEM OS" }
peers = { iem = ["198.51.100.0/24", "2001:db8:2::/64"], dns_servers = ["198.51.100.53"], ntp_servers = "any", ui_clients = "any" }
"#;

fn simulation(modes: [Mode; 2]) -> Simulation {
    let mut simulation = Simulation::new(policy::image(HOST, TICKS_PER_SECOND).expect("a valid host file"));
    simulation.set_modes(modes);
    simulation
}

#[test]
fn both_ways_agree_on_every_packet() {
    let mut generator = Generator::new(7);
    let steps = (0..PACKETS).map(|number| Timed { at: number as u64 * 30, step: generator.step() });
    agree([Mode::Enforce; 2], steps, PACKETS / 20);
}

#[test]
fn both_ways_agree_on_conversations() {
    for modes in [[Mode::Enforce; 2], [Mode::Enforce, Mode::Observe], [Mode::Observe, Mode::Enforce]] {
        agree(modes, Traffic::new(11, Pool::with_strangers()).take(PACKETS), PACKETS / 20);
    }
}

/// At least so many of them pass.
fn agree(modes: [Mode; 2], steps: impl Iterator<Item = Timed>, least: usize) {
    let (long, short) = (simulation(modes), simulation(modes));
    let (mut passed, mut dropped) = (0, 0);
    for (number, Timed { at, step: Step { direction, bytes } }) in steps.enumerate() {
        let expected = judge(&long, at, |tables| tables.judge(bytes.as_slice(), direction));
        let found = judge(&short, at, |tables| tables.judge_quickly(bytes.as_slice(), direction));
        assert_eq!(found, expected, "packet {number}, {direction}: {bytes:02x?}");
        if expected.passes() { passed += 1 } else { dropped += 1 }
    }
    println!("{PACKETS} packets: {passed} passed, {dropped} dropped");
    assert!(passed > least, "only {passed} packets passed");
}

/// `at`: in milliseconds.
fn judge(tables: &Simulation, at: u64, by: impl Fn(&Simulation) -> Decision) -> Decision {
    tables.set_now(at * TICKS_PER_SECOND / 1_000);
    by(tables)
}

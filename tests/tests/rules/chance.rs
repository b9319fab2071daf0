//! Conversations and frames by chance, over the addresses and ports of all kinds of rules: all ways agree on each.

use std::{collections::BTreeSet, net::IpAddr};

use portreeve_tests::generator::{Pool, Timed, Traffic};

use crate::ways::{PLANT, WAYS, judge_all};

const PACKETS: usize = 160_000;
const SEED: u64 = 23;

/// Mostly hosts of the policy, and the groups and broadcast addresses.
fn pool() -> Pool {
    let addresses =
        |texts: &[&str]| texts.iter().map(|text| text.parse::<IpAddr>().expect("an address")).collect();
    Pool {
        locals: addresses(&[
            "192.0.2.10",
            "2001:db8:1::10",
            "192.0.2.10",
            "2001:db8:1::10",
            "224.10.10.25",
            "ff02::1:99",
            "255.255.255.255",
            "192.0.2.255",
            "224.10.10.26",
        ]),
        peers: addresses(&[
            "192.0.2.60",
            "192.0.2.85",
            "192.0.2.70",
            "192.0.2.20",
            "2001:db8:1::60",
            "2001:db8:1::85",
            "2001:db8:1::70",
            "2001:db8:1::20",
            "203.0.113.10",
            "224.10.10.25",
            "255.255.255.255",
        ]),
        services: vec![21, 20, 7979, 8000, 8001, 514, 443],
        clients: vec![20, 514, 49_200, 49_400],
        ..Pool::default()
    }
}

#[test]
fn all_ways_agree() {
    let sequence: Vec<Timed> = Traffic::new(SEED, pool()).take(PACKETS).collect();
    let verdicts = judge_all(PLANT, sequence.clone()).expect("they are judged");
    let mut reached = BTreeSet::new();
    for (number, (found, Timed { at, step })) in verdicts.into_iter().zip(sequence).enumerate() {
        let [first, rest @ ..] = found;
        for (way, other) in WAYS.iter().skip(1).zip(rest) {
            assert_eq!(other, first, "packet {number} at {at} ms by {way}: {step:02x?}");
        }
        reached.insert(first);
    }
    println!("{reached:?}");
    for wanted in [
        "rule P-CAST",
        "rule P-BOTH",
        "rule P-ANSWER",
        "rule P-ALIVE",
        "rule P-HEAR",
        "rule P-SYSLOG",
        "rule P-FTP-IN",
        "rule P-FTP-OUT",
        "related P-DATA-OUT",
        "related P-DATA-IN",
        "baseline P-QUERY",
        "baseline P-REPORT",
        "wrong-peer P-HEAR",
        "no-rule",
        "no-state",
        "martian",
    ] {
        assert!(reached.contains(wanted), "{wanted} was never reached");
    }
}

//! Whose addresses a flow may have: this host's own, and another's that a wire can carry.

use portreeve_tests::frame::{Frame, frame};

use crate::ways::{inbound, judged, outbound};

const ANY: &str = r#"
[[allow]]
id = "IN"
direction = "ingress"
protocol = "tcp"
port = 443
peers = "any"
reason = "r"
[[allow]]
id = "OUT"
direction = "egress"
protocol = "tcp"
port = 443
peers = "any"
reason = "r"
"#;

fn syn(from: &str, to: &str) -> Frame {
    frame().from(from).to(to).tcp("S")
}

#[test]
fn only_other_hosts_may_call() {
    judged(
        ANY,
        vec![
            (inbound(syn("198.51.100.7:40000", "192.0.2.10:443")), "rule IN"),
            (inbound(syn("[2001:db8:2::7]:40000", "[2001:db8:1::10]:443")), "rule IN"),
            (inbound(syn("192.0.2.10:40000", "192.0.2.10:443")), "martian"),
            (inbound(syn("0.0.0.0:40000", "192.0.2.10:443")), "martian"),
            (inbound(syn("0.1.2.3:40000", "192.0.2.10:443")), "martian"),
            (inbound(syn("127.0.0.1:40000", "192.0.2.10:443")), "martian"),
            (inbound(syn("224.0.0.1:40000", "192.0.2.10:443")), "martian"),
            (inbound(syn("255.255.255.255:40000", "192.0.2.10:443")), "martian"),
            (inbound(syn("192.0.2.255:40000", "192.0.2.10:443")), "martian"),
            (inbound(syn("[2001:db8:1::10]:40000", "[2001:db8:1::10]:443")), "martian"),
            (inbound(syn("[::]:40000", "[2001:db8:1::10]:443")), "martian"),
            (inbound(syn("[::1]:40000", "[2001:db8:1::10]:443")), "martian"),
            (inbound(syn("[ff02::1]:40000", "[2001:db8:1::10]:443")), "martian"),
        ],
    );
}

#[test]
fn only_this_host_is_called() {
    judged(
        ANY,
        vec![
            (inbound(syn("198.51.100.7:40000", "192.0.2.11:443")), "not-local"),
            (inbound(syn("198.51.100.7:40000", "192.0.2.255:443")), "not-local"),
            (inbound(syn("198.51.100.7:40000", "224.0.0.1:443")), "not-local"),
            (inbound(syn("[2001:db8:2::7]:40000", "[2001:db8:1::11]:443")), "not-local"),
            (inbound(syn("[2001:db8:2::7]:40000", "[ff02::1]:443")), "not-local"),
        ],
    );
}

#[test]
fn only_this_host_calls_and_only_one_other() {
    judged(
        ANY,
        vec![
            (outbound(syn("192.0.2.10:50000", "198.51.100.7:443")), "rule OUT"),
            (outbound(syn("[2001:db8:1::10]:50000", "[2001:db8:2::7]:443")), "rule OUT"),
            (outbound(syn("192.0.2.11:50000", "198.51.100.7:443")), "not-local"),
            (outbound(syn("[2001:db8:1::11]:50000", "[2001:db8:2::7]:443")), "not-local"),
            (outbound(syn("192.0.2.10:50000", "224.0.0.251:443")), "wrong-peer OUT"),
            (outbound(syn("[2001:db8:1::10]:50000", "[ff02::fb]:443")), "wrong-peer OUT"),
            (outbound(syn("192.0.2.10:50000", "192.0.2.10:443")), "martian"),
            (outbound(syn("192.0.2.10:50000", "127.0.0.1:443")), "martian"),
        ],
    );
}

#[test]
fn an_ipv4_address_in_its_ipv6_form_is_not_on_a_wire() {
    let mapped = frame().from("[::ffff:198.51.100.7]:40000").to("[::ffff:192.0.2.10]:443");
    judged(
        ANY,
        vec![
            (inbound(syn("198.51.100.7:40000", "192.0.2.10:443")), "rule IN"),
            (outbound(syn("192.0.2.10:443", "198.51.100.7:40000").tcp("SA")), "established IN"),
            (inbound(syn("198.51.100.7:40000", "192.0.2.10:443").tcp("A")), "established IN"),
            // It would be of this flow.
            (inbound(mapped.clone().tcp("A")), "martian"),
            (inbound(mapped.clone().tcp("S")), "martian"),
            (
                inbound(frame().from("[2001:db8:2::7]:40000").to("[::ffff:192.0.2.10]:443").tcp("S")),
                "martian",
            ),
            (
                inbound(frame().from("[::ffff:198.51.100.7]:40000").to("[2001:db8:1::10]:443").tcp("S")),
                "martian",
            ),
        ],
    );
}

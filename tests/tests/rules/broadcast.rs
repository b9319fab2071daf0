//! Rules for broadcast: 255.255.255.255 and the directed broadcast of an interface, and no other destination.

use portreeve_tests::frame::{Frame, frame};

use crate::ways::{PLANT, inbound, judged, outbound};

fn udp(from: &str, to: &str) -> Frame {
    frame().from(from).to(to).udp()
}

#[test]
fn a_listed_peer_may_send_to_all() {
    judged(
        PLANT,
        vec![
            (inbound(udp("192.0.2.60:8001", "255.255.255.255:8001")), "rule P-CAST"),
            (inbound(udp("192.0.2.60:8001", "192.0.2.255:8001")), "rule P-CAST"),
            // Each packet by itself: no flow begins.
            (inbound(udp("192.0.2.60:8001", "255.255.255.255:8001")), "rule P-CAST"),
            (inbound(udp("192.0.2.61:8001", "255.255.255.255:8001")), "wrong-peer P-CAST"),
            (inbound(udp("192.0.2.60:8001", "192.0.2.10:8001")), "no-rule"),
            (inbound(udp("192.0.2.60:8001", "198.51.100.255:8001")), "no-rule"),
            (inbound(udp("192.0.2.60:8001", "224.0.0.1:8001")), "no-rule"),
            (inbound(udp("[2001:db8:1::60]:8001", "[2001:db8:1::10]:8001")), "no-rule"),
            (inbound(udp("[2001:db8:1::60]:8001", "[ff02::1]:8001")), "no-rule"),
        ],
    );
}

#[test]
fn the_same_port_may_have_both() {
    judged(
        PLANT,
        vec![
            (inbound(udp("192.0.2.60:8000", "255.255.255.255:8000")), "rule P-BOTH"),
            (inbound(udp("192.0.2.60:8000", "192.0.2.10:8000")), "rule P-BOTH"),
            (outbound(udp("192.0.2.10:8000", "192.0.2.60:8000")), "established P-BOTH"),
            (inbound(udp("[2001:db8:1::60]:8000", "[2001:db8:1::10]:8000")), "rule P-BOTH"),
            (inbound(udp("192.0.2.61:8000", "192.0.2.10:8000")), "wrong-peer P-BOTH"),
            (inbound(udp("192.0.2.61:8000", "192.0.2.255:8000")), "wrong-peer P-BOTH"),
            (inbound(frame().from("192.0.2.60:8000").to("255.255.255.255:8000").tcp("S")), "no-rule"),
        ],
    );
}

#[test]
fn what_the_host_sends_to_all_opens_nothing() {
    judged(
        PLANT,
        vec![
            (outbound(udp("192.0.2.10:8000", "255.255.255.255:8000")), "rule P-ANSWER"),
            (outbound(udp("192.0.2.10:8000", "192.0.2.255:8000")), "rule P-ANSWER"),
            (outbound(udp("192.0.2.10:8000", "192.0.2.61:8000")), "no-rule"),
            (outbound(udp("192.0.2.11:8000", "255.255.255.255:8000")), "not-local"),
            (outbound(udp("0.0.0.0:8000", "255.255.255.255:8000")), "not-local"),
            (inbound(udp("255.255.255.255:8000", "192.0.2.10:8000")), "wrong-peer P-BOTH"),
            (inbound(udp("192.0.2.61:8000", "192.0.2.10:8000")), "wrong-peer P-BOTH"),
        ],
    );
}

#[test]
fn a_rule_for_hosts_is_none_for_all() {
    let any = r#"
[[allow]]
id = "SITE"
direction = "egress"
protocol = "udp"
port = 9
peers = "any"
reason = "any host"
[[allow]]
id = "SITE-IN"
direction = "ingress"
protocol = "udp"
port = 9
peers = "any"
reason = "any host"
"#;
    judged(
        any,
        vec![
            (outbound(udp("192.0.2.10:50000", "198.51.100.1:9")), "rule SITE"),
            (outbound(udp("192.0.2.10:50000", "255.255.255.255:9")), "wrong-peer SITE"),
            (outbound(udp("192.0.2.10:50000", "192.0.2.255:9")), "wrong-peer SITE"),
            (inbound(udp("198.51.100.1:50000", "192.0.2.10:9")), "rule SITE-IN"),
            (inbound(udp("198.51.100.1:50000", "255.255.255.255:9")), "not-local"),
            (inbound(udp("198.51.100.1:50000", "192.0.2.255:9")), "not-local"),
            (inbound(udp("192.0.2.255:50000", "192.0.2.10:9")), "martian"),
        ],
    );
}

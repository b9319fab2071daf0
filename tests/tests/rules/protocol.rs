//! Rules for other IP protocols, by number; to one host, and to a group.

use portreeve_tests::frame::{Frame, frame};

use crate::ways::{inbound, judged, outbound};

const GRE: u8 = 47;
const VRRP: u8 = 112;

const HOST: &str = r#"
[[allow]]
id = "GRE"
direction = "ingress"
protocol = 47
peers = ["198.51.100.20", "2001:db8:2::20"]
reason = "tunnel"
[[allow]]
id = "VRRP"
direction = "egress"
protocol = 112
peers = ["224.0.0.18", "ff02::12"]
reason = "router"
"#;

fn packet(number: u8, from: &str, to: &str) -> Frame {
    frame().from(from).to(to).protocol(number).payload([0; 24])
}

#[test]
fn a_number_is_for_its_peers() {
    judged(
        HOST,
        vec![
            (inbound(packet(GRE, "198.51.100.20", "192.0.2.10")), "rule GRE"),
            (outbound(packet(GRE, "192.0.2.10", "198.51.100.20")), "established GRE"),
            (inbound(packet(GRE, "2001:db8:2::20", "2001:db8:1::10")), "rule GRE"),
            (inbound(packet(GRE, "198.51.100.21", "192.0.2.10")), "wrong-peer GRE"),
            (inbound(packet(GRE, "2001:db8:2::21", "2001:db8:1::10")), "wrong-peer GRE"),
            (outbound(packet(GRE, "192.0.2.10", "198.51.100.22")), "protocol"),
            (inbound(packet(41, "198.51.100.20", "192.0.2.10")), "protocol"),
            (inbound(packet(132, "2001:db8:2::20", "2001:db8:1::10")), "protocol"),
        ],
    );
}

#[test]
fn a_number_may_go_to_a_group() {
    judged(
        HOST,
        vec![
            (outbound(packet(VRRP, "192.0.2.10", "224.0.0.18")), "rule VRRP"),
            (outbound(packet(VRRP, "fe80::10", "ff02::12")), "rule VRRP"),
            (outbound(packet(VRRP, "192.0.2.10", "224.0.0.19")), "protocol"),
            (outbound(packet(VRRP, "192.0.2.10", "198.51.100.20")), "protocol"),
            (inbound(packet(VRRP, "192.0.2.1", "224.0.0.18")), "protocol"),
        ],
    );
}

//! IGMP: queries come and reports leave where a rule needs multicast.

use portreeve_tests::frame::{Frame, frame};

use crate::ways::{PLANT, inbound, judged, outbound};

const QUERY: u8 = 0x11;
const REPORT: u8 = 0x16;
const LEAVE: u8 = 0x17;
const REPORT_V3: u8 = 0x22;

fn igmp(kind: u8, from: &str, to: &str) -> Frame {
    frame().from(from).to(to).igmp(kind)
}

#[test]
fn queries_come_from_routers_and_from_switches_without_an_address() {
    judged(
        PLANT,
        vec![
            (inbound(igmp(QUERY, "192.0.2.1", "224.0.0.1")), "baseline P-QUERY"),
            (inbound(igmp(QUERY, "0.0.0.0", "224.0.0.1")), "baseline P-QUERY"),
            (inbound(igmp(QUERY, "192.0.2.1", "224.10.10.25")), "baseline P-QUERY"),
            // Older routers leave the Router Alert out.
            (inbound(igmp(QUERY, "192.0.2.1", "224.0.0.1").options([])), "baseline P-QUERY"),
            (inbound(igmp(QUERY, "192.0.2.1", "224.10.10.26")), "wrong-peer P-QUERY"),
            (inbound(igmp(QUERY, "192.0.2.1", "192.0.2.10")), "wrong-peer P-QUERY"),
            (inbound(igmp(QUERY, "192.0.2.10", "224.0.0.1")), "martian"),
            (inbound(igmp(QUERY, "224.0.0.1", "224.0.0.1")), "martian"),
            (inbound(igmp(QUERY, "127.0.0.1", "224.0.0.1")), "martian"),
            (outbound(igmp(QUERY, "192.0.2.10", "224.0.0.1")), "protocol"),
        ],
    );
}

#[test]
fn reports_leave_to_the_control_groups_and_to_groups_of_the_policy() {
    judged(
        PLANT,
        vec![
            (outbound(igmp(REPORT, "192.0.2.10", "224.10.10.25")), "baseline P-REPORT"),
            (outbound(igmp(REPORT_V3, "192.0.2.10", "224.0.0.22")), "baseline P-REPORT"),
            (outbound(igmp(LEAVE, "192.0.2.10", "224.0.0.2")), "baseline P-REPORT"),
            (outbound(igmp(REPORT, "192.0.2.10", "239.1.1.1")), "wrong-peer P-REPORT"),
            (outbound(igmp(REPORT, "192.0.2.11", "224.10.10.25")), "not-local"),
            (outbound(igmp(REPORT, "0.0.0.0", "224.10.10.25")), "not-local"),
            (inbound(igmp(REPORT, "192.0.2.85", "224.10.10.25")), "protocol"),
            (inbound(igmp(0x13, "192.0.2.85", "224.0.0.1")), "protocol"),
        ],
    );
}

#[test]
fn a_group_that_a_rule_needs_is_enough() {
    let site = |peer: &str| {
        format!(
            "[[allow]]\nid = \"SITE\"\ndirection = \"egress\"\nprotocol = \"udp\"\nport = 5000\npeers = [\"{peer}\"]\nreason = \"r\"\n"
        )
    };
    judged(
        &site("239.1.1.1"),
        vec![
            (inbound(igmp(QUERY, "192.0.2.1", "224.0.0.1")), "baseline"),
            (outbound(igmp(REPORT, "192.0.2.10", "239.1.1.1")), "baseline"),
            (outbound(igmp(REPORT, "192.0.2.10", "239.1.1.2")), "wrong-peer"),
        ],
    );
    for without in ["192.0.2.1", "255.255.255.255", "ff02::fb"] {
        judged(
            &site(without),
            vec![
                (inbound(igmp(QUERY, "192.0.2.1", "224.0.0.1")), "protocol"),
                (outbound(igmp(REPORT, "192.0.2.10", "239.1.1.1")), "protocol"),
            ],
        );
    }
}

#[test]
fn ipv6_has_no_igmp() {
    judged(
        PLANT,
        vec![
            (
                inbound(frame().from("2001:db8:1::1").to("ff02::1").protocol(2).payload([QUERY; 16])),
                "protocol",
            ),
            // It has MLD.
            (inbound(frame().from("fe80::1").to("ff02::1").icmpv6(130, 0)), "baseline"),
        ],
    );
}

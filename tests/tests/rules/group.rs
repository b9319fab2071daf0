//! Rules for multicast groups: their members, and nobody else.

use portreeve_tests::frame::{Frame, frame};

use crate::ways::{PLANT, inbound, judged, outbound};

fn udp(from: &str, to: &str) -> Frame {
    frame().from(from).to(to).udp()
}

#[test]
fn members_are_heard_in_their_group_alone() {
    judged(
        PLANT,
        vec![
            (inbound(udp("192.0.2.85:7979", "224.10.10.25:7979")), "rule P-HEAR"),
            (inbound(udp("192.0.2.85:7979", "224.10.10.25:7979")).after(3), "rule P-HEAR"),
            (inbound(udp("203.0.113.20:7979", "224.10.10.25:7979")), "wrong-peer P-HEAR"),
            (inbound(udp("192.0.2.85:7979", "224.10.10.26:7979")), "no-rule"),
            (inbound(udp("192.0.2.85:7979", "192.0.2.10:7979")), "no-rule"),
            (inbound(udp("192.0.2.85:7979", "255.255.255.255:7979")), "no-rule"),
            (inbound(udp("192.0.2.85:7979", "224.10.10.25:7980")), "no-rule"),
            (inbound(frame().from("192.0.2.85:7979").to("224.10.10.25:7979").tcp("S")), "no-rule"),
        ],
    );
}

#[test]
fn so_they_are_on_ipv6() {
    judged(
        PLANT,
        vec![
            (inbound(udp("[fe80::85]:7979", "[ff02::1:99]:7979")), "rule P-HEAR"),
            (inbound(udp("[2001:db8:1::85]:7979", "[ff02::1:99]:7979")), "rule P-HEAR"),
            (inbound(udp("[2001:db8:1::86]:7979", "[ff02::1:99]:7979")), "wrong-peer P-HEAR"),
            (inbound(udp("[2001:db8:1::85]:7979", "[ff02::1:98]:7979")), "no-rule"),
            (inbound(udp("[2001:db8:1::85]:7979", "[2001:db8:1::10]:7979")), "no-rule"),
            (outbound(udp("[fe80::10]:7979", "[ff02::1:99]:7979")), "rule P-ALIVE"),
            (outbound(udp("[fe80::10]:7979", "[ff02::1:98]:7979")), "no-rule"),
        ],
    );
}

#[test]
fn the_host_sends_to_its_group_alone_and_opens_nothing() {
    judged(
        PLANT,
        vec![
            (outbound(udp("192.0.2.10:7979", "224.10.10.25:7979")), "rule P-ALIVE"),
            (outbound(udp("192.0.2.10:7979", "224.10.10.99:7979")), "no-rule"),
            (outbound(udp("192.0.2.10:7979", "192.0.2.85:7979")), "no-rule"),
            (outbound(udp("192.0.2.11:7979", "224.10.10.25:7979")), "not-local"),
            // An answer from the group itself, or from a member to the host, belongs to no flow.
            (inbound(udp("224.10.10.25:7979", "192.0.2.10:7979")), "no-rule"),
            (inbound(udp("192.0.2.85:7979", "192.0.2.10:7979")), "no-rule"),
        ],
    );
}

#[test]
fn nobody_sends_in_the_hosts_name() {
    let any = PLANT.replace("members = [", "members = \"any\"\n# [");
    judged(
        &any,
        vec![
            (inbound(udp("203.0.113.20:7979", "224.10.10.25:7979")), "rule P-HEAR"),
            (inbound(udp("192.0.2.10:7979", "224.10.10.25:7979")), "martian"),
            (inbound(udp("0.0.0.0:7979", "224.10.10.25:7979")), "martian"),
            (inbound(udp("127.0.0.1:7979", "224.10.10.25:7979")), "martian"),
            (inbound(udp("224.10.10.25:7979", "224.10.10.25:7979")), "martian"),
            (inbound(udp("192.0.2.255:7979", "224.10.10.25:7979")), "martian"),
        ],
    );
}

#[test]
fn a_site_may_send_to_groups() {
    let site = r#"
[[allow]]
id = "SITE"
direction = "egress"
protocol = "udp"
port = 5353
peers = ["192.0.2.1", "224.0.0.251", "255.255.255.255", "ff02::fb"]
reason = "discovery"
"#;
    judged(
        site,
        vec![
            (outbound(udp("192.0.2.10:5353", "224.0.0.251:5353")), "rule SITE"),
            (outbound(udp("192.0.2.10:5353", "255.255.255.255:5353")), "rule SITE"),
            (outbound(udp("192.0.2.10:5353", "192.0.2.1:5353")), "rule SITE"),
            (inbound(udp("192.0.2.1:5353", "192.0.2.10:5353")), "established SITE"),
            (outbound(udp("[fe80::10]:5353", "[ff02::fb]:5353")), "rule SITE"),
            (outbound(udp("192.0.2.10:5353", "192.0.2.2:5353")), "wrong-peer SITE"),
            (outbound(udp("192.0.2.10:5353", "224.0.0.252:5353")), "no-rule"),
        ],
    );
}

#[test]
fn fragments_follow_into_the_group() {
    let part = |offset, more| {
        let whole = udp("192.0.2.85:7979", "224.10.10.25:7979").payload([0; 2_000]);
        whole.fragment(offset, more, 7).fragment_bytes(1_000)
    };
    judged(
        PLANT,
        vec![
            (inbound(part(125, false)), "fragment"),
            (inbound(part(0, true)), "rule P-HEAR"),
            (inbound(part(125, false)), "related P-HEAR"),
        ],
    );
}

//! A DHCP client, where the host file says that this host is one.

use portreeve_tests::frame::{Frame, frame};

use crate::ways::{PLANT, inbound, judged, outbound};

fn udp(from: &str, to: &str) -> Frame {
    frame().from(from).to(to).udp()
}

#[test]
fn a_client_reaches_servers_and_is_answered() {
    judged(
        &format!("[baseline]\ndhcp = true\n{PLANT}"),
        vec![
            (outbound(udp("0.0.0.0:68", "255.255.255.255:67")), "baseline"),
            (inbound(udp("192.0.2.1:67", "255.255.255.255:68")), "baseline"),
            (inbound(udp("192.0.2.1:67", "192.0.2.10:68")), "baseline"),
            (outbound(udp("192.0.2.10:68", "192.0.2.1:67")), "baseline"),
            (outbound(udp("[fe80::10]:546", "[ff02::1:2]:547")), "baseline"),
            (inbound(udp("[fe80::1]:547", "[fe80::10]:546")), "baseline"),
        ],
    );
}

#[test]
fn only_between_the_two_ports_and_in_this_role() {
    judged(
        &format!("[baseline]\ndhcp = true\n{PLANT}"),
        vec![
            (inbound(udp("192.0.2.1:68", "255.255.255.255:67")), "no-rule"),
            (inbound(udp("192.0.2.1:50000", "192.0.2.10:68")), "no-rule"),
            (outbound(udp("192.0.2.10:50000", "192.0.2.1:67")), "no-rule"),
            (inbound(udp("[2001:db8:2::1]:547", "[2001:db8:1::10]:546")), "no-rule"),
            (inbound(udp("[fe80::1]:67", "[fe80::10]:68")), "no-rule"),
            (inbound(udp("192.0.2.1:547", "192.0.2.10:546")), "no-rule"),
        ],
    );
}

#[test]
fn nobody_else_is_a_client() {
    judged(
        PLANT,
        vec![
            (outbound(udp("0.0.0.0:68", "255.255.255.255:67")), "no-rule"),
            (inbound(udp("192.0.2.1:67", "192.0.2.10:68")), "no-rule"),
            (outbound(udp("[fe80::10]:546", "[ff02::1:2]:547")), "no-rule"),
            (inbound(udp("[fe80::1]:547", "[fe80::10]:546")), "no-rule"),
        ],
    );
}

#[test]
fn nobody_answers_what_was_not_asked() {
    let client = format!("[baseline]\ndhcp = true\n{PLANT}");
    let unasked = || {
        vec![
            (inbound(udp("192.0.2.1:67", "255.255.255.255:68")), "no-rule"),
            (inbound(udp("192.0.2.1:67", "192.0.2.10:68")), "no-rule"),
            (inbound(udp("[fe80::1]:547", "[fe80::10]:546")), "no-rule"),
        ]
    };
    judged(&client, unasked());
    // Once asked, servers have 30 seconds.
    let mut late = vec![
        (outbound(udp("0.0.0.0:68", "255.255.255.255:67")), "baseline"),
        (inbound(udp("192.0.2.1:67", "192.0.2.77:68")).after(30), "baseline"),
        (inbound(udp("192.0.2.1:67", "192.0.2.77:68")).after(1), "no-rule"),
        (outbound(udp("[fe80::10]:546", "[ff02::1:2]:547")), "baseline"),
        (inbound(udp("[fe80::1]:547", "[fe80::11]:546")), "no-rule"),
        (inbound(udp("[fe80::1]:547", "[fe80::10]:546")).after(30), "baseline"),
    ];
    late.push((inbound(udp("[fe80::1]:547", "[fe80::10]:546")).after(1), "no-rule"));
    judged(&client, late);
}

#[test]
fn a_server_that_is_asked_by_address_answers_alone() {
    judged(
        &format!("[baseline]\ndhcp = true\n{PLANT}"),
        vec![
            (outbound(udp("192.0.2.10:68", "192.0.2.1:67")), "baseline"),
            (inbound(udp("192.0.2.2:67", "192.0.2.10:68")), "no-rule"),
            (inbound(udp("192.0.2.1:67", "255.255.255.255:68")), "no-rule"),
            (inbound(udp("192.0.2.1:67", "192.0.2.10:68")), "baseline"),
        ],
    );
}

#[test]
fn a_question_comes_from_this_host_and_goes_to_servers() {
    judged(
        &format!("[baseline]\ndhcp = true\n{PLANT}"),
        vec![
            (outbound(udp("192.0.2.77:68", "255.255.255.255:67")), "no-rule"),
            (outbound(udp("0.0.0.0:68", "192.0.2.1:67")), "no-rule"),
            (outbound(udp("192.0.2.10:68", "224.0.0.1:67")), "no-rule"),
            (outbound(udp("192.0.2.10:68", "127.0.0.1:67")), "no-rule"),
            (outbound(udp("[fe80::10]:546", "[fe80::1]:547")), "no-rule"),
            (outbound(udp("[fe80::10]:546", "[ff02::1]:547")), "no-rule"),
            (outbound(udp("0.0.0.0:68", "255.255.255.255:67")), "baseline"),
            (inbound(udp("127.0.0.1:67", "192.0.2.10:68")), "no-rule"),
            (inbound(udp("192.0.2.10:67", "255.255.255.255:68")), "no-rule"),
            (inbound(udp("192.0.2.1:67", "224.0.0.1:68")), "no-rule"),
        ],
    );
}

/// What is kept of a question was the key of packets of protocol 0, which a server could then have sent.
#[test]
fn a_question_is_no_flow() {
    let options = |from: &str, to: &str| frame().from(from).to(to).protocol(0).payload([0; 24]);
    judged(
        &format!("[baseline]\ndhcp = true\n{PLANT}"),
        vec![
            (outbound(udp("192.0.2.10:68", "192.0.2.1:67")), "baseline"),
            (inbound(options("192.0.2.1", "192.0.2.10")), "protocol"),
        ],
    );
}

//! Rules for names: the addresses that the host file gives them, exact and below a wildcard.

use portreeve_tests::frame::{Frame, frame};

use crate::ways::{PLANT, inbound, judged, outbound};

fn syn(to: &str) -> Frame {
    let from = if to.starts_with('[') { "[2001:db8:1::10]:50000" } else { "192.0.2.10:50000" };
    frame().from(from).to(to).tcp("S")
}

const NAMES: &str = r#"
[names]
"api.example.com" = ["198.51.100.1", "2001:db8:2::1"]
"a.b.example.com" = ["198.51.100.2", "2001:db8:2::2"]
"example.com" = ["198.51.100.3"]
"badexample.com" = ["198.51.100.4"]
"#;

#[test]
fn known_names_are_peers() {
    judged(
        &format!("{PLANT}{NAMES}"),
        vec![
            (outbound(syn("198.51.100.1:443")), "rule P-API"),
            (outbound(syn("[2001:db8:2::1]:443")), "rule P-API"),
            (outbound(syn("198.51.100.2:443")), "rule P-CLOUD"),
            (outbound(syn("[2001:db8:2::2]:443")), "rule P-CLOUD"),
            (outbound(syn("198.51.100.3:443")), "wrong-peer P-CLOUD"),
            (outbound(syn("198.51.100.4:443")), "wrong-peer P-CLOUD"),
            (outbound(syn("[2001:db8:2::3]:443")), "wrong-peer P-CLOUD"),
            (outbound(syn("198.51.100.1:80")), "no-rule"),
            (inbound(frame().from("198.51.100.1:50000").to("192.0.2.10:443").tcp("S")), "no-rule"),
        ],
    );
}

#[test]
fn a_name_without_addresses_is_for_nobody_yet() {
    judged(
        PLANT,
        vec![
            (outbound(syn("198.51.100.1:443")), "wrong-peer P-CLOUD"),
            (outbound(syn("[2001:db8:2::1]:443")), "wrong-peer P-CLOUD"),
        ],
    );
}

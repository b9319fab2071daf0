//! Rules with a source port: packets from that port alone.

use portreeve_tests::frame::{Frame, frame};

use crate::ways::{PLANT, inbound, judged, outbound};

fn udp(from: &str, to: &str) -> Frame {
    frame().from(from).to(to).udp()
}

#[test]
fn only_the_stated_port_may_send() {
    judged(
        PLANT,
        vec![
            (inbound(udp("192.0.2.60:514", "192.0.2.10:514")), "rule P-SYSLOG"),
            (outbound(udp("192.0.2.10:514", "192.0.2.60:514")), "established P-SYSLOG"),
            (inbound(udp("192.0.2.60:515", "192.0.2.10:514")), "no-rule"),
            (inbound(udp("192.0.2.61:514", "192.0.2.10:514")), "wrong-peer P-SYSLOG"),
            (inbound(udp("[2001:db8:1::60]:514", "[2001:db8:1::10]:514")), "rule P-SYSLOG"),
            (inbound(udp("[2001:db8:1::60]:50000", "[2001:db8:1::10]:514")), "no-rule"),
            (inbound(udp("[2001:db8:1::61]:514", "[2001:db8:1::10]:514")), "wrong-peer P-SYSLOG"),
            (inbound(frame().from("192.0.2.60:514").to("192.0.2.10:514").tcp("S")), "no-rule"),
        ],
    );
}

#[test]
fn a_rule_beside_it_takes_the_rest() {
    let site = r#"
[[allow]]
id = "SITE"
direction = "ingress"
protocol = "udp"
port = 514
peers = ["192.0.2.61"]
reason = "any port"
"#;
    judged(
        &format!("{PLANT}{site}"),
        vec![
            (inbound(udp("192.0.2.60:514", "192.0.2.10:514")), "rule P-SYSLOG"),
            (inbound(udp("192.0.2.60:515", "192.0.2.10:514")), "wrong-peer SITE"),
            (inbound(udp("192.0.2.61:515", "192.0.2.10:514")), "rule SITE"),
        ],
    );
}

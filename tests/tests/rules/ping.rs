//! `ping_from`: who may ping this host besides what roles document.

use portreeve_tests::frame::{Frame, frame};

use crate::ways::{inbound, judged, outbound};

const HOST: &str = r#"
[baseline]
ping_from = ["198.51.100.0/24", "2001:db8:2::/64"]
[[allow]]
id = "SITE"
direction = "egress"
protocol = "tcp"
port = 443
peers = "any"
reason = "r"
"#;

fn echo(from: &str, to: &str, kind: u8) -> Frame {
    let ends = frame().from(from).to(to);
    let message = if from.contains(':') { ends.icmpv6(kind, 0) } else { ends.icmp(kind, 0) };
    message.echo(7, 1)
}

#[test]
fn those_may_ping_and_are_answered() {
    judged(
        HOST,
        vec![
            (inbound(echo("198.51.100.7", "192.0.2.10", 8)), "rule BASELINE-PING"),
            (outbound(echo("192.0.2.10", "198.51.100.7", 0)), "established BASELINE-PING"),
            (inbound(echo("2001:db8:2::7", "2001:db8:1::10", 128)), "rule BASELINE-PING"),
            (outbound(echo("2001:db8:1::10", "2001:db8:2::7", 129)), "established BASELINE-PING"),
        ],
    );
}

#[test]
fn nobody_else_and_not_everybody_at_once() {
    judged(
        HOST,
        vec![
            (inbound(echo("203.0.113.7", "192.0.2.10", 8)), "wrong-peer BASELINE-PING"),
            (inbound(echo("2001:db8:3::7", "2001:db8:1::10", 128)), "wrong-peer BASELINE-PING"),
            (inbound(echo("198.51.100.7", "255.255.255.255", 8)), "not-local"),
            (inbound(echo("198.51.100.7", "192.0.2.255", 8)), "not-local"),
            (inbound(echo("198.51.100.7", "224.0.0.1", 8)), "not-local"),
            (inbound(echo("2001:db8:2::7", "ff02::1", 128)), "not-local"),
            (inbound(echo("198.51.100.7", "192.0.2.10", 0)), "no-state"),
            (outbound(echo("192.0.2.10", "198.51.100.7", 8)), "no-rule"),
            (inbound(frame().from("198.51.100.7").to("192.0.2.10").icmp(5, 1)), "redirect"),
            (inbound(frame().from("fe80::1").to("2001:db8:1::10").icmpv6(137, 0).hop_limit(255)), "redirect"),
        ],
    );
}

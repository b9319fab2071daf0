//! Rules that are bound to interfaces: packets of the suite come and leave by `eth0`.

use portreeve_tests::frame::{Frame, frame};

use crate::ways::{PLANT, inbound, judged, outbound};

const HOST: &str = r#"
[host]
interfaces = ["eth0", "eth1", "eth2"]

[[allow]]
id = "HERE"
direction = "ingress"
protocol = "tcp"
port = 8883
peers = ["192.0.2.0/24", "2001:db8:1::/64"]
interfaces = ["eth1", "eth0"]
reason = "by this one too"

[[allow]]
id = "THERE"
direction = "ingress"
protocol = "tcp"
port = [8883, 502]
peers = ["198.51.100.0/24"]
interfaces = ["eth1"]
reason = "by another one"

[[allow]]
id = "ANYWHERE"
direction = "ingress"
protocol = "tcp"
port = 502
peers = ["203.0.113.0/24"]
reason = "by any"

[[allow]]
id = "OUT"
direction = "egress"
protocol = "udp"
port = 5000
peers = "any"
interfaces = ["eth2"]
reason = "by another one"

[[allow]]
id = "ECHO"
direction = "egress"
protocol = "icmp"
peers = ["192.0.2.60"]
interfaces = ["eth0"]
reason = "by this one"
"#;

fn syn(from: &str, port: u16) -> Frame {
    let to = if from.starts_with('[') { "[2001:db8:1::10]" } else { "192.0.2.10" };
    frame().from(&*format!("{from}:50000")).to(&*format!("{to}:{port}")).tcp("S")
}

#[test]
fn a_flow_begins_by_the_interfaces_that_its_rule_names() {
    judged(
        HOST,
        vec![
            (inbound(syn("192.0.2.60", 8883)), "rule HERE"),
            (outbound(frame().from("192.0.2.10:8883").to("192.0.2.60:50000").tcp("SA")), "established HERE"),
            (inbound(syn("[2001:db8:1::60]", 8883)), "rule HERE"),
            (inbound(syn("198.51.100.7", 8883)), "wrong-interface THERE"),
            (inbound(syn("203.0.113.7", 8883)), "wrong-peer THERE"),
            (inbound(syn("198.51.100.7", 502)), "wrong-interface THERE"),
            (inbound(syn("203.0.113.7", 502)), "rule ANYWHERE"),
            (inbound(syn("192.0.2.60", 502)), "wrong-peer ANYWHERE"),
            (outbound(frame().from("192.0.2.10:50000").to("192.0.2.60:5000").udp()), "wrong-interface OUT"),
        ],
    );
}

#[test]
fn echo_is_bound_as_well() {
    let echo = |to: &str| frame().from("192.0.2.10").to(to).icmp(8, 0).echo(7, 1);
    let answer = frame().from("192.0.2.60").to("192.0.2.10").icmp(0, 0).echo(7, 1);
    let elsewhere = HOST.replace("interfaces = [\"eth0\"]", "interfaces = [\"eth1\"]");
    judged(HOST, vec![(outbound(echo("192.0.2.60")), "rule ECHO"), (inbound(answer), "established ECHO")]);
    judged(&elsewhere, vec![(outbound(echo("192.0.2.60")), "wrong-interface ECHO")]);
}

#[test]
fn a_whole_role_may_be() {
    let report = || outbound(frame().from("192.0.2.10").to("224.0.0.22").igmp(0x22));
    let query = || inbound(frame().from("192.0.2.1").to("224.0.0.1").igmp(0x11));
    let cast = || inbound(frame().from("192.0.2.60:8001").to("255.255.255.255:8001").udp());
    let on = |name: &str| {
        PLANT.replace("role = \"edge\"\n", &format!("role = \"edge\"\ninterfaces = [\"{name}\"]\n"))
    };
    judged(
        &on("eth0"),
        vec![(report(), "baseline P-REPORT"), (query(), "baseline P-QUERY"), (cast(), "rule P-CAST")],
    );
    judged(
        &on("eth1"),
        vec![
            // Of the baseline, which is not bound.
            (report(), "baseline P-REPORT"),
            (query(), "baseline P-QUERY"),
            (cast(), "wrong-interface P-CAST"),
        ],
    );
}

//! Active FTP: a data connection passes beside a live control flow between the same two hosts, and no longer.

use portreeve_tests::frame::{Body, Frame, frame};

use crate::ways::{PLANT, Step, inbound, judged, outbound};

fn tcp(from: &str, to: &str, flags: &str) -> Frame {
    frame().from(from).to(to).tcp(flags)
}

/// A reset that its receiver takes: where the caller's last acknowledgement was.
fn reset(from: &str, to: &str) -> Frame {
    const RST_ACK: u8 = 0x14;
    frame().from(from).to(to).body(Body::Tcp { flags: RST_ACK, sequence: 2_000, acknowledgment: 2_000 })
}

/// A connection that this host answers.
fn called<'f>(client: &str, server: &str, flow: [&'f str; 2]) -> Vec<(Step, &'f str)> {
    let [begins, goes_on] = flow;
    vec![
        (inbound(tcp(client, server, "S")), begins),
        (outbound(tcp(server, client, "SA")), goes_on),
        (inbound(tcp(client, server, "A")), goes_on),
    ]
}

/// A connection that this host begins.
fn calling<'f>(client: &str, server: &str, flow: [&'f str; 2]) -> Vec<(Step, &'f str)> {
    let [begins, goes_on] = flow;
    vec![
        (outbound(tcp(client, server, "S")), begins),
        (inbound(tcp(server, client, "SA")), goes_on),
        (outbound(tcp(client, server, "A")), goes_on),
    ]
}

const CONTROL_IN: [&str; 2] = ["rule P-FTP-IN", "established P-FTP-IN"];
const CONTROL_OUT: [&str; 2] = ["rule P-FTP-OUT", "established P-FTP-OUT"];
const DATA_OUT: [&str; 2] = ["related P-DATA-OUT", "established P-DATA-OUT"];
const DATA_IN: [&str; 2] = ["related P-DATA-IN", "established P-DATA-IN"];

#[test]
fn a_server_calls_its_client_back() {
    for (client, data, server, source, other) in [
        ("192.0.2.70:40000", "192.0.2.70:40001", "192.0.2.10:21", "192.0.2.10:20", "192.0.2.71:40001"),
        (
            "[2001:db8:1::70]:40000",
            "[2001:db8:1::70]:40001",
            "[2001:db8:1::10]:21",
            "[2001:db8:1::10]:20",
            "[2001:db8:1::71]:40001",
        ),
    ] {
        let mut sequence = vec![(outbound(tcp(source, data, "S")), "no-state")];
        sequence.extend(called(client, server, CONTROL_IN));
        sequence.extend(calling(source, data, DATA_OUT));
        sequence.push((outbound(tcp(source, other, "S")), "wrong-peer P-DATA-OUT"));
        sequence.push((inbound(tcp(data, source, "S")), "no-rule"));
        judged(PLANT, sequence);
    }
}

#[test]
fn a_client_is_called_back() {
    let (client, server) = ("192.0.2.10:49400", "192.0.2.20:21");
    let mut sequence = vec![(inbound(tcp("192.0.2.20:20", "192.0.2.10:50130", "S")), "no-state")];
    sequence.extend(calling(client, server, CONTROL_OUT));
    sequence.extend([
        (inbound(tcp("192.0.2.20:20", "192.0.2.10:50130", "S")), DATA_IN[0]),
        (outbound(tcp("192.0.2.10:50130", "192.0.2.20:20", "SA")), DATA_IN[1]),
        (inbound(tcp("192.0.2.20:20", "192.0.2.10:50130", "A")), DATA_IN[1]),
        (inbound(tcp("192.0.2.20:20", "192.0.2.10:445", "S")), "no-rule"),
        (inbound(tcp("192.0.2.20:2020", "192.0.2.10:50131", "S")), "no-rule"),
        (inbound(tcp("203.0.113.20:20", "192.0.2.10:50130", "S")), "wrong-peer P-DATA-IN"),
    ]);
    judged(PLANT, sequence);
}

#[test]
fn half_a_control_flow_is_none() {
    let (client, server) = ("192.0.2.70:40000", "192.0.2.10:21");
    judged(
        PLANT,
        vec![
            (inbound(tcp(client, server, "S")), CONTROL_IN[0]),
            (outbound(tcp("192.0.2.10:20", "192.0.2.70:40001", "S")), "no-state"),
            (outbound(tcp(server, client, "SA")), CONTROL_IN[1]),
            (outbound(tcp("192.0.2.10:20", "192.0.2.70:40001", "S")), "no-state"),
            (inbound(tcp(client, server, "A")), CONTROL_IN[1]),
            (outbound(tcp("192.0.2.10:20", "192.0.2.70:40001", "S")), DATA_OUT[0]),
        ],
    );
}

#[test]
fn data_ends_with_its_control_flow() {
    let (client, server, data) = ("192.0.2.70:40000", "192.0.2.10:21", "192.0.2.70:40001");
    let mut sequence = called(client, server, CONTROL_IN);
    sequence.extend(calling("192.0.2.10:20", data, DATA_OUT));
    sequence.extend([
        (outbound(tcp("192.0.2.10:20", data, "A")), DATA_OUT[1]),
        (inbound(tcp(client, server, "FA")), CONTROL_IN[1]),
        (outbound(tcp("192.0.2.10:20", data, "A")), DATA_OUT[1]),
        (outbound(tcp(server, client, "FA")), CONTROL_IN[1]),
        (outbound(tcp("192.0.2.10:20", data, "A")), "no-state"),
        (outbound(tcp("192.0.2.10:20", "192.0.2.70:40002", "S")), "no-state"),
    ]);
    judged(PLANT, sequence);
}

#[test]
fn the_other_end_of_a_control_flow_does_not_call_back() {
    let both = PLANT.replace("servers = [", "servers = [\"192.0.2.70\", ");
    let mut sequence = called("192.0.2.70:40000", "192.0.2.10:21", CONTROL_IN);
    // The client of the control flow is no server of data.
    sequence.push((inbound(tcp("192.0.2.70:20", "192.0.2.10:50000", "S")), "no-state"));
    judged(&both, sequence);
}

#[test]
fn one_of_several_control_flows_is_enough() {
    let clients: Vec<String> = (0..12).map(|n| format!("192.0.2.70:{}", 40_000 + n)).collect();
    let server = "192.0.2.10:21";
    let mut sequence = Vec::new();
    for client in &clients {
        sequence.extend(called(client, server, CONTROL_IN));
        // All but the last one are reset.
        if Some(client) != clients.last() {
            sequence.push((outbound(reset(server, client)), CONTROL_IN[1]));
        }
    }
    sequence.push((outbound(tcp("192.0.2.10:20", "192.0.2.70:41000", "S")), DATA_OUT[0]));
    judged(PLANT, sequence);
}

/// Whoever called from port 21, by a rule that has nothing to do with FTP, counted as a server, and could begin data
/// connections.
#[test]
fn who_calls_from_the_control_port_is_no_server() {
    const PAGE: &str = r#"
[[allow]]
id = "SITE-1"
direction = "ingress"
protocol = "tcp"
port = 443
peers = "any"
reason = "user interface"
"#;
    let mut sequence = called("192.0.2.20:21", "192.0.2.10:443", ["rule SITE-1", "established SITE-1"]);
    sequence.push((inbound(tcp("192.0.2.20:20", "192.0.2.10:50130", "S")), "no-state"));
    judged(&format!("{PLANT}{PAGE}"), sequence);
}

/// Control flows whose pair of hosts had been forgotten were never noted again, as packets of established flows go the
/// short way.
#[test]
fn each_packet_keeps_a_control_flow_in_mind() {
    let (client, server) = ("192.0.2.10:49400", "192.0.2.20:21");
    let mut sequence = calling(client, server, CONTROL_OUT);
    // Nine more push it out of the eight that are kept in mind, and are reset.
    for port in 0..9 {
        let other = format!("192.0.2.10:{}", 49_401 + port);
        sequence.extend(calling(&other, server, CONTROL_OUT));
    }
    for port in 0..9 {
        let other = format!("192.0.2.10:{}", 49_401 + port);
        sequence.push((outbound(reset(&other, server)), CONTROL_OUT[1]));
    }
    sequence.push((outbound(tcp(client, server, "A")), CONTROL_OUT[1]));
    sequence.push((inbound(tcp("192.0.2.20:20", "192.0.2.10:50130", "S")), DATA_IN[0]));
    judged(PLANT, sequence);
}

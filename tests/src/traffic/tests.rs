use std::thread;

use super::*;

#[test]
fn every_byte_comes_back_over_both_transports_and_families() {
    for transport in [Transport::Tcp, Transport::Udp] {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let server = Server::bind(transport, address.parse().unwrap()).unwrap();
            let plan = plan(transport, server.address().unwrap());
            thread::spawn(move || serve(&server, Duration::from_secs(10)));
            let report = exchange(&plan);
            assert!(report.flawless(), "{transport:?} to {address}: {report:?}");
            assert_eq!((report.connections, report.sent, report.answered), (8, 160, 160));
        }
    }
}

#[test]
fn a_server_that_changes_a_byte_is_caught() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let plan = Plan { connections: 1, rounds: 3, ..plan(Transport::Udp, socket.local_addr().unwrap()) };
    let report = thread::scope(|scope| {
        scope.spawn(|| {
            let mut buffer = [0; 2000];
            for _ in 0..3 {
                let (length, client) = socket.recv_from(&mut buffer).unwrap();
                buffer[length - 1] ^= 1;
                socket.send_to(&buffer[..length], client).unwrap();
            }
        });
        exchange(&plan)
    });
    assert_eq!((report.sent, report.corrupted, report.answered, report.flawless()), (3, 3, 0, false));
}

#[test]
fn silence_is_loss_and_a_closed_port_is_refusal() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let patience = Duration::from_millis(30);
    let quiet =
        Plan { connections: 2, rounds: 3, patience, ..plan(Transport::Udp, silent.local_addr().unwrap()) };
    let report = exchange(&quiet);
    assert_eq!((report.sent, report.lost, report.answered), (6, 6, 0));

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let report = exchange(&Plan { connections: 1, patience, ..plan(Transport::Tcp, address) });
    assert_eq!((report.sent, report.lost, report.broken), (1, 1, 1), "accepted, never answered");
    drop(listener);
    let report = exchange(&Plan { connections: 3, ..plan(Transport::Tcp, address) });
    assert_eq!((report.connections, report.refused, report.sent), (3, 3, 0));
}

#[test]
fn the_limit_ends_it() {
    let server = Server::bind(Transport::Tcp, "127.0.0.1:0".parse().unwrap()).unwrap();
    let limit = Duration::from_millis(200);
    let endless = Plan { rounds: u32::MAX, limit, ..plan(Transport::Tcp, server.address().unwrap()) };
    thread::spawn(move || serve(&server, Duration::from_secs(10)));
    let report = exchange(&endless);
    assert!(report.flawless(), "{report:?}");
}

fn plan(transport: Transport, target: SocketAddr) -> Plan {
    Plan {
        transport,
        target,
        connections: 8,
        rounds: 20,
        bytes: 1200,
        pause: Duration::from_millis(1),
        patience: Duration::from_secs(1),
        limit: Duration::from_secs(5),
    }
}

//! What the traffic is made of.

use std::net::IpAddr;

use portreeve_tests::generator::{Named, Pool};

/// Names that rules want, that lie beside those, and that nobody wants; they share some addresses.
const NAMES: [&str; 9] = [
    "api.example.com",
    "www.example.com",
    "deep.api.example.com",
    "a.b.example.net",
    "x.example.net",
    "example.net",
    "badexample.com",
    "evil-example.net",
    "example.org",
];
/// One with more addresses than are remembered of it.
const MANY: &str = "cdn.example.net";

/// What there is to ask for.
fn named() -> Vec<Named> {
    let shared = (32..40).map(|last| IpAddr::from([203, 0, 113, last]));
    let shared: Vec<IpAddr> =
        shared.chain((1..5).map(|last| [0x2001, 0xdb8, 7, 0, 0, 0, 0, last].into())).collect();
    let many = (100..190).map(|last| IpAddr::from([203, 0, 113, last])).collect();
    let of = |name| Named { name, addresses: shared.clone() };
    NAMES.into_iter().map(of).chain([Named { name: MANY, addresses: many }]).collect()
}

/// The usual addresses and ports, those of groups, broadcast and FTP, and names.
pub(crate) fn pool() -> Pool {
    let mut pool = Pool::with_strangers();
    let addresses = |texts: [&str; 5]| texts.map(|text| text.parse::<IpAddr>().expect("an address"));
    let to_many = ["224.10.10.25", "ff02::1:99", "255.255.255.255", "192.0.2.255", "224.10.10.26"];
    pool.locals.extend(addresses(to_many).repeat(2));
    pool.peers.extend(addresses(["224.10.10.25", "255.255.255.255", "192.0.2.255", "ff02::1:99", "0.1.2.3"]));
    pool.services.extend([8000, 8001, 7979, 514, 21]);
    pool.clients.extend([20, 514]);
    pool.resolvers = ["192.0.2.53", "192.0.2.53", "2001:db8:1::50", "192.0.2.54"]
        .map(|text| text.parse().expect("an address"))
        .to_vec();
    pool.named = named();
    pool.named_services = vec![843, 843, 883];
    pool.services.push(843);
    pool.peers.extend(addresses([
        "203.0.113.32",
        "203.0.113.33",
        "203.0.113.34",
        "203.0.113.100",
        "2001:db8:7::1",
    ]));
    pool
}

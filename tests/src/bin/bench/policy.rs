//! Policies of any number of rules, each with a port and a peer of its own; the last ones are those that the frames ask
//! for. The same rules for every filter.

use std::{
    fmt::{Display, Write as _},
    net::{Ipv4Addr, Ipv6Addr},
    time::{Duration, Instant},
};

use anyhow::Result;
use ipnet::IpNet;
use jiff::civil::date;
use portreeve::{
    image::{Image, Slots},
    policy::{self, Catalogue},
};

/// Any peer may use it.
pub(crate) const OPEN: u16 = 443;
/// Only the listed peers may.
pub(crate) const LISTED: u16 = 444;
/// Nobody documents it.
pub(crate) const CLOSED: u16 = 23;
/// Any peer may use it over UDP.
pub(crate) const OPEN_UDP: u16 = 5_000;

/// What every host file begins with.
pub(crate) const HEAD: &str = "[host]\nname = \"bench\"\naddresses = [\"192.0.2.10\", \"2001:db8:1::10\"]\n";
const TICKS_PER_SECOND: u64 = 250;

/// A rule that no frame asks for.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    /// TCP.
    pub(crate) port: usize,
    /// For this peer.
    pub(crate) v4: Ipv4Addr,
    /// And for this one.
    pub(crate) v6: Ipv6Addr,
}

/// So many of them; two or three more are for the frames.
pub(crate) fn rules(count: usize) -> impl Iterator<Item = Rule> {
    let first = u128::from(Ipv6Addr::new(0x2001, 0xdb8, 0x100, 0, 0, 0, 0, 0));
    (0..count.saturating_sub(2)).zip(1_u128..).map(move |(rule, number)| Rule {
        port: 1_024 + rule % 50_000,
        // Every address of a documentation network occurs, as often as the count makes it.
        v4: Ipv4Addr::from(0xc633_6400 + u32::try_from(rule % 250).unwrap_or(0)),
        v6: Ipv6Addr::from(first + number),
    })
}

/// The tables of `count` rules, and how long they took from text.
pub(crate) fn image(count: usize) -> Result<(Image, Duration)> {
    compile(&text(HEAD, count))
}

/// The same with a resolver and names that are learned from it.
pub(crate) fn image_with_names(count: usize) -> Result<Image> {
    let mut text = text(HEAD, count);
    for (id, protocol, port, peers) in [
        ("DNS", "udp", 53, "[\"192.0.2.53\"]"),
        ("DNS-TCP", "tcp", 53, "[\"192.0.2.53\"]"),
        ("NAMES", "tcp", 8_883, "[\"api.example.com\", \"*.example.net\"]"),
    ] {
        let entry = format!(
            "[[allow]]\nid = \"{id}\"\ndirection = \"egress\"\nprotocol = \"{protocol}\"\nport = {port}\n\
             peers = {peers}\nreason = \"benchmark\"\n"
        );
        text.push_str(&entry);
    }
    Ok(compile(&text)?.0)
}

/// The tables of a host file, and how long they took from its text.
pub(crate) fn compile(text: &str) -> Result<(Image, Duration)> {
    let catalogue = Catalogue::load(None)?;
    let begun = Instant::now();
    let policy = policy::compile("bench.toml", text, &catalogue, date(2026, 11, 21));
    let policy = policy.map_err(|report| anyhow::anyhow!("{}", report.render(false)))?;
    let own: [IpNet; 2] = ["192.0.2.10/24".parse()?, "2001:db8:1::10/64".parse()?];
    let image = Image::compile(&policy, &own, &mut Slots::default(), TICKS_PER_SECOND)?;
    Ok((image, begun.elapsed()))
}

/// A host file.
pub(crate) fn text(head: &str, count: usize) -> String {
    let mut text = head.to_owned();
    for (number, Rule { port, v4, v6 }) in rules(count).enumerate() {
        allow(&mut text, &format!("R-{number}"), "tcp", port, &format!("[\"{v4}\", \"{v6}\"]"));
    }
    allow(&mut text, "OPEN", "tcp", OPEN, "\"any\"");
    allow(&mut text, "OPEN-UDP", "udp", OPEN_UDP, "\"any\"");
    allow(&mut text, "LISTED", "tcp", LISTED, "[\"198.51.100.7\", \"203.0.113.0/24\", \"2001:db8:9::/64\"]");
    text
}

/// Adds a flow.
pub(crate) fn allow(text: &mut String, id: &str, protocol: &str, port: impl Display, peers: &str) {
    let entry = format!(
        "[[allow]]\nid = \"{id}\"\ndirection = \"ingress\"\nprotocol = \"{protocol}\"\nport = {port}\n\
         peers = {peers}\nreason = \"benchmark\"\n"
    );
    // A string takes everything.
    let _written = text.write_str(&entry);
}

//! Policies of any number of rules, each with a peer of its own; the last ones are those that the frames ask for.

use std::{
    fmt::{Display, Write as _},
    time::{Duration, Instant},
};

use anyhow::Result;
use ipnet::IpNet;
use jiff::civil::date;
use portreeve::{
    image::{FlowSlots, Image},
    policy::{self, Catalogue},
};

/// Any peer may use it.
pub(crate) const OPEN: u16 = 443;
/// Only the listed peers may.
pub(crate) const LISTED: u16 = 444;
/// Nobody documents it.
pub(crate) const CLOSED: u16 = 23;

/// What every host file begins with.
pub(crate) const HEAD: &str = "[host]\nname = \"bench\"\naddresses = [\"192.0.2.10\", \"2001:db8:1::10\"]\n";
const TICKS_PER_SECOND: u64 = 250;

/// The tables of `rules` rules, and how long they took from text.
pub(crate) fn image(rules: usize) -> Result<(Image, Duration)> {
    compile(&text(rules))
}

/// The tables of a host file, and how long they took from its text.
pub(crate) fn compile(text: &str) -> Result<(Image, Duration)> {
    let catalogue = Catalogue::load(None)?;
    let begun = Instant::now();
    let policy = policy::compile("bench.toml", text, &catalogue, date(2026, 11, 21));
    let policy = policy.map_err(|report| anyhow::anyhow!("{}", report.render(false)))?;
    let own: [IpNet; 2] = ["192.0.2.10/24".parse()?, "2001:db8:1::10/64".parse()?];
    let image = Image::compile(&policy, &own, &mut FlowSlots::default(), TICKS_PER_SECOND)?;
    Ok((image, begun.elapsed()))
}

fn text(rules: usize) -> String {
    let mut text = HEAD.to_owned();
    for rule in 0..rules.saturating_sub(2) {
        let port = 1_024 + rule % 50_000;
        let v4 = format!("198.51.100.{}", rule % 250);
        let v6 = format!("2001:db8:{:x}::{:x}", 0x100 + rule / 0xffff, rule % 0xffff + 1);
        allow(&mut text, &format!("R-{rule}"), port, &format!("[\"{v4}\", \"{v6}\"]"));
    }
    allow(&mut text, "OPEN", OPEN, "\"any\"");
    allow(&mut text, "LISTED", LISTED, "[\"198.51.100.7\", \"203.0.113.0/24\", \"2001:db8:9::/64\"]");
    text
}

/// Adds a flow.
pub(crate) fn allow(text: &mut String, id: &str, port: impl Display, peers: &str) {
    let entry = format!(
        "[[allow]]\nid = \"{id}\"\ndirection = \"ingress\"\nprotocol = \"tcp\"\nport = {port}\npeers = {peers}\n\
         reason = \"benchmark\"\n"
    );
    // A string takes everything.
    let _written = text.write_str(&entry);
}

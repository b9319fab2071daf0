//! Tables from a host file's text, on the two addresses that the suites' packets are for.

use anyhow::{Result, anyhow};
use ipnet::IpNet;
use jiff::civil::date;
use portreeve::{
    image::{Image, Slots},
    policy::{self, Catalogue},
};
use portreeve_common::clause::{self, Interfaces};

/// The host's own addresses, with the prefix lengths of their interface.
pub const OWN: [&str; 2] = ["192.0.2.10/24", "2001:db8:1::10/64"];

/// The interface of the suites' packets.
pub const HERE: &str = "eth0";
/// The same as the programs are told.
pub const ONLY_HERE: Interfaces = clause::interface(0);

/// Places of which [`HERE`] has the first.
///
/// # Errors
/// There is none.
pub fn slots() -> Result<Slots> {
    let mut slots = Slots::default();
    slots.interfaces.give(HERE)?;
    Ok(slots)
}

/// Compiles a host file with the packs that are built in.
///
/// # Errors
/// The text has errors, or its policy doesn't fit the tables.
pub fn image(host: &str, ticks_per_second: u64) -> Result<Image> {
    let policy = policy::compile("host.toml", host, &Catalogue::built_in()?, date(2026, 11, 21));
    let policy = policy.map_err(|report| anyhow!("{}", report.render(false)))?;
    let own = OWN.iter().map(|net| net.parse()).collect::<Result<Vec<IpNet>, _>>()?;
    Ok(Image::compile(&policy, &own, &mut slots()?, ticks_per_second)?)
}

//! Programs of others: which one stands on an interface's XDP hook, by name and number.

use std::io;

use aya::programs::loaded_programs;
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{LinkAttribute, LinkMessage, LinkXdp},
};

use super::{DatapathError, route};

/// The XDP program of an interface, in words; whoever it belongs to.
///
/// # Errors
/// The kernel does not say.
pub fn xdp(index: u32) -> Result<Option<String>, DatapathError> {
    let attributes = ask(index)?;
    let number = attributes.iter().find_map(|attribute| {
        let LinkAttribute::Xdp(xdp) = attribute else { return None };
        xdp.iter().find_map(number)
    });
    Ok(number.filter(|id| *id != 0).map(describe))
}

const fn number(xdp: &LinkXdp) -> Option<u32> {
    if let LinkXdp::ProgId(id) | LinkXdp::DrvProgId(id) | LinkXdp::SkbProgId(id) = xdp {
        return Some(*id);
    }
    None
}

/// A program's name and number.
#[must_use]
pub fn describe(id: u32) -> String {
    let info = loaded_programs().flatten().find(|program| program.id() == id);
    let name = info.as_ref().and_then(|program| program.name_as_str()).unwrap_or("without a name");
    format!("program {name} (id {id})")
}

/// An interface's attributes.
fn ask(index: u32) -> Result<Vec<LinkAttribute>, DatapathError> {
    let mut link = LinkMessage::default();
    link.header.index = index;
    let answer = route::ask(RouteNetlinkMessage::GetLink(link));
    match answer.map_err(|source| DatapathError::Netlink { index, source })? {
        Some(RouteNetlinkMessage::NewLink(link)) => Ok(link.attributes),
        _ => Err(DatapathError::Netlink { index, source: io::Error::other("an answer of another kind") }),
    }
}

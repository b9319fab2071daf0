//! Programs of others: which one stands on an interface's XDP hook, by name and number.

use aya::programs::loaded_programs;
use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{LinkAttribute, LinkMessage, LinkXdp},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::DatapathError;

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
    let failed = |source| DatapathError::Netlink { index, source };
    let mut socket = Socket::new(NETLINK_ROUTE).map_err(failed)?;
    socket.bind_auto().map_err(failed)?;
    socket.connect(&SocketAddr::new(0, 0)).map_err(failed)?;
    let mut link = LinkMessage::default();
    link.header.index = index;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    let mut request = NetlinkMessage::new(header, NetlinkPayload::from(RouteNetlinkMessage::GetLink(link)));
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    socket.send(&bytes, 0).map_err(failed)?;
    let (bytes, _) = socket.recv_from_full().map_err(failed)?;
    let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&bytes);
    let answer = answer.map_err(|error| failed(std::io::Error::other(error.to_string())))?;
    if let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) = answer.payload {
        return Ok(link.attributes);
    }
    let NetlinkPayload::Error(error) = answer.payload else {
        return Err(failed(std::io::Error::other("an answer of another kind")));
    };
    Err(failed(error.to_io()))
}

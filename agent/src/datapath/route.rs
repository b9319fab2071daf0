//! Questions to the kernel's routing netlink: interfaces, queueing disciplines, filters.

use std::io;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

/// The one answer to a question, or nothing where it is only said that it was done.
///
/// # Errors
/// The kernel refuses.
pub(super) fn ask(question: RouteNetlinkMessage) -> io::Result<Option<RouteNetlinkMessage>> {
    Ok(send(question, NLM_F_REQUEST | NLM_F_ACK)?.into_iter().next())
}

/// All that there is of a kind.
///
/// # Errors
/// The kernel refuses.
pub(super) fn list(question: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
    send(question, NLM_F_REQUEST | NLM_F_DUMP)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "an enum of another crate, which grows")]
fn send(question: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<RouteNetlinkMessage>> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut header = NetlinkHeader::default();
    header.flags = flags;
    let mut request = NetlinkMessage::new(header, NetlinkPayload::from(question));
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let mut answers = Vec::new();
    loop {
        let (bytes, _) = socket.recv_from_full()?;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest);
            let answer = answer.map_err(|error| io::Error::other(error.to_string()))?;
            match answer.payload {
                NetlinkPayload::Done(_) => return Ok(answers),
                // Without a code it says that all was done.
                NetlinkPayload::Error(error) if error.code.is_none() => return Ok(answers),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                NetlinkPayload::InnerMessage(message) => answers.push(message),
                _ => {}
            }
            // Messages begin at multiples of four bytes.
            let length = (answer.header.length as usize).next_multiple_of(4).max(1);
            rest = rest.get(length..).unwrap_or_default();
        }
    }
}

//! Control flows, beside which data connections may begin: active FTP (RFC 959, section 3.2).
//!
//! A data connection comes from the server of its control flow. It lives no longer than that: it is judged anew with
//! each packet.

use crate::{Direction, Tables, flow::FlowKey, number::protocol};

/// Control flows between two hosts that are kept in mind.
const MAX_FLOWS: usize = 8;

/// The clients' ports of the control flows to one server port, between two hosts; 0 where a place is free.
///
/// They say which flows to ask for: whether one lives is for the table of flows to say.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Control {
    clients: [u16; MAX_FLOWS],
}

const _: () = assert!(size_of::<Control>() == 16);

impl Control {
    /// The key of the control flows to `port` at the end which `server` says sends.
    #[inline(always)]
    #[must_use]
    pub const fn key(flow: &FlowKey, port: u16, server: Direction) -> FlowKey {
        Self::flow(flow, port, 0, server)
    }

    /// One of the control flows between the two ends of `flow`.
    #[inline(always)]
    const fn flow(flow: &FlowKey, port: u16, client: u16, server: Direction) -> FlowKey {
        let (local, remote) = match server {
            Direction::Ingress => (client, port),
            Direction::Egress => (port, client),
        };
        FlowKey::new(*flow.local(), *flow.remote(), local, remote, protocol::TCP)
    }
}

/// Whether a control flow to `port` lives, between the same two hosts, with the end as its server that begins `flow`. Its
/// client has begun it: who calls from the server's port is no server.
#[inline(always)]
pub fn is_controlled<T: Tables>(port: u16, flow: &FlowKey, began: Direction, tables: &T) -> bool {
    let Some(control) = tables.control(&Control::key(flow, port, began)) else { return false };
    for client in control.clients {
        let client_began = Some(began.opposite());
        if client != 0 && tables.open(&Control::flow(flow, port, client, began)) == client_began {
            return true;
        }
    }
    false
}

/// Keeps a TCP flow in mind, if others depend on it: the end with a control port is its server.
#[inline(always)]
pub(super) fn note_either<T: Tables>(flow: &FlowKey, tables: &T) {
    for began in Direction::ALL {
        if tables.settings().controls(flow.service(began).number) {
            tables.note(flow, began);
        }
    }
}

/// Keeps a flow in mind, if it lives and began in `began`.
#[inline(always)]
pub fn note<T: Tables>(flow: &FlowKey, began: Direction, tables: &T) {
    if tables.open(flow) != Some(began) {
        return;
    }
    let port = flow.service(began).number;
    let server = began.opposite();
    let client = match server {
        Direction::Ingress => flow.local_port(),
        Direction::Egress => flow.remote_port(),
    };
    let pair = Control::key(flow, port, server);
    let mut control = tables.control(&pair).unwrap_or_default();
    let mut place = None;
    for (at, known) in control.clients.iter().enumerate() {
        if *known == client {
            return;
        }
        let free = *known == 0 || tables.open(&Control::flow(flow, port, *known, server)) != Some(began);
        if free && place.is_none() {
            place = Some(at);
        }
    }
    // Where all of them live, the newest takes the place of one.
    control.clients[place.unwrap_or(0) & (MAX_FLOWS - 1)] = client;
    tables.set_control(&pair, control);
}

#[cfg(feature = "user")]
// SAFETY: `repr(C)` of integers without padding; every bit pattern is a value.
unsafe impl aya::Pod for Control {}

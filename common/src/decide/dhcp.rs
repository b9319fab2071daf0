//! A DHCP client on this host: it asks, and servers answer within a while (RFC 2131, RFC 8415).
//!
//! Who the servers are, and which address they will offer, nobody knows before. So what the client sends is kept in mind:
//! one server that it asks by address, or all of the link.

use super::policy;
use crate::{
    Address, Direction, Sight, Tables,
    flow::{FlowKey, FlowState},
    number::{dhcp, extension},
    parse::Headers,
    settings::flag,
};

/// What a question is kept under, with the ports: no packet of this number has ports.
const QUESTION: u8 = extension::HOP_BY_HOP;

/// Whether a packet between the two ports is a question of this host, which is a client, or an answer to one that waits.
#[inline(always)]
pub fn leases<T: Tables>(sight: &Sight, direction: Direction, tables: &T) -> bool {
    if !tables.settings().has(flag::DHCP) {
        return false;
    }
    match direction {
        Direction::Egress => asks(&sight.headers, tables),
        Direction::Ingress => answers(&sight.headers, tables),
    }
}

/// To all servers of the link, or from an own address to one of them.
#[inline(always)]
fn asks<T: Tables>(headers: &Headers, tables: &T) -> bool {
    let (client, server) = (*headers.key.local(), *headers.key.remote());
    let key = if server.is_all_dhcp_servers() {
        // From a link-local address: `is_dhcp` has seen to that.
        question(client, server)
    } else if !headers.is_v4() {
        return false;
    } else if server.is_limited_broadcast() {
        if !client.is_unspecified() && tables.protects(&client) != policy::OWN {
            return false;
        }
        question(Address::NOBODY_V4, server)
    } else {
        if policy::sender(&headers.key, Direction::Egress, tables).is_err()
            || policy::sender(&headers.key, Direction::Ingress, tables).is_err()
        {
            return false;
        }
        question(client, server)
    };
    let state =
        FlowState::new(QUESTION, Direction::Egress, FlowState::NO_RULE, tables.generation(), tables.now());
    tables.begin(&key, state);
    true
}

/// From the server that was asked, or from any where all were: to the address that it may be about to lease, too.
#[inline(always)]
fn answers<T: Tables>(headers: &Headers, tables: &T) -> bool {
    let (client, server) = (*headers.key.local(), *headers.key.remote());
    if !headers.is_v4() {
        return tables.find(&question(client, Address::ALL_DHCP_SERVERS)).is_some();
    }
    if client.is_multicast() || policy::sender(&headers.key, Direction::Ingress, tables).is_err() {
        return false;
    }
    tables.find(&question(client, server)).is_some()
        || tables.find(&question(Address::NOBODY_V4, Address::v4([0xff; 4]))).is_some()
}

#[inline(always)]
const fn question(client: Address, server: Address) -> FlowKey {
    FlowKey::new(client, server, dhcp::CLIENT, dhcp::SERVER, QUESTION)
}

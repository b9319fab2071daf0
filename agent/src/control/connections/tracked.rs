//! What the kernel's connection tracking knows: of forwarded connections and of containers' there is no socket here.

use std::{
    fs, io,
    net::{IpAddr, SocketAddr},
};

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
    conntrack::{
        ConntrackAttribute, ConntrackMessage, IPTuple, ProtoInfo, ProtoInfoTCP, ProtoTuple, Status, Tuple,
    },
};
use netlink_sys::{Socket, protocols::NETLINK_NETFILTER};
use portreeve_common::{Direction, flow::FlowKey, number::protocol};

use super::key;

/// It is there once something on the host tracks connections. Asking before would load the kernel's module for it.
const LOADED: &str = "/proc/sys/net/netfilter/nf_conntrack_count";
/// `TCP_CONNTRACK_ESTABLISHED` (`linux/netfilter/nf_conntrack_tcp.h`).
const ESTABLISHED: u8 = 3;

/// TCP connections that are established and UDP flows that were answered, as they look in front of this host's
/// interfaces: behind the translation of addresses.
///
/// # Errors
/// The kernel tracks connections, and does not tell them.
pub(in crate::control) fn tracked(protected: &[IpNet]) -> io::Result<Vec<(FlowKey, Direction)>> {
    if fs::exists(LOADED)? {
        Ok(dump()?.iter().filter_map(|entry| entry.flow(protected)).collect())
    } else {
        Ok(Vec::new())
    }
}

/// One connection: the direction that it began in, and how its answers look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Entry {
    original: Way,
    reply: Way,
    answered: bool,
    tcp_state: Option<u8>,
}

/// Source, destination and protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Way {
    source: (Option<IpAddr>, u16),
    destination: (Option<IpAddr>, u16),
    protocol: u8,
}

impl Entry {
    #[expect(clippy::wildcard_enum_match_arm, reason = "an enum of another crate, which grows")]
    fn of(attributes: &[ConntrackAttribute]) -> Self {
        let mut entry = Self::default();
        for attribute in attributes {
            match attribute {
                ConntrackAttribute::CtaTupleOrig(tuple) => entry.original = Way::of(tuple),
                ConntrackAttribute::CtaTupleReply(tuple) => entry.reply = Way::of(tuple),
                ConntrackAttribute::CtaStatus(status) => entry.answered = status.contains(Status::SeenReply),
                ConntrackAttribute::CtaProtoInfo(infos) => entry.tcp_state = infos.iter().find_map(tcp_state),
                _ => {}
            }
        }
        entry
    }

    /// Its key in front of the interfaces, and who began it; none where it never comes to one of this host's addresses.
    fn flow(&self, protected: &[IpNet]) -> Option<(FlowKey, Direction)> {
        let Self { original, reply, answered, tcp_state } = self;
        let lives = match original.protocol {
            protocol::TCP => *tcp_state == Some(ESTABLISHED),
            protocol::UDP => *answered,
            _ => false,
        };
        let own = |(address, _): (Option<IpAddr>, u16)| {
            address.is_some_and(|address| protected.iter().any(|net| net.addr() == address))
        };
        let ends = |local, remote| Some(key(socket(local)?, socket(remote)?, original.protocol));
        match (lives, own(original.destination), own(reply.destination)) {
            (false, _, _) => None,
            // To this host, or to whom it hands it on.
            (true, true, _) => Some((ends(original.destination, original.source)?, Direction::Ingress)),
            // From this host, or from whom it speaks for.
            (true, false, true) => Some((ends(reply.destination, reply.source)?, Direction::Egress)),
            (true, false, false) => None,
        }
    }
}

impl Way {
    #[expect(clippy::wildcard_enum_match_arm, reason = "an enum of another crate, which grows")]
    fn of(tuple: &[Tuple]) -> Self {
        let mut way = Self::default();
        for part in tuple {
            match part {
                Tuple::Ip(addresses) => addresses.iter().for_each(|address| match address {
                    IPTuple::SourceAddress(address) => way.source.0 = Some(*address),
                    IPTuple::DestinationAddress(address) => way.destination.0 = Some(*address),
                    _ => {}
                }),
                Tuple::Proto(numbers) => numbers.iter().for_each(|number| match number {
                    ProtoTuple::Protocol(protocol) => way.protocol = u8::from(*protocol),
                    ProtoTuple::SourcePort(port) => way.source.1 = *port,
                    ProtoTuple::DestinationPort(port) => way.destination.1 = *port,
                    _ => {}
                }),
                _ => {}
            }
        }
        way
    }
}

fn socket((address, port): (Option<IpAddr>, u16)) -> Option<SocketAddr> {
    Some(SocketAddr::new(address?, port))
}

fn tcp_state(info: &ProtoInfo) -> Option<u8> {
    let ProtoInfo::TCP(facts) = info else { return None };
    facts.iter().find_map(|fact| if let ProtoInfoTCP::State(state) = fact { Some(*state) } else { None })
}

/// All entries of both families.
#[expect(clippy::wildcard_enum_match_arm, reason = "an enum of another crate, which grows")]
fn dump() -> io::Result<Vec<Entry>> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let all = NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, 0);
    let message = NetfilterMessage::new(all, ConntrackMessage::Get(Vec::new()));
    let mut request = NetlinkMessage::new(header, NetlinkPayload::from(message));
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    socket.send(&bytes, 0)?;
    let mut entries = Vec::new();
    loop {
        let (bytes, _) = socket.recv_from_full()?;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let answer = NetlinkMessage::<NetfilterMessage>::deserialize(rest);
            let answer = answer.map_err(|error| io::Error::other(error.to_string()))?;
            match answer.payload {
                NetlinkPayload::Done(_) => return Ok(entries),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                NetlinkPayload::InnerMessage(NetfilterMessage {
                    inner: NetfilterMessageInner::Conntrack(ConntrackMessage::New(attributes)),
                    ..
                }) => entries.push(Entry::of(&attributes)),
                _ => {}
            }
            // Messages begin at multiples of four bytes.
            let length = (answer.header.length as usize).next_multiple_of(4).max(1);
            rest = rest.get(length..).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(source: &str, destination: &str, protocol: u8) -> Way {
        let end = |text: &str| {
            let socket: SocketAddr = text.parse().unwrap();
            (Some(socket.ip()), socket.port())
        };
        Way { source: end(source), destination: end(destination), protocol }
    }

    fn seen(original: [&str; 2], reply: [&str; 2]) -> Option<(FlowKey, Direction)> {
        let entry = Entry {
            original: way(original[0], original[1], protocol::TCP),
            reply: way(reply[0], reply[1], protocol::TCP),
            answered: true,
            tcp_state: Some(ESTABLISHED),
        };
        entry.flow(&["192.0.2.10/24".parse().unwrap()])
    }

    fn flow(local: &str, remote: &str) -> FlowKey {
        key(local.parse().unwrap(), remote.parse().unwrap(), protocol::TCP)
    }

    #[test]
    fn a_connection_is_keyed_as_it_looks_on_the_wire() {
        let [edge, peer, container] = ["192.0.2.10:8080", "198.51.100.7:40000", "203.0.113.2:80"];
        let wire = flow(edge, peer);
        assert_eq!(seen([peer, edge], [edge, peer]), Some((wire, Direction::Ingress)));
        assert_eq!(seen([peer, edge], [container, peer]), Some((wire, Direction::Ingress)));
        assert_eq!(seen([edge, peer], [peer, edge]), Some((wire, Direction::Egress)));
        assert_eq!(seen([container, peer], [peer, edge]), Some((wire, Direction::Egress)));
        assert_eq!(seen([container, peer], [peer, container]), None);
    }

    #[test]
    fn what_is_not_established_is_no_connection() {
        let original = way("198.51.100.7:40000", "192.0.2.10:443", protocol::TCP);
        let reply = way("192.0.2.10:443", "198.51.100.7:40000", protocol::TCP);
        let own = ["192.0.2.10/24".parse().unwrap()];
        for tcp_state in [None, Some(1), Some(7)] {
            assert_eq!(Entry { original, reply, answered: true, tcp_state }.flow(&own), None);
        }
        let udp = |answered| {
            let of = |way: Way| Way { protocol: protocol::UDP, ..way };
            Entry { original: of(original), reply: of(reply), answered, tcp_state: None }.flow(&own)
        };
        assert!(udp(true).is_some() && udp(false).is_none());
    }
}

//! Leases: a client asks, and for a while who was asked may answer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use portreeve_common::Direction;

use super::{Model, dissect::Packet};

impl Model {
    /// A client asks one server or all of them; for a while, who was asked may answer.
    pub(super) fn leases(&mut self, packet: &Packet, direction: Direction) -> bool {
        const ALL_V4: IpAddr = IpAddr::V4(Ipv4Addr::BROADCAST);
        const ALL_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2));
        let (source, destination) = (packet.source, packet.destination);
        let (v4, now) = (source.is_ipv4(), self.now);
        if direction == Direction::Ingress {
            let waits = |asked: &(IpAddr, Option<IpAddr>)| {
                self.questions.get(asked).is_some_and(|seen| now - seen <= self.limits.waiting)
            };
            if !v4 {
                return waits(&(ALL_V6, Some(destination)));
            }
            let somebody = self.rules.sender(destination, source, direction).is_ok();
            return somebody
                && !destination.is_multicast()
                && (waits(&(source, Some(destination))) || waits(&(ALL_V4, None)));
        }
        let own = self.rules.is_own(source);
        let question = match (v4, destination) {
            (false, ALL_V6) => (ALL_V6, Some(source)),
            (true, ALL_V4) if own || source.is_unspecified() => (ALL_V4, None),
            (true, server) if own && self.rules.sender(source, server, Direction::Ingress).is_ok() => {
                (server, Some(source))
            }
            (_, _) => return false,
        };
        self.questions.insert(question, now);
        true
    }
}

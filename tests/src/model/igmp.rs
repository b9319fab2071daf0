//! Memberships of multicast groups.

use std::net::IpAddr;

use portreeve_common::{Direction, Reason};

use super::{
    Judged, Model,
    dissect::Packet,
    ends::{ends, wish},
    names::Peer,
    rules::{Which, Wish},
};

impl Model {
    /// Queries come and reports leave, where a rule needs multicast: for the groups that rules name, or for all hosts
    /// of the link.
    pub(super) fn igmp(&self, packet: &Packet, direction: Direction, kind: u8) -> Result<Judged, Judged> {
        let speaks = match direction {
            Direction::Ingress => kind == 0x11,
            Direction::Egress => [0x12, 0x16, 0x17, 0x22].contains(&kind),
        };
        if !packet.source.is_ipv4() || !speaks || !self.rules.needs_igmp() {
            return Err((Reason::Protocol, Which::new()));
        }
        let ends = ends(packet, direction, [0, 0]);
        let nameless = direction == Direction::Ingress && packet.source.is_unspecified();
        if !nameless {
            self.rules.sender(ends.local.0, ends.remote.0, direction)?;
        }
        let wish = Wish { number: u16::from(kind), ..wish(&ends, direction) };
        let leave = self.rules.allow(wish, |_| false, &[], Peer::New);
        let of_the_link =
            matches!(packet.destination, IpAddr::V4(group) if group.octets()[..3] == [224, 0, 0]);
        if !of_the_link && !self.rules.is_group(packet.destination) {
            let rules = leave.map_or_else(|(_, rules)| rules, |leave| leave.rules);
            return Err((Reason::WrongPeer, rules));
        }
        Ok((Reason::BaselineIgmp, leave.map_or_else(|_| Which::new(), |leave| leave.rules)))
    }
}

//! What the kernel tells by netlink of its links, queueing disciplines and packet filter tables.

use std::collections::BTreeMap;

use neli::{
    consts::{
        nl::NlmF,
        rtnl::{Ifla, IflaInfo, RtAddrFamily, Rtm, Tca},
        socket::NlFamily,
    },
    nl::NlPayload,
    router::synchronous::NlRouter,
    rtnl::{Ifinfomsg, IfinfomsgBuilder, Tcmsg, TcmsgBuilder},
    types::Buffer,
    utils::Groups,
};

/// Parents of what clsact holds: `TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)` and `…_EGRESS`.
const CLSACT: [(u32, &str); 2] = [(0xffff_fff2, "ingress"), (0xffff_fff3, "egress")];
/// `IFLA_XDP_…PROG_ID`, by where the program stands (`if_link.h`).
const XDP_PROGRAMS: [(u16, &str); 4] =
    [(4, "XDP"), (5, "native XDP"), (6, "generic XDP"), (7, "offloaded XDP")];
/// `NFT_MSG_GETTABLE` and `NFT_MSG_GETFLOWTABLE`, in the subsystem nftables (`nf_tables.h`).
const TABLES: u16 = (10 << 8) | 1;
const FLOWTABLES: u16 = (10 << 8) | 23;
/// `struct nfgenmsg`: every family, version 0.
const ANY_FAMILY: [u8; 4] = [0; 4];

/// The kernel did not answer: too old, or not allowed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unanswered(pub(super) String);

pub(super) fn unanswered(error: impl std::fmt::Display) -> Unanswered {
    Unanswered(error.to_string())
}

/// A link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Link {
    /// What makes it, if it is not a device: `vlan`, `bond`, `bridge`, `veth`.
    pub(super) kind: Option<String>,
    /// XDP programs on it: where, and their numbers.
    pub(super) xdp: Vec<(&'static str, u32)>,
}

/// All links of this network namespace, by name.
///
/// # Errors
/// The kernel does not say.
pub(super) fn links() -> Result<BTreeMap<String, Link>, Unanswered> {
    let (socket, _) = NlRouter::connect(NlFamily::Route, None, Groups::empty()).map_err(unanswered)?;
    let all =
        IfinfomsgBuilder::default().ifi_family(RtAddrFamily::Unspecified).build().map_err(unanswered)?;
    let answers = socket
        .send::<_, _, Rtm, Ifinfomsg>(Rtm::Getlink, NlmF::DUMP, NlPayload::Payload(all))
        .map_err(unanswered)?;
    let mut links = BTreeMap::new();
    for answer in answers {
        let answer = answer.map_err(unanswered)?;
        let Some(message) = answer.get_payload() else { continue };
        let attributes = message.rtattrs().get_attr_handle();
        let name = attributes.get_attr_payload_as_with_len::<String>(Ifla::Ifname).map_err(unanswered)?;
        let info = attributes.get_nested_attributes::<IflaInfo>(Ifla::Linkinfo).ok();
        let kind = info.and_then(|info| info.get_attr_payload_as_with_len::<String>(IflaInfo::Kind).ok());
        let xdp = attributes.get_nested_attributes::<Ifla>(Ifla::Xdp).ok();
        let xdp = xdp.map(|xdp| {
            let number = |(id, place)| Some((place, xdp.get_attr_payload_as::<u32>(Ifla::from(id)).ok()?));
            let mut programs: Vec<_> = XDP_PROGRAMS.into_iter().filter_map(number).collect();
            // The first is said again under the name of its place.
            if programs.len() > 1 {
                programs.remove(0);
            }
            programs
        });
        links.insert(name, Link { kind, xdp: xdp.unwrap_or_default() });
    }
    Ok(links)
}

/// What clsact holds on an interface; `None` where there is no such discipline.
///
/// # Errors
/// The kernel does not say.
pub(super) fn clsact(index: u32) -> Result<Option<Vec<(&'static str, String)>>, Unanswered> {
    let kinds = traffic_control(Rtm::Getqdisc, index, 0)?;
    if !kinds.iter().any(|kind| kind == "clsact") {
        return Ok(None);
    }
    let mut filters = Vec::new();
    for (parent, direction) in CLSACT {
        let mut kinds = traffic_control(Rtm::Gettfilter, index, parent)?;
        kinds.dedup();
        filters.extend(kinds.into_iter().map(|kind| (direction, kind)));
    }
    Ok(Some(filters))
}

fn traffic_control(what: Rtm, index: u32, parent: u32) -> Result<Vec<String>, Unanswered> {
    let (socket, _) = NlRouter::connect(NlFamily::Route, None, Groups::empty()).map_err(unanswered)?;
    let index = i32::try_from(index).map_err(unanswered)?;
    let of = TcmsgBuilder::default()
        .tcm_family(0)
        .tcm_ifindex(index)
        .tcm_handle(0)
        .tcm_parent(parent)
        .tcm_info(0)
        .build()
        .map_err(unanswered)?;
    let answers =
        socket.send::<_, _, Rtm, Tcmsg>(what, NlmF::DUMP, NlPayload::Payload(of)).map_err(unanswered)?;
    let mut kinds = Vec::new();
    for answer in answers {
        let answer = answer.map_err(unanswered)?;
        // Disciplines are listed for all interfaces.
        let Some(message) = answer.get_payload().filter(|message| *message.tcm_ifindex() == index) else {
            continue;
        };
        let attributes = message.rtattrs().get_attr_handle();
        kinds.push(attributes.get_attr_payload_as_with_len::<String>(Tca::Kind).map_err(unanswered)?);
    }
    Ok(kinds)
}

/// How many tables and flow tables nftables has.
///
/// # Errors
/// The kernel has none, or does not say.
pub(super) fn nftables() -> Result<(usize, usize), Unanswered> {
    Ok((count(TABLES)?, count(FLOWTABLES)?))
}

fn count(what: u16) -> Result<usize, Unanswered> {
    let (socket, _) = NlRouter::connect(NlFamily::Netfilter, None, Groups::empty()).map_err(unanswered)?;
    let header = Buffer::from(ANY_FAMILY.as_slice());
    let answers =
        socket.send::<_, _, u16, Buffer>(what, NlmF::DUMP, NlPayload::Payload(header)).map_err(unanswered)?;
    let mut count = 0;
    for answer in answers {
        if answer.map_err(unanswered)?.get_payload().is_some() {
            count += 1;
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::{Link, links};

    #[test]
    fn the_loopback_is_a_link_without_programs() {
        let links = links().unwrap();
        assert_eq!(links.get("lo"), Some(&Link::default()));
    }
}

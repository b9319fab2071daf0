//! What drivers tell by generic netlink: the XDP that they have, the offloads that are on.

use std::collections::BTreeSet;

use neli::{
    consts::{nl::NlmF, socket::NlFamily},
    genl::{AttrTypeBuilder, Genlmsghdr, GenlmsghdrBuilder, Nlattr, NlattrBuilder},
    nl::NlPayload,
    router::synchronous::NlRouter,
    types::{Buffer, GenlBuffer},
    utils::Groups,
};

use super::netlink::{Unanswered, unanswered};

/// `NETDEV_CMD_DEV_GET`, `NETDEV_A_DEV_IFINDEX`, `NETDEV_A_DEV_XDP_FEATURES` (Linux 6.3, `netdev.h`).
const DEVICE_GET: u8 = 1;
const DEVICE_INDEX: u16 = 1;
const DEVICE_XDP: u16 = 3;
/// `ETHTOOL_MSG_FEATURES_GET` and its attributes (`ethtool_netlink.h`).
const FEATURES_GET: u8 = 11;
const FEATURES_HEADER: u16 = 1;
const HEADER_NAME: u16 = 2;
const FEATURES_ACTIVE: u16 = 4;
const SET_BITS: u16 = 3;
const BIT: u16 = 1;
const BIT_NAME: u16 = 2;

/// `NETDEV_XDP_ACT_BASIC`: abort, drop, pass and send back.
const XDP_BASIC: u64 = 1;
/// `NETDEV_XDP_ACT_RX_SG`: frames in several buffers.
const XDP_FRAGMENTS: u64 = 32;

type Attributes = GenlBuffer<u16, Buffer>;

/// A driver's XDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NativeXdp {
    /// Whether it has one.
    pub(super) basic: bool,
    /// Whether frames may be longer than one buffer.
    pub(super) fragments: bool,
}

/// What an interface's driver says of its XDP.
///
/// # Errors
/// The kernel is older than 6.3, or refuses.
pub(super) fn native_xdp(index: u32) -> Result<NativeXdp, Unanswered> {
    let answer = ask("netdev", DEVICE_GET, attribute(DEVICE_INDEX, index)?)?;
    let features = answer.get_attr_handle().get_attr_payload_as::<u64>(DEVICE_XDP).map_err(unanswered)?;
    Ok(NativeXdp { basic: features & XDP_BASIC != 0, fragments: features & XDP_FRAGMENTS != 0 })
}

/// Names of the offloads that are on, as `ethtool -k` has them in the kernel's spelling.
///
/// # Errors
/// The kernel refuses.
pub(super) fn offloads(interface: &str) -> Result<BTreeSet<String>, Unanswered> {
    let header =
        attribute(FEATURES_HEADER, ())?.nest(&attribute(HEADER_NAME, interface)?).map_err(unanswered)?;
    let answer = ask("ethtool", FEATURES_GET, header)?;
    let active = answer.get_attr_handle();
    let set = active.get_nested_attributes::<u16>(FEATURES_ACTIVE).map_err(unanswered)?;
    let bits = set.get_nested_attributes::<u16>(SET_BITS).map_err(unanswered)?;
    let mut names = BTreeSet::new();
    for bit in bits.iter().filter(|bit| *bit.nla_type().nla_type() == BIT) {
        let bit = bit.get_attr_handle::<u16>().map_err(unanswered)?;
        names.insert(bit.get_attr_payload_as_with_len::<String>(BIT_NAME).map_err(unanswered)?);
    }
    Ok(names)
}

fn attribute<P: neli::Size + neli::ToBytes>(kind: u16, value: P) -> Result<Nlattr<u16, Buffer>, Unanswered> {
    let kind = AttrTypeBuilder::default().nla_type(kind).build().map_err(unanswered)?;
    NlattrBuilder::default().nla_type(kind).nla_payload(value).build().map_err(unanswered)
}

fn ask(family: &str, command: u8, attribute: Nlattr<u16, Buffer>) -> Result<Attributes, Unanswered> {
    let (socket, _) = NlRouter::connect(NlFamily::Generic, None, Groups::empty()).map_err(unanswered)?;
    let family = socket.resolve_genl_family(family).map_err(unanswered)?;
    let attributes: Attributes = [attribute].into_iter().collect();
    let message =
        GenlmsghdrBuilder::default().cmd(command).version(1).attrs(attributes).build().map_err(unanswered)?;
    let answers = socket
        .send::<_, _, u16, Genlmsghdr<u8, u16>>(family, NlmF::ACK, NlPayload::Payload(message))
        .map_err(unanswered)?;
    for answer in answers {
        if let NlPayload::Payload(message) = answer.map_err(unanswered)?.nl_payload() {
            return Ok(message.attrs().clone());
        }
    }
    Err(Unanswered("no answer".into()))
}

//! What is not IP: it passes by EtherType, since a policy of addresses and ports must not stop a machine.

use crate::{Reason, Tables, number::ethertype};

#[inline(always)]
pub(super) fn judge<T: Tables>(kind: u16, tables: &T) -> Reason {
    if kind == ethertype::ARP {
        Reason::BaselineArp
    } else if tables.settings().lets_through(kind) {
        Reason::BaselineEthertype
    } else {
        Reason::Ethertype
    }
}

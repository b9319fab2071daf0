//! IGMP, where a rule needs multicast: queries come and reports leave (RFC 2236, RFC 3376).

use super::{Decision, GROUP, policy};
use crate::{Direction, Reason, Tables, number::igmp, settings::flag, sight::Sight};

/// The rule is named where a document states the messages too.
///
/// # Errors
///
/// `protocol` where nothing needs it or the message goes the wrong way, `wrong-peer` for a group that no rule names, and
/// what a sender can't be.
#[inline(always)]
pub(super) fn judge<T: Tables>(
    sight: &Sight,
    direction: Direction,
    tables: &T,
) -> Result<Decision, Decision> {
    let headers = &sight.headers;
    let kind = headers.number as u8;
    let speaks = match direction {
        Direction::Ingress => kind == igmp::QUERY,
        Direction::Egress => igmp::REPORTS.contains(&kind),
    };
    if !speaks || !tables.settings().has(flag::MULTICAST) {
        return Err(Reason::Protocol.into());
    }
    // A switch that queries in place of a router has no address to do so from (RFC 4541, section 2.1.1).
    let nameless = matches!(direction, Direction::Ingress) && headers.key.remote().is_unspecified();
    if !nameless {
        policy::sender(&headers.key, direction, tables)?;
    }
    let ruled = policy::look_up(sight.service(direction), sight, false, tables);
    let group = headers.destination(direction);
    if !group.is_local_control() && tables.protects(&group) != GROUP {
        return Err(ruled.because(Reason::WrongPeer));
    }
    Ok(if ruled.passes() { ruled.because(Reason::BaselineIgmp) } else { Reason::BaselineIgmp.into() })
}

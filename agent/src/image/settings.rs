//! The settings of a generation, from the host file.

use std::{collections::BTreeSet, time::Duration};

use portreeve_common::settings::{Limits, MAX_CONTROL_PORTS, MAX_ETHERTYPES, Settings, flag};

use super::ImageError;
use crate::policy::{
    Policy, Rule,
    host::{EtherTypes, StateLimits},
    rule::{Local, Service},
};

/// TCP after both FINs or a reset: twice the maximum segment lifetime of Linux (`TCP_TIMEWAIT_LEN`).
const CLOSING: Duration = Duration::from_secs(60);
/// Anything that waits for its answer.
const EMBRYONIC: Duration = Duration::from_secs(30);
/// Answered echo.
const ECHO: Duration = Duration::from_secs(30);

pub(super) fn of(policy: &Policy, peer_seed: u64, ticks_per_second: u64) -> Result<Settings, ImageError> {
    let Policy { host, rules, dormant: _, stages: _, report: _ } = policy;
    let StateLimits { established: _, embryonic: _, tcp_idle, udp_idle, adoption: _ } = host.state;
    let [tcp, closing, embryonic, udp, echo] =
        [tcp_idle, CLOSING, EMBRYONIC, udp_idle, ECHO].map(|limit| ticks(limit, ticks_per_second));
    let limits = Limits::new(tcp, closing, embryonic, udp, echo);
    let dhcp = if host.baseline.dhcp { flag::DHCP } else { 0 };
    let (listed, ethertypes) = match &host.baseline.ethertypes {
        EtherTypes::Any => (0, [0; MAX_ETHERTYPES]),
        EtherTypes::Listed(listed) => (flag::ETHERTYPES_LISTED, array(listed)?),
    };
    let multicast = if rules.iter().any(needs_multicast) { flag::MULTICAST } else { 0 };
    let settings = Settings::new(limits, 0, peer_seed, dhcp | listed | multicast, ethertypes);
    Ok(settings.controlled_by(control_ports(rules)?))
}

/// Whether routers and switches have to learn that this host is in a group: IPv6 has MLD for it, which always passes.
fn needs_multicast(rule: &Rule) -> bool {
    let group = match rule.local {
        Local::Group(group) => group.is_ipv4(),
        Local::Own | Local::Broadcast => false,
    };
    group || rule.service == Service::Igmp
}

fn control_ports(rules: &[Rule]) -> Result<[u16; MAX_CONTROL_PORTS], ImageError> {
    let ports: BTreeSet<u16> = rules.iter().filter_map(|rule| rule.control_port).collect();
    let mut array = [0; MAX_CONTROL_PORTS];
    if ports.len() > array.len() {
        return Err(ImageError::ControlPorts { ports: ports.len() });
    }
    for (place, port) in array.iter_mut().zip(ports) {
        *place = port;
    }
    Ok(array)
}

/// Rounded up.
fn ticks(time: Duration, per_second: u64) -> u64 {
    let ticks = (time.as_nanos() * u128::from(per_second)).div_ceil(1_000_000_000);
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

fn array(listed: &[u16]) -> Result<[u16; MAX_ETHERTYPES], ImageError> {
    let mut array = [0; MAX_ETHERTYPES];
    let places = array.get_mut(..listed.len()).ok_or(ImageError::EtherTypes { listed: listed.len() })?;
    places.copy_from_slice(listed);
    Ok(array)
}

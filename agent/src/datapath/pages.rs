//! The pages of the ports' counters: drops by port, and what is counted beside them, summed over the CPUs.

use std::{borrow::Borrow, collections::BTreeMap};

use aya::maps::{MapData, MapError, PerCpuArray};
use portreeve_common::{
    Direction, Reason,
    counter::{MAX_INTERFACES, PORT_PAGES, PORTS_PER_PAGE, PortPage, Talker, Tally},
    number::protocol,
    switch::Mode,
};

/// Pages of one mode, direction and protocol.
const PAGES_PER_TABLE: u32 = 65_536 / PORTS_PER_PAGE;

/// A port's drops in one mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortCount {
    /// In which mode.
    pub mode: Mode,
    /// Which way.
    pub direction: Direction,
    /// TCP or UDP, by number.
    pub protocol: u8,
    /// Destination port.
    pub port: u16,
    /// Packets.
    pub packets: u64,
}

/// All pages at one moment.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    ports: Vec<PortCount>,
    tallies: BTreeMap<(u32, Mode, Direction, Reason), Tally>,
    latest: Vec<Talker>,
}

/// What a page is about.
#[derive(Clone, Copy)]
struct Subject {
    mode: Mode,
    direction: Direction,
    protocol: u8,
    first: u32,
}

impl Subject {
    /// The reverse of `port_slot`.
    const fn of(page: u32) -> Self {
        let table = page / PAGES_PER_TABLE;
        Self {
            mode: if table / 4 == 0 { Mode::Enforce } else { Mode::Observe },
            direction: if (table / 2).is_multiple_of(2) { Direction::Ingress } else { Direction::Egress },
            protocol: if table.is_multiple_of(2) { protocol::TCP } else { protocol::UDP },
            first: page % PAGES_PER_TABLE * PORTS_PER_PAGE,
        }
    }
}

impl Pages {
    /// Reads them, each once.
    pub(super) fn read<T: Borrow<MapData>>(map: &PerCpuArray<T, PortPage>) -> Result<Self, MapError> {
        let mut pages = Self::default();
        let mut sums = [0; PORTS_PER_PAGE as usize];
        for number in 0..PORT_PAGES {
            let subject = Subject::of(number);
            let cpus = map.get(&number, 0)?;
            sums.fill(0);
            for page in cpus.iter() {
                sums.iter_mut().zip(&page.ports).for_each(|(sum, count)| *sum += count);
                pages.add_tallies(subject, page);
                pages.latest.extend(page.latest.key.is_present().then_some(page.latest));
            }
            pages.add_ports(subject, &sums);
        }
        Ok(pages)
    }

    fn add_ports(&mut self, subject: Subject, sums: &[u64]) {
        let Subject { mode, direction, protocol, first } = subject;
        for (port, packets) in (first..).zip(sums.iter().copied()).filter(|(_, packets)| *packets != 0) {
            let port = u16::try_from(port).unwrap_or(u16::MAX);
            self.ports.push(PortCount { mode, direction, protocol, port, packets });
        }
    }

    fn add_tallies(&mut self, subject: Subject, page: &PortPage) {
        let Subject { mode, direction, .. } = subject;
        for interface in 0..MAX_INTERFACES {
            for reason in PortPage::REASONS {
                let place = PortPage::reason_place(interface, reason) as usize;
                let Some(tally) = page.reasons.get(place).filter(|tally| tally.packets != 0) else {
                    continue;
                };
                *self.tallies.entry((interface, mode, direction, reason)).or_default() += *tally;
            }
        }
    }

    /// All ports with drops or would-drops, in order.
    #[must_use]
    pub fn ports(&self) -> &[PortCount] {
        &self.ports
    }

    /// What is counted here for a reason, by an interface's place.
    #[must_use]
    pub fn tally(&self, interface: u32, mode: Mode, direction: Direction, reason: Reason) -> Tally {
        self.tallies.get(&(interface, mode, direction, reason)).copied().unwrap_or_default()
    }

    /// Who was dropped last, of each page and CPU.
    #[must_use]
    pub fn latest(&self) -> &[Talker] {
        &self.latest
    }
}

#[cfg(test)]
mod tests {
    use portreeve_common::{counter::port_slot, service::Transport};

    use super::*;

    #[test]
    fn a_page_is_about_what_it_was_chosen_for() {
        for mode in [Mode::Enforce, Mode::Observe] {
            for direction in Direction::ALL {
                for transport in [Transport::TCP, Transport::UDP] {
                    for port in [0, 23, 2_047, 2_048, 65_535] {
                        let (page, place) = port_slot(mode.would(), direction, transport.index(), port);
                        let subject = Subject::of(page);
                        assert_eq!((subject.mode, subject.direction), (mode, direction));
                        assert_eq!(subject.protocol, transport.number());
                        assert_eq!(subject.first + place, u32::from(port));
                    }
                }
            }
        }
    }
}

//! What a capture came to: by flow, by port, and by reason.

use std::{cmp::Reverse, collections::BTreeMap};

use portreeve_common::{Direction, Reason, Service, Sight, Snapped, class::RuleId, look};

use super::Verdict;
use crate::{
    capture::Frame,
    cli::output,
    image::{FlowMeta, Image},
};

/// Packets and their bytes on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    packets: u64,
    bytes: u64,
}

/// What is counted while a capture is judged.
#[derive(Debug, Default)]
pub(super) struct Summary {
    all: Count,
    truncated: u64,
    /// Passed, by slot.
    flows: BTreeMap<RuleId, Count>,
    /// Dropped.
    ports: BTreeMap<(Direction, Asked, Reason), Count>,
    reasons: BTreeMap<(Direction, Reason), Count>,
}

/// What a dropped packet asked for, as far as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Asked {
    /// IANA number, and port or type.
    Service(u8, u16),
    /// Not IP, or not read that far.
    Frame(u16),
}

impl Count {
    const fn add(&mut self, length: u32) {
        self.packets += 1;
        self.bytes += length as u64;
    }

    fn cells(self) -> [String; 2] {
        [self.packets.to_string(), self.bytes.to_string()]
    }
}

impl Summary {
    pub(super) fn add(&mut self, frame: &Frame, direction: Direction, (reason, rule): Verdict) {
        let length = frame.original_length;
        self.all.add(length);
        self.truncated += u64::from(frame.truncated);
        self.reasons.entry((direction, reason)).or_default().add(length);
        match rule {
            Some(slot) if reason.passes() => self.flows.entry(slot).or_default().add(length),
            Some(_) | None => {}
        }
        if !reason.passes() {
            self.ports.entry((direction, asked(frame, direction), reason)).or_default().add(length);
        }
    }

    /// Whether nothing was counted.
    pub(super) const fn is_empty(&self) -> bool {
        self.all.packets == 0
    }

    /// As tables.
    pub(super) fn text(&self, image: &Image) -> String {
        let Self { all, truncated, flows: _, ports: _, reasons: _ } = self;
        let passed = self.reasons.iter().filter(|((_, reason), _)| reason.passes());
        let passed: u64 = passed.map(|(_, count)| count.packets).sum();
        let mut text = format!(
            "{} packets, {} bytes: {passed} pass, {} would be dropped\n",
            all.packets,
            all.bytes,
            all.packets - passed
        );
        if *truncated > 0 {
            text.push_str(&format!(
                "{truncated} packets were captured in part; what is missing was not judged\n"
            ));
        }
        for part in [self.flow_table(image), self.port_table(), self.reason_table()].into_iter().flatten() {
            text.push('\n');
            text.push_str(&part);
        }
        text
    }

    fn flow_table(&self, image: &Image) -> Option<String> {
        let mut table = output::table(&["flow", "role", "direction", "packets", "bytes", "purpose"]);
        for FlowMeta { slot, flow, role, direction, origin, .. } in &image.flows {
            let Some([packets, bytes]) = self.flows.get(slot).map(|count| count.cells()) else { continue };
            table.add_row([flow, role, direction.name(), &packets, &bytes, &origin.purpose]);
        }
        output::keep_words(&mut table, 0);
        (!self.flows.is_empty()).then(|| output::text(&mut table))
    }

    fn port_table(&self) -> Option<String> {
        let mut table = output::table(&["dropped", "protocol", "port", "reason", "packets", "bytes"]);
        let mut ports: Vec<_> = self.ports.iter().collect();
        ports.sort_by_key(|(_, count)| Reverse(count.packets));
        for ((direction, asked, reason), count) in ports {
            let ([protocol, port], [packets, bytes]) = (asked.cells(), count.cells());
            table.add_row([direction.name(), &protocol, &port, reason.name(), &packets, &bytes]);
        }
        (!self.ports.is_empty()).then(|| output::text(&mut table))
    }

    fn reason_table(&self) -> Option<String> {
        let mut table = output::table(&["reason", "direction", "verdict", "packets", "bytes", "meaning"]);
        for ((direction, reason), count) in &self.reasons {
            let [packets, bytes] = count.cells();
            let verdict = if reason.passes() { "pass" } else { "drop" };
            table.add_row([reason.name(), direction.name(), verdict, &packets, &bytes, reason.sentence()]);
        }
        (!self.reasons.is_empty()).then(|| output::text(&mut table))
    }
}

impl Asked {
    fn cells(self) -> [String; 2] {
        match self {
            Self::Service(protocol, number) => {
                let name = Service::protocol_name(protocol);
                let port = if name.is_some() { number.to_string() } else { String::new() };
                [name.map_or_else(|| protocol.to_string(), str::to_owned), port]
            }
            Self::Frame(ethertype) => [format!("{ethertype:#06x}"), String::new()],
        }
    }
}

fn asked(frame: &Frame, direction: Direction) -> Asked {
    let mut sight = Sight::default();
    look(&Snapped::new(&frame.bytes, frame.original_length), direction, &mut sight);
    if sight.headers.is_ip() {
        let Service { direction: _, protocol, number } = sight.service(direction);
        Asked::Service(protocol, number)
    } else {
        Asked::Frame(sight.headers.ethertype)
    }
}

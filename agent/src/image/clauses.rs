//! Services whose rules look at more than the peer: the clauses that the kernel tries one after the other.

use std::collections::HashMap;

use portreeve_common::{
    Address,
    class::Class,
    clause::{ANY_INTERFACE, Clause, Interfaces, MAX_ALTERNATIVES, MAX_CLAUSES, To},
};

use super::ImageError;
use crate::policy::rule::{Local, Rule, Service};

/// What a rule looks at besides the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Manner {
    to: To,
    source_port: u16,
    control_port: u16,
    interfaces: Interfaces,
}

impl Manner {
    /// Nothing.
    const PLAIN: Self = Self { to: To::Host, source_port: 0, control_port: 0, interfaces: ANY_INTERFACE };

    /// `interfaces`: those that the rule names.
    pub(super) fn of(rule: &Rule, interfaces: Interfaces) -> Self {
        let interfaces = if rule.service == Service::Igmp { ANY_INTERFACE } else { interfaces };
        let to = match (&rule.service, rule.local) {
            // To whom IGMP may go, and where, is for the baseline to say: reports of version 3 go to none of the rule's
            // groups.
            (Service::Igmp, Local::Own | Local::Group(_) | Local::Broadcast)
            | (Service::Tcp(_) | Service::Udp(_) | Service::Echo | Service::Protocol(_), Local::Own) => {
                To::Host
            }
            (
                Service::Tcp(_) | Service::Udp(_) | Service::Echo | Service::Protocol(_),
                Local::Group(group),
            ) => To::Group(Address::from(group)),
            (Service::Tcp(_) | Service::Udp(_) | Service::Echo | Service::Protocol(_), Local::Broadcast) => {
                To::Broadcast
            }
        };
        let source_port = rule.service.ports().and_then(|ports| ports.source).unwrap_or_default();
        Self { to, source_port, control_port: rule.control_port.unwrap_or_default(), interfaces }
    }

    pub(super) fn is_plain(self) -> bool {
        self == Self::PLAIN
    }

    /// To the same, whatever the ports and the interface.
    pub(super) const fn of_any_port(self) -> Self {
        Self { source_port: 0, control_port: 0, interfaces: ANY_INTERFACE, ..self }
    }

    pub(super) const fn clause(self, class: Class) -> Clause {
        Clause::new(self.to, self.source_port, self.control_port, class).on(self.interfaces)
    }
}

/// Positions of rules by their manner; those that look at the peer alone come last, so that others count as what they
/// are.
pub(super) fn by_manner(rules: impl Iterator<Item = (usize, Manner)>) -> Vec<(Manner, Vec<usize>)> {
    let mut groups: Vec<(Manner, Vec<usize>)> = Vec::new();
    for (at, manner) in rules {
        match groups.iter_mut().find(|(known, _)| *known == manner) {
            Some((_, positions)) => positions.push(at),
            None => groups.push((manner, vec![at])),
        }
    }
    groups.sort_by_key(|(manner, _)| manner.is_plain());
    groups
}

/// The clauses of all services; the same list of them stands once.
#[derive(Default)]
pub(super) struct Clauses {
    pub(super) all: Vec<Clause>,
    known: HashMap<Vec<Clause>, Class>,
}

impl Clauses {
    /// The class of a service that has these clauses.
    ///
    /// # Errors
    /// There are more than are tried, or more than the table holds.
    pub(super) fn class(&mut self, mut list: Vec<Clause>) -> Result<Class, ImageError> {
        if let Some(last) = list.last_mut() {
            *last = last.last();
        }
        if let Some(class) = self.known.get(&list) {
            return Ok(*class);
        }
        if list.len() > MAX_ALTERNATIVES as usize {
            return Err(ImageError::Alternatives { manners: list.len() });
        }
        let first = u16::try_from(self.all.len()).map_err(|_too_many| ImageError::Clauses)?;
        self.all.extend(&list);
        if self.all.len() > MAX_CLAUSES as usize {
            return Err(ImageError::Clauses);
        }
        let class = Class::particular(first);
        self.known.insert(list, class);
        Ok(class)
    }
}

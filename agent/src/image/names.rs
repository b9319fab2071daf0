//! Names as members of sets: an address belongs to the longest pattern that it was learned for, and by that to every
//! rule whose pattern lies around it.

use std::collections::BTreeMap;

use portreeve_common::names::{MAX_NAMES, NameId};

use super::is_meant;
use crate::policy::Policy;

/// Why a policy's names can't be laid out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NamesError {
    /// More than the table holds.
    #[error("the policy has {names} names, more than the {MAX_NAMES} that can be learned")]
    Many {
        /// How many.
        names: usize,
    },
    /// Two with one number.
    #[error("{first} and {second} can't be in one policy: their numbers are the same")]
    Same {
        /// One of them.
        first: String,
        /// The other.
        second: String,
    },
}

/// All patterns of a policy whose addresses are learned.
pub(super) struct Names {
    /// Each once, in order.
    pub(super) all: Vec<String>,
}

/// The patterns of a class, each with its position among the rules.
#[derive(Default)]
pub(super) struct Named {
    stated: Vec<(String, u16)>,
}

impl Named {
    pub(super) fn add(&mut self, names: &[String], member: u16) {
        self.stated.extend(names.iter().map(|name| (name.clone(), member)));
    }
}

impl Names {
    /// # Errors
    /// Too many of them, or two with one number.
    pub(super) fn of(policy: &Policy) -> Result<Self, NamesError> {
        let mut by_id: BTreeMap<NameId, &str> = BTreeMap::new();
        for name in policy.rules.iter().flat_map(|rule| rule.peers.learned_names(&policy.host.names)) {
            let first = by_id.insert(NameId::of(name), name);
            if let Some(first) = first.filter(|first| *first != name) {
                return Err(NamesError::Same { first: first.into(), second: name.into() });
            }
        }
        if by_id.len() > MAX_NAMES as usize {
            return Err(NamesError::Many { names: by_id.len() });
        }
        let mut all: Vec<String> = by_id.into_values().map(str::to_owned).collect();
        all.sort();
        Ok(Self { all })
    }

    /// The members of a class: of each pattern the rule that states it, else the one with the longest pattern around it.
    pub(super) fn members(&self, named: &Named) -> Vec<(NameId, u16)> {
        if named.stated.is_empty() {
            return Vec::new();
        }
        let around = |name: &str| {
            let stated = named.stated.iter().filter(|(pattern, _)| pattern == name || holds(pattern, name));
            stated
                .max_by_key(|(pattern, member)| (pattern == name, pattern.len(), std::cmp::Reverse(*member)))
        };
        let member = |name: &String| Some((NameId::of(name), around(name)?.1));
        self.all.iter().filter_map(member).collect()
    }
}

/// Whether a pattern is for all that another one is for.
fn holds(pattern: &str, other: &str) -> bool {
    pattern.starts_with('*') && pattern != other && is_meant(pattern, other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_hold_what_lies_below_them() {
        assert!(holds("*.example.com", "a.example.com") && holds("*.example.com", "*.b.example.com"));
        assert!(!holds("*.example.com", "*.example.com") && !holds("*.example.com", "example.com"));
        assert!(!holds("*.example.com", "*.badexample.com") && !holds("a.example.com", "a.example.com"));
    }

    #[test]
    fn a_name_counts_for_its_own_rule_before_one_above_it() {
        let all = ["*.a.example.com", "*.example.com", "api.a.example.com", "example.org"];
        let names = Names { all: all.map(str::to_owned).to_vec() };
        let mut named = Named::default();
        named.add(&["*.example.com".into()], 0);
        named.add(&["api.a.example.com".into(), "*.a.example.com".into()], 1);
        let wanted = [("*.a.example.com", 1), ("*.example.com", 0), ("api.a.example.com", 1)];
        assert_eq!(names.members(&named), wanted.map(|(name, member)| (NameId::of(name), member)));
        let mut above = Named::default();
        above.add(&["*.example.com".into()], 3);
        let wanted = [("*.a.example.com", 3), ("*.example.com", 3), ("api.a.example.com", 3)];
        assert_eq!(names.members(&above), wanted.map(|(name, member)| (NameId::of(name), member)));
    }
}

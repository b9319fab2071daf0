//! What stays closed.

use super::closed;
use crate::policy::{Policy, rule::Rule};

/// Something that the policy allows and nobody knows the address of: it stays closed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Deferred {
    /// The flow's stable id.
    pub flow: String,
    /// Why.
    pub why: String,
}

impl Deferred {
    /// All that a policy has of them, in the order of its rules.
    #[must_use]
    pub fn of(policy: &Policy) -> Vec<Self> {
        let closed = |rule: &Rule| Some(Self { flow: rule.flow.clone(), why: closed(rule, policy)? });
        policy.rules.iter().filter_map(closed).collect()
    }
}

impl std::fmt::Display for Deferred {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { flow, why } = self;
        write!(f, "{flow}: {why}")
    }
}

//! What the flows' counters count.

use portreeve_common::{Direction, class::RuleId};

use crate::policy::rule::{Kind, Need, Origin, Rule};

/// What a slot of the flows' counters counts.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FlowMeta {
    /// The slot.
    pub slot: RuleId,
    /// The flow's stable id.
    pub flow: String,
    /// Ids of further rows that state the same packets.
    pub aliases: Vec<String>,
    /// The role that brought it, or `site`.
    pub role: String,
    /// Who sends its first packet.
    #[serde(serialize_with = "direction_name")]
    pub direction: Direction,
    /// How it is related to its document.
    pub kind: Kind,
    /// How much it is needed.
    pub need: Need,
    /// Whether the product doesn't work without it.
    pub required: bool,
    /// Where it is written.
    pub origin: Origin,
}

/// What the slots of a policy's rules count; ascending by slot.
pub(super) fn flows(rules: &[Rule], ids: &[RuleId]) -> Vec<FlowMeta> {
    let mut flows: Vec<FlowMeta> =
        ids.iter().zip(rules).map(|(slot, rule)| FlowMeta::new(*slot, rule)).collect();
    flows.sort_by_key(|flow| flow.slot);
    flows.dedup_by(|later, first| {
        let same = later.slot == first.slot;
        if same {
            let mut new = std::mem::take(&mut later.aliases);
            new.retain(|alias| !first.aliases.contains(alias));
            first.aliases.extend(new);
        }
        same
    });
    flows
}

impl FlowMeta {
    pub(super) fn new(slot: RuleId, rule: &Rule) -> Self {
        Self {
            slot,
            flow: rule.flow.clone(),
            aliases: rule.aliases.clone(),
            role: rule.role.clone(),
            direction: rule.direction,
            kind: rule.origin.kind,
            need: rule.origin.need,
            required: rule.origin.need == Need::Required,
            origin: rule.origin.clone(),
        }
    }
}

fn direction_name<S: serde::Serializer>(direction: &Direction, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(direction.name())
}

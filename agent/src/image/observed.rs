//! Services of roles that are only observed: a last clause lets pass whom the others refuse, and says so.

use portreeve_common::{
    Direction,
    class::{Allows, Class, RuleId},
    clause::Clause,
};

use super::{FlowMeta, clauses::Manner};
use crate::policy::{
    Policy, Rule, Stage, Stages,
    rule::{Kind, Need, Origin, Service},
};

/// The roles of a policy that are only observed and have a flow in that direction, each with the id that is counted under.
pub(super) struct Observed<'p> {
    stages: &'p Stages,
    pub(super) flows: Vec<((&'p str, Direction), String)>,
}

impl<'p> Observed<'p> {
    pub(super) fn of(policy: &'p Policy) -> Self {
        let has = |(role, way): &(&str, Direction)| {
            policy.rules.iter().any(|rule| rule.role == *role && rule.direction == *way)
        };
        let named = policy.stages.observed().filter(has);
        let flows = named.map(|(role, way)| ((role, way), Stage::flow(role, way))).collect();
        Self { stages: &policy.stages, flows }
    }

    /// What their counters count.
    pub(super) fn meta(&self, ids: &[RuleId]) -> impl Iterator<Item = FlowMeta> {
        ids.iter().zip(&self.flows).map(|(slot, ((role, direction), flow))| {
            let origin = Origin {
                pack: crate::policy::resolve::SITE.into(),
                document: "`stage = \"observe\"` of the role".into(),
                row: Stage::key(role, *direction),
                purpose: format!("what enforcing {role} would drop"),
                kind: Kind::Site,
                need: Need::Debug,
            };
            FlowMeta {
                slot: *slot,
                flow: flow.clone(),
                aliases: Vec::new(),
                role: (*role).to_owned(),
                direction: *direction,
                kind: origin.kind,
                need: origin.need,
                required: false,
                origin,
            }
        })
    }
}

/// The same with the slots of their counters.
#[derive(Clone, Copy)]
pub(super) struct Slotted<'a> {
    pub(super) observed: &'a Observed<'a>,
    pub(super) ids: &'a [RuleId],
}

impl Slotted<'_> {
    /// The last clauses of a service that only observed roles document: one for each kind of destination that is not open
    /// to anybody. IGMP has none: to whom it may go is for the baseline to say.
    pub(super) fn tails<'r>(
        &self,
        mut rules: impl Iterator<Item = (&'r Rule, Manner)> + Clone,
        manners: &[(Manner, Class)],
    ) -> Vec<Clause> {
        let strict = |rule: &Rule| {
            rule.service == Service::Igmp || !self.observed.stages.observes(&rule.role, rule.direction)
        };
        if rules.clone().any(|(rule, _)| strict(rule)) {
            return Vec::new();
        }
        let Some(id) = rules.clone().next().and_then(|(rule, _)| self.id(rule)) else { return Vec::new() };
        let mut open: Vec<Manner> = manners
            .iter()
            .filter(|(manner, class)| {
                *manner == manner.of_any_port() && matches!(class.allows(), Allows::Anybody(_))
            })
            .map(|(manner, _)| *manner)
            .collect();
        let mut clauses = Vec::new();
        for (_, manner) in &mut rules {
            let manner = manner.of_any_port();
            if !open.contains(&manner) {
                open.push(manner);
                clauses.push(manner.clause(Class::anybody(id)).observed());
            }
        }
        clauses
    }

    fn id(&self, rule: &Rule) -> Option<RuleId> {
        let Observed { stages: _, flows } = self.observed;
        let at = flows.iter().position(|(of, _)| *of == (rule.role.as_str(), rule.direction))?;
        self.ids.get(at).copied()
    }
}

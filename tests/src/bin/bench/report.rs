//! All that a run measured, for people and for programs.

use anyhow::Result;
use serde::Serialize;

use crate::{
    change, flood,
    goal::{self, Goal},
    live,
    machine::Machine,
    stack, testrun,
};

/// What each part found, as far as it was wanted.
pub(crate) struct Report {
    machine: Machine,
    /// Programs by test run.
    pub(crate) testrun: Option<testrun::Report>,
    /// Frames over a veth pair.
    pub(crate) live: Option<live::Report>,
    /// Throughput and connections a second.
    pub(crate) stack: Option<stack::Report>,
    /// Floods.
    pub(crate) flood: Option<flood::Report>,
    /// Changes and counters.
    pub(crate) change: Option<change::Figures>,
}

/// The JSON file.
#[derive(Serialize)]
pub(crate) struct Figures<'a> {
    machine: &'a Machine,
    test_run: Option<testrun::Figures>,
    live: Option<Vec<live::Figure>>,
    stack: Option<Vec<stack::Figure>>,
    flood: Option<&'a flood::Report>,
    change: Option<&'a change::Figures>,
    goals: Vec<Goal>,
}

impl Report {
    /// Nothing yet.
    pub(crate) const fn new(machine: Machine) -> Self {
        Self { machine, testrun: None, live: None, stack: None, flood: None, change: None }
    }

    /// The run is over.
    pub(crate) fn end(self) -> Result<Self> {
        Ok(Self { machine: self.machine.end()?, ..self })
    }

    /// As tables.
    pub(crate) fn print(&self) {
        let Self { machine, testrun, live, stack, flood, change } = self;
        if let Some(part) = testrun {
            part.print();
        }
        if let Some(part) = live {
            part.print();
        }
        if let Some(part) = stack {
            part.print();
        }
        if let Some(part) = flood {
            part.print();
        }
        if let Some(part) = change {
            part.print();
        }
        goal::print(&self.goals());
        machine.print();
    }

    /// For programs.
    pub(crate) fn json(&self) -> Figures<'_> {
        let Self { machine, testrun, live, stack, flood, change } = self;
        Figures {
            machine,
            test_run: testrun.as_ref().map(testrun::Report::json),
            live: live.as_ref().map(live::Report::figures),
            stack: stack.as_ref().map(stack::Report::figures),
            flood: flood.as_ref(),
            change: change.as_ref(),
            goals: self.goals(),
        }
    }

    fn goals(&self) -> Vec<Goal> {
        let Self { machine: _, testrun, live, stack, flood, change } = self;
        let mut goals = Vec::new();
        goals.extend(testrun.iter().flat_map(testrun::Report::goals));
        goals.extend(live.iter().flat_map(live::Report::goals));
        goals.extend(stack.iter().flat_map(stack::Report::goals));
        goals.extend(flood.iter().flat_map(flood::Report::goals));
        goals.extend(change.iter().flat_map(change::Figures::goals));
        goals
    }
}

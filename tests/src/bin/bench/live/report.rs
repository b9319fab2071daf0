//! What live frames cost.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::filter::Filter;
use crate::{
    goal::{Bound, Goal, median},
    nft::Form,
};

/// What is done with the frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Work {
    /// SYNs of many sources to a port that nobody documents.
    Dropped,
    /// Datagrams of a flow that was answered.
    Established,
}

impl Work {
    /// Without a filter a SYN is answered by a reset, which is another work; what drops all passes nothing.
    pub(super) fn is_for(self, filter: Filter) -> bool {
        match self {
            Self::Dropped => filter != Filter::None,
            Self::Established => filter != Filter::Empty,
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Dropped => "undocumented SYN dropped",
            Self::Established => "established datagram passed",
        })
    }
}

/// All figures: by row one for each round, in nanoseconds.
#[derive(Default)]
pub(crate) struct Report {
    rows: BTreeMap<(Work, Filter, usize), Vec<f64>>,
}

/// One row of the JSON file.
#[derive(Serialize)]
pub(crate) struct Figure {
    work: String,
    filter: String,
    rules: usize,
    /// Median, nanoseconds of one processor for sender and receiver.
    ns: f64,
    /// Median of the ratios to the floor in the same round: empty XDP, or no filter.
    ratio: f64,
    /// Median of what it takes more than the floor.
    added: f64,
    rounds: usize,
}

impl Report {
    /// One burst.
    pub(super) fn time(&mut self, work: Work, filter: Filter, rules: usize, cost: f64) {
        self.rows.entry((work, filter, rules)).or_default().push(cost);
    }

    /// As figures, for programs.
    pub(crate) fn figures(&self) -> Vec<Figure> {
        let figure = |((work, filter, rules), costs): (&(Work, Filter, usize), &Vec<f64>)| Figure {
            work: work.to_string(),
            filter: filter.to_string(),
            rules: *rules,
            ns: median(costs.iter().copied()),
            ratio: self.ratio(*work, (*filter, *rules), floor(*work)).unwrap_or(f64::NAN),
            added: self.added(*work, (*filter, *rules)).unwrap_or(f64::NAN),
            rounds: costs.len(),
        };
        self.rows.iter().map(figure).collect()
    }

    /// As a table, for people.
    pub(crate) fn print(&self) {
        println!(
            "\n{:<28} {:<24} {:>7} {:>9} {:>8} {:>8}",
            "live frames over veth", "filter", "rules", "ns", "x floor", "added"
        );
        for Figure { work, filter, rules, ns, ratio, added, rounds: _ } in self.figures() {
            let rules = if rules == 0 { String::new() } else { rules.to_string() };
            println!("{work:<28} {filter:<24} {rules:>7} {ns:>9.0} {ratio:>8.2} {added:>8.0}");
        }
        println!("the floor is empty XDP where frames are dropped, and no filter where they pass");
    }

    /// What of it goals are about.
    pub(crate) fn goals(&self) -> Vec<Goal> {
        let rules = self.rows.keys().map(|(_, _, rules)| *rules).filter(|rules| *rules > 0);
        let (most, thousand) =
            (rules.clone().max().unwrap_or(0), rules.filter(|rules| *rules <= 1_000).max());
        let (drop, pass) = (Work::Dropped, Work::Established);
        let xdp = (Filter::Xdp, most);
        let mut goals = vec![Goal::ratio(
            format!("live: undocumented SYN dropped, {most} rules, against empty XDP"),
            self.ratio(drop, xdp, floor(drop)),
            Bound::AtMost(2.0),
        )];
        for (filter, rules, least) in [
            (Filter::XdpTools, most, 1.8),
            (Filter::Nft(Form::Ingress), most, 3.0),
            (Filter::Nft(Form::SetWithState), most, 5.0),
            (Filter::Nft(Form::Linear), thousand.unwrap_or(0), 100.0),
        ] {
            let work = format!("live: packets per second per core, against {filter}, {rules} rules");
            goals.push(Goal::ratio(work, self.ratio(drop, (filter, rules), xdp), Bound::AtLeast(least)));
        }
        let ingress = (Filter::Nft(Form::Ingress), most);
        let tc = self.ratio(drop, (Filter::Tc, most), ingress);
        goals.push(Goal::ratio("TC fallback drop, against nft netdev ingress", tc, Bound::AtMost(0.75)));
        let state = self.added(pass, (Filter::Nft(Form::SetWithState), most));
        for filter in [Filter::Xdp, Filter::Tc] {
            let added = self.added(pass, (filter, most));
            let ratio = added.zip(state).map(|(ours, theirs)| ours / theirs);
            let work = format!("live: added per established packet, {filter}, against nft with state");
            goals.push(Goal::ratio(work, ratio, Bound::AtMost(0.5)));
        }
        goals
    }

    /// The median over the rounds of one row's cost to another's.
    fn ratio(&self, work: Work, row: (Filter, usize), other: (Filter, usize)) -> Option<f64> {
        let costs = self.rows.get(&(work, row.0, row.1))?.iter();
        Some(median(costs.zip(self.rows.get(&(work, other.0, other.1))?).map(|(cost, other)| cost / other)))
    }

    fn added(&self, work: Work, row: (Filter, usize)) -> Option<f64> {
        let costs = self.rows.get(&(work, row.0, row.1))?.iter();
        let (filter, rules) = floor(work);
        Some(median(costs.zip(self.rows.get(&(work, filter, rules))?).map(|(cost, other)| cost - other)))
    }
}

const fn floor(work: Work) -> (Filter, usize) {
    match work {
        Work::Dropped => (Filter::Empty, 0),
        Work::Established => (Filter::None, 0),
    }
}

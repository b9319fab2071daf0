//! Goals: what was measured beside what it should be. They are told; no test hangs on a timing.

use std::fmt;

use serde::Serialize;

/// What a figure should be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Bound {
    /// As small as this, or smaller.
    AtMost(f64),
    /// As large as this, or larger.
    AtLeast(f64),
}

/// One figure with its bound.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Goal {
    /// Which work, and against what.
    pub(crate) work: String,
    /// `None`: this run did not measure it, or a peer is missing.
    pub(crate) measured: Option<f64>,
    /// `x` for a ratio.
    pub(crate) unit: &'static str,
    /// What it should be.
    pub(crate) goal: Bound,
    /// Whether it is.
    pub(crate) held: Option<bool>,
}

impl Goal {
    /// A ratio of two figures of one run.
    pub(crate) fn ratio(work: impl Into<String>, measured: Option<f64>, goal: Bound) -> Self {
        Self::new(work, measured, "x", goal)
    }

    /// A figure with its unit.
    pub(crate) fn new(
        work: impl Into<String>,
        measured: Option<f64>,
        unit: &'static str,
        goal: Bound,
    ) -> Self {
        let measured = measured.filter(|figure| figure.is_finite());
        let held = measured.map(|figure| match goal {
            Bound::AtMost(most) => figure <= most,
            Bound::AtLeast(least) => figure >= least,
        });
        Self { work: work.into(), measured, unit, goal, held }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "<= {most}"),
            Self::AtLeast(least) => write!(f, ">= {least}"),
        }
    }
}

/// Prints them as a table.
pub(crate) fn print(goals: &[Goal]) {
    println!("\n{:<78} {:>10} {:>10}", "goal", "measured", "wanted");
    for Goal { work, measured, unit, goal, held } in goals {
        let measured = measured.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.2} {unit}"));
        let word = match held {
            Some(true) => "held",
            Some(false) => "NOT HELD",
            None => "not measured",
        };
        println!("{work:<78} {measured:>10} {:>10}  {word}", goal.to_string());
    }
    let held = goals.iter().filter(|goal| goal.held == Some(true)).count();
    let missed = goals.iter().filter(|goal| goal.held == Some(false)).count();
    println!("{held} held, {missed} not, {} not measured", goals.len() - held - missed);
}

/// The quotient, where both are there.
pub(crate) fn over(dividend: Option<f64>, divisor: Option<f64>) -> Option<f64> {
    Some(dividend? / divisor?)
}

/// Of at least one value.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

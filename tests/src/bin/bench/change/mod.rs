//! What a change costs: rules from text to in force, one rule changed, the store that makes it current.

mod compile;
mod reload;

use anyhow::Result;
use serde::Serialize;

pub(crate) use self::compile::{Compiler, one as compile};
use self::{compile::Compiled, reload::Reload};
use crate::goal::{Bound, Goal, over};

/// All of it.
#[derive(Serialize)]
pub(crate) struct Figures {
    compiled: Vec<Compiled>,
    reload: Reload,
}

/// Measures all of it.
pub(crate) fn measure(rounds: usize) -> Result<Figures> {
    eprintln!("change: 10,000 rules compiled");
    let compiled = compile::all()?;
    eprintln!("change: 10,000 rules put in force");
    Ok(Figures { compiled, reload: reload::measure(rounds)? })
}

impl Figures {
    /// As lines, for people.
    pub(crate) fn print(&self) {
        let Self { compiled, reload } = self;
        println!();
        for Compiled { by, milliseconds, peak_mebibytes } in compiled {
            println!("10,000 flows checked, {by}: {milliseconds:.1} ms, peak {peak_mebibytes:.1} MiB");
        }
        reload.print();
    }

    /// What of it goals are about.
    pub(crate) fn goals(&self) -> Vec<Goal> {
        let Reload { apply: _, flows, grouped, nft, one, flip } = self.reload;
        vec![
            Goal::ratio(
                "reload of 10,000 flows from text, against `nft -f` with a set",
                over(Some(flows), Some(nft)),
                Bound::AtMost(0.2),
            ),
            Goal::ratio(
                "reload of 10,000 ports and peers in 100 flows, against `nft -f` with a set",
                over(Some(grouped), Some(nft)),
                Bound::AtMost(0.2),
            ),
            Goal::new("one rule of 10,000 changed, in the kernel", Some(one), "ms", Bound::AtMost(1.0)),
            Goal::new("the flip", Some(flip * 1e3), "µs", Bound::AtMost(10.0)),
        ]
    }
}

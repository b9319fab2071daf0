//! What names cost those packets that are no business of theirs: the same programs, with and without a resolver and names
//! in the policy, in the same rounds.

use anyhow::{Result, ensure};
use portreeve::datapath::timed::{Timed, Timing};

use super::{
    frames::{Family, Frames},
    measure::{XDP_DROP, XDP_PASS, connected, works},
    report::{Report, Row},
};
use crate::policy;

/// Without names.
pub(super) const WITHOUT: &str = "no names";
/// With them.
pub(super) const WITH: &str = "names";

/// Both policies, each with its own load.
pub(super) struct Named {
    policies: [(&'static str, Timed); 2],
    families: Vec<(Family, Frames)>,
}

impl Named {
    /// Loads the programs twice.
    pub(super) fn load(rules: usize) -> Result<Self> {
        let (without, families) = connected(&policy::image(rules)?.0)?;
        let (with, _) = connected(&policy::image_with_names(rules)?)?;
        Ok(Self { policies: [(WITHOUT, without), (WITH, with)], families })
    }

    /// Times every row once a round.
    pub(super) fn rounds(&self, rounds: usize, repeat: u32, report: &mut Report) -> Result<()> {
        for _ in 0..rounds {
            for (family, frames) in &self.families {
                for (work, frame, passes) in works(frames) {
                    let expected = if passes { XDP_PASS } else { XDP_DROP };
                    for (by, timed) in &self.policies {
                        let floor = timed.run(Timing::EmptyXdp, frame, repeat)?;
                        let run = timed.run(Timing::Xdp, frame, repeat)?;
                        ensure!(run.returned == expected, "{work}, {by}: returned {}", run.returned);
                        let row = Row { hook: "xdp", by, work, family: family.name(), rules: 0 };
                        report.time(row, run.mean, floor.mean);
                    }
                }
            }
        }
        Ok(())
    }
}

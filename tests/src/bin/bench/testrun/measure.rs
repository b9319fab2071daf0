//! One load of the object, timed in interleaved rounds: a slow phase of the machine meets all rows alike.

use std::{path::Path, time::Instant};

use anyhow::{Result, ensure};
use portreeve::{
    datapath::{
        object::Sets,
        policy::Tables,
        timed::{Timed, Timing},
    },
    image::Image,
    policy::host::StateLimits,
};

use super::{
    frames::{Family, Frames, frames},
    report::{Report, Row},
};
use crate::xdp_filter::XdpFilter;

/// XDP's verdicts.
pub(super) const XDP_DROP: u32 = 1;
/// As above.
pub(super) const XDP_PASS: u32 = 2;
/// TC's.
const TC_SHOT: u32 = 2;
/// As above.
pub(super) const TC_NEXT: u32 = u32::MAX;
/// Of the state tables.
pub(super) const SECRET: [u64; 2] = [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344];

/// A loaded object with live connections, and what to time on it.
pub(crate) struct Measure {
    timed: Timed,
    filter: XdpFilter,
    rules: usize,
    families: Vec<(Family, Frames)>,
}

impl Measure {
    /// Loads the programs and completes a handshake in each family.
    pub(crate) fn load(image: &Image, rules: usize, pins: &Path) -> Result<Self> {
        let filter = XdpFilter::load(rules, pins)?;
        let (timed, families) = connected(image)?;
        Ok(Self { timed, filter, rules, families })
    }

    /// Times every row once a round, each beside the empty program of its hook.
    pub(crate) fn rounds(&self, rounds: usize, repeat: u32, report: &mut Report) -> Result<()> {
        for _ in 0..rounds {
            for (family, frames) in &self.families {
                for (work, frame, passes) in works(frames) {
                    self.row(*family, work, frame, passes, repeat, report)?;
                }
            }
            let begin = Instant::now();
            let pages = self.timed.pages()?;
            report.read(begin.elapsed());
            ensure!(pages.ports().len() >= 2, "what was dropped is not counted");
        }
        for timing in [Timing::Xdp, Timing::Ingress, Timing::Egress] {
            if let Some(instructions) = self.timed.verified(timing)? {
                report.verified(timing, instructions);
            }
        }
        Ok(())
    }

    fn row(
        &self,
        family: Family,
        work: &'static str,
        frame: &[u8],
        passes: bool,
        repeat: u32,
        report: &mut Report,
    ) -> Result<()> {
        for (hook, empty, program) in
            [("xdp", Timing::EmptyXdp, Timing::Xdp), ("tc", Timing::EmptyTc, Timing::Ingress)]
        {
            let floor = self.timed.run(empty, frame, repeat)?;
            let run = self.timed.run(program, frame, repeat)?;
            let expected = match (hook, passes) {
                ("xdp", true) => XDP_PASS,
                ("xdp", false) => XDP_DROP,
                (_, true) => TC_NEXT,
                (_, false) => TC_SHOT,
            };
            ensure!(run.returned == expected, "{work}, {}, {hook}: returned {}", family.name(), run.returned);
            let row = Row { hook, by: "portreeve", work, family: family.name(), rules: self.rules };
            report.time(row, run.mean, floor.mean);
        }
        if [UNDOCUMENTED, ESTABLISHED].contains(&work) {
            let floor = self.timed.run(Timing::EmptyXdp, frame, repeat)?;
            let (mean, returned) = self.filter.run(frame, repeat)?;
            let expected = if passes { XDP_PASS } else { XDP_DROP };
            ensure!(returned == expected, "{work}, {}, xdp-filter: returned {returned}", family.name());
            let row = Row { hook: "xdp", by: "xdp-filter", work, family: family.name(), rules: self.rules };
            report.time(row, mean, floor.mean);
        }
        Ok(())
    }
}

/// The programs with a policy, after a handshake in each family.
pub(super) fn connected(image: &Image) -> Result<(Timed, Vec<(Family, Frames)>)> {
    let timed = Timed::load(&Tables::from(image), SECRET, Sets::of(&StateLimits::default()))?;
    let mut families = Vec::new();
    for family in Family::ALL {
        let frames = frames(family)?;
        let [syn, answer, acknowledgement] = &frames.handshake;
        ensure!(timed.run(Timing::Xdp, syn, 1)?.returned == XDP_PASS, "{} SYN does not pass", family.name());
        ensure!(timed.run(Timing::Egress, answer, 1)?.returned == TC_NEXT, "its answer does not pass");
        ensure!(timed.run(Timing::Xdp, acknowledgement, 1)?.returned == XDP_PASS, "its end does not pass");
        families.push((family, frames));
    }
    Ok((timed, families))
}

/// Works that goals are about.
pub(super) const UNDOCUMENTED: &str = "undocumented port, dropped";
/// As above.
pub(super) const ESTABLISHED: &str = "established, passed";
/// As above.
pub(super) const LISTED: &str = "new flow, listed peer, state written";

pub(super) fn works(frames: &Frames) -> [(&'static str, &[u8], bool); 6] {
    let Frames { undocumented, wrong_peer, established, stateless, new_open, new_listed, handshake: _ } =
        frames;
    [
        (UNDOCUMENTED, undocumented, false),
        ("wrong peer, dropped", wrong_peer, false),
        ("no connection, dropped", stateless, false),
        (ESTABLISHED, established, true),
        ("new flow, any peer, state written", new_open, true),
        (LISTED, new_listed, true),
    ]
}

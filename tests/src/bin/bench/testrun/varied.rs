//! Packets whose sources differ from run to run: one of many flows, or none at all. Ours beside the same with one LRU
//! map; what making the sources costs is measured in the same round and taken off.

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
    frames::{Family, frames, handshake},
    measure::{SECRET, TC_NEXT, XDP_DROP, XDP_PASS},
    report::{Report, Row},
};
use crate::{
    policy::OPEN,
    programs::{Plan, Programs},
};

const FLOWS: u32 = 32_000;
/// Of the targets.
const NOTHING: u32 = 0;
const OURS: u32 = 1;
const LRU: u32 = 2;

/// Both with the same flows.
pub(crate) struct Varied {
    _ours: Timed,
    programs: Programs,
    family: Family,
}

impl Varied {
    /// Loads both, and completes the handshake of every flow.
    pub(crate) fn load(image: &Image, family: Family) -> Result<Self> {
        let ours = Timed::load(&Tables::from(image), SECRET, Sets::of(&StateLimits::default()))?;
        let mut programs = Programs::load()?;
        programs.allow(OPEN)?;
        programs.target_own(NOTHING, "nothing")?;
        programs.target(OURS, ours.id(Timing::Xdp)?)?;
        programs.target_own(LRU, "one_lru")?;
        for from in (0..FLOWS).filter_map(|flow| u16::try_from(1_024 + flow).ok()) {
            let [syn, answer, acknowledgement] = handshake(family, from)?;
            ensure!(ours.run(Timing::Xdp, &syn, 1)?.returned == XDP_PASS, "a SYN does not pass");
            ensure!(ours.run(Timing::Egress, &answer, 1)?.returned == TC_NEXT, "its answer does not pass");
            ensure!(ours.run(Timing::Xdp, &acknowledgement, 1)?.returned == XDP_PASS, "no connection");
            ensure!(programs.run("one_lru", &syn, 1)?.1 == XDP_PASS, "a SYN does not pass the LRU");
        }
        Ok(Self { _ours: ours, programs, family })
    }

    /// Times both works once a round.
    pub(crate) fn rounds(&mut self, rounds: usize, repeat: u32, report: &mut Report) -> Result<()> {
        let frame = frames(self.family)?.established;
        let among = Plan { ports: FLOWS, addresses: 1, first: 7, random: true, ..Plan::default() };
        // Nobody's: beside peer 7 there is no flow.
        let flood = Plan { ports: 60_000, addresses: 241, first: 8, random: true, ..Plan::default() };
        for _ in 0..rounds {
            for (work, plan, verdict) in [
                ("established, at random of 32,000", among, XDP_PASS),
                ("no connection, random sources", flood, XDP_DROP),
            ] {
                let empty = self.programs.run("nothing", &frame, repeat)?.0;
                let floor = self.time(&plan, NOTHING, XDP_PASS, &frame, repeat)?;
                for (by, target) in [("portreeve", OURS), ("one LRU map", LRU)] {
                    let time = self.time(&plan, target, verdict, &frame, repeat)?;
                    let net = (time - floor).max(0.0) + empty;
                    let row = Row { hook: "xdp", by, work, family: self.family.name(), rules: 0 };
                    report.time(row, net, empty);
                }
            }
        }
        Ok(())
    }

    fn time(&mut self, plan: &Plan, target: u32, verdict: u32, frame: &[u8], repeat: u32) -> Result<f64> {
        self.programs.plan(&Plan { target, ..*plan })?;
        let (time, returned) = self.programs.run("varied", frame, repeat)?;
        ensure!(returned == verdict, "target {target}: returned {returned}, not {verdict}");
        Ok(time)
    }
}

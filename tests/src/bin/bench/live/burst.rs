//! What a burst of frames costs: processor time of the thread that sends them, in which the receiver's work is done too,
//! and of the CPU's `ksoftirqd`, which takes over when there is much of it. So other load of the machine doesn't count.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    time::{ClockId, clock_gettime},
    unistd::Pid,
};

/// Kernel threads of the first CPUs are among the first processes.
const EARLY: u32 = 1_000;
/// Frames that are on their way when the sender is done arrive within this time, or never.
const UNDER_WAY: Duration = Duration::from_millis(500);

/// A processor, to which the calling thread is bound.
pub(super) struct Processor {
    softirqs: PathBuf,
}

impl Processor {
    /// Binds the calling thread to the last one, which has the fewest interrupts.
    pub(super) fn bind() -> Result<Self> {
        let number = std::thread::available_parallelism()?.get() - 1;
        let mut set = CpuSet::new();
        set.set(number)?;
        sched_setaffinity(Pid::from_raw(0), &set)?;
        let name = format!("ksoftirqd/{number}");
        let is_it =
            |pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|it| it.trim() == name);
        let pid = (1..EARLY).find(is_it).with_context(|| format!("no {name}"))?;
        Ok(Self { softirqs: format!("/proc/{pid}/schedstat").into() })
    }

    /// Time so far, in nanoseconds.
    fn spent(&self) -> Result<u64> {
        let own = Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?);
        let stat = fs::read_to_string(&self.softirqs)?;
        let softirqs: u64 = stat.split(' ').next().unwrap_or_default().parse()?;
        Ok(u64::try_from(own.as_nanos())? + softirqs)
    }

    /// Sends `frames` by `send`, waits until the receiver has counted them, and tells nanoseconds for each.
    pub(super) fn time(
        &self,
        frames: u64,
        send: impl FnOnce() -> Result<()>,
        received: impl Fn() -> Result<u64>,
    ) -> Result<f64> {
        let before = received()?;
        let begun = self.spent()?;
        send()?;
        let spent = self.spent()? - begun;
        let end = std::time::Instant::now() + UNDER_WAY;
        while received()? - before < frames {
            if std::time::Instant::now() > end {
                bail!("{} of {frames} frames arrived", received()? - before);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let late = self.spent()? - begun - spent;
        let count = received()? - before;
        ensure!(count - frames <= frames / 100 + 10, "{count} frames arrived where {frames} were sent");
        // What the wait itself took is some microseconds; what ksoftirqd had left to do may be much more.
        Ok((spent + late) as f64 / count as f64)
    }
}

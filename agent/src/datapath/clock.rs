//! The kernel programs' clock: its ticks, how many go into a second, and what time of day a tick was.

use std::{thread, time::Duration};

use aya::{
    Ebpf, TestRun, TestRunOptions,
    maps::{Array, Map, MapData},
    programs::Xdp,
};
use aya_obj::programs::XdpAttachType;
use jiff::{SignedDuration, Timestamp};

use super::{DatapathError, Pins, object::CLOCK};

/// How long the clock is watched: a hundred milliseconds tell 250 from 300 ticks a second.
const WATCHED: Duration = Duration::from_millis(100);
/// Ticks a second that kernels are built with (`kernel/Kconfig.hz`).
const RATES: [u32; 4] = [100, 250, 300, 1000];
/// Anything that the kernel takes for a frame.
const FRAME: [u8; 64] = [0; 64];

/// The program that tells the time, and the map that it leaves it in.
pub struct Clock {
    program: Xdp,
    map: Array<MapData, [u64; 2]>,
}

/// A moment on the kernel's clock, and the time of day that it was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Now {
    /// In ticks.
    pub ticks: u64,
    /// Ticks in a second.
    pub rate: u32,
    /// The same moment.
    pub time: Timestamp,
}

impl Clock {
    /// The pinned one of an instance.
    ///
    /// # Errors
    /// There is none.
    pub fn open(pins: &Pins) -> Result<Self, DatapathError> {
        let doing = "cannot open the pinned clock";
        let program = Xdp::from_pin(pins.clock(), XdpAttachType::Interface)
            .map_err(|error| DatapathError::program("clock", doing, error))?;
        let map = |source| DatapathError::Map { name: CLOCK, source: Box::new(source) };
        let data = MapData::from_pin(pins.map(CLOCK)).map_err(map)?;
        let map = Map::from_map_data(data).and_then(Array::try_from).map_err(map)?;
        Ok(Self { program, map })
    }

    /// Pins the program of an object whose map is pinned, unless one is.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn pin(ebpf: &mut Ebpf, pins: &Pins) -> Result<(), DatapathError> {
        let path = pins.clock();
        if path.exists() {
            return Ok(());
        }
        let program = ebpf.program_mut("clock").ok_or(DatapathError::Missing("clock"))?;
        let failed = |error| DatapathError::program("clock", "cannot load the clock", error);
        let program: &mut Xdp = program.try_into().map_err(failed)?;
        program.load().map_err(failed)?;
        program.pin(&path).map_err(|source| DatapathError::Pin { path, source: Box::new(source) })
    }

    /// Ticks, and nanoseconds of the monotonic clock.
    ///
    /// # Errors
    /// The program does not run.
    pub fn read(&self) -> Result<(u64, u64), DatapathError> {
        let options = TestRunOptions { data_in: Some(&FRAME), ..TestRunOptions::default() };
        self.program
            .test_run(options)
            .map_err(|error| DatapathError::program("clock", "cannot run the clock", error))?;
        let map = |source| DatapathError::Map { name: CLOCK, source: Box::new(source) };
        let [ticks, nanoseconds] = self.map.get(&0, 0).map_err(map)?;
        Ok((ticks, nanoseconds))
    }

    /// Watches the clock for a tenth of a second.
    ///
    /// # Errors
    /// It does not move as clocks do.
    pub fn rate(&self) -> Result<u32, DatapathError> {
        let begin = self.read()?;
        thread::sleep(WATCHED);
        let end = self.read()?;
        let (ticks, nanoseconds) = (end.0.saturating_sub(begin.0), end.1.saturating_sub(begin.1));
        snap(ticks, nanoseconds)
            .ok_or_else(|| DatapathError::Clock(format!("{ticks} ticks in {nanoseconds} ns")))
    }

    /// This moment.
    ///
    /// # Errors
    /// The program does not run.
    pub fn now(&self, rate: u32) -> Result<Now, DatapathError> {
        let (ticks, _) = self.read()?;
        Ok(Now { ticks, rate, time: Timestamp::now() })
    }
}

/// The rate that kernels are built with nearest to what was seen.
fn snap(ticks: u64, nanoseconds: u64) -> Option<u32> {
    let seen = ticks.checked_mul(1_000_000_000)?.checked_div(nanoseconds)?;
    let near = |rate: &u32| seen.abs_diff(u64::from(*rate));
    let rate = RATES.into_iter().min_by_key(near)?;
    // One tick is missing or too many at either end.
    (near(&rate) <= u64::from(rate) / 8 + 20).then_some(rate)
}

impl Now {
    /// The time of day of a tick; to the second, since no clock's rate is exact over days.
    #[must_use]
    pub fn time_of(&self, tick: u64) -> Timestamp {
        let (before, ticks) = (self.ticks >= tick, self.ticks.abs_diff(tick));
        let seconds = i64::try_from(ticks / u64::from(self.rate)).unwrap_or(i64::MAX);
        let distance = SignedDuration::from_secs(seconds);
        let time = if before { self.time.checked_sub(distance) } else { self.time.checked_add(distance) };
        let time = time.unwrap_or(Timestamp::UNIX_EPOCH);
        Timestamp::from_second(time.as_second()).unwrap_or(time)
    }

    /// The tick after a span of time.
    #[must_use]
    pub fn after(&self, span: Duration) -> u64 {
        self.ticks.saturating_add(span.as_secs().saturating_mul(u64::from(self.rate)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_one_that_kernels_have() {
        assert_eq!(snap(10, 100_000_000), Some(100));
        assert_eq!(snap(26, 100_300_000), Some(250));
        assert_eq!(snap(30, 100_000_000), Some(300));
        assert_eq!(snap(101, 100_000_000), Some(1_000));
        assert_eq!(snap(0, 100_000_000), None);
        assert_eq!(snap(10, 0), None);
    }

    #[test]
    fn a_tick_has_a_time_of_day() {
        let time: Timestamp = "2026-11-21T03:00:10Z".parse().unwrap();
        let now = Now { ticks: 10_000, rate: 250, time };
        assert_eq!(now.time_of(7_500).to_string(), "2026-11-21T03:00:00Z");
        assert_eq!(now.time_of(10_250).to_string(), "2026-11-21T03:00:11Z");
        assert_eq!(now.after(Duration::from_secs(60)), 25_000);
    }
}

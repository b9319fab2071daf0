//! The machine at the time of the run: figures mean little without it.

use std::fs;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// When and where.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    date: String,
    kernel: String,
    processor: String,
    processors: usize,
    /// Mean number of running processes of the minute before.
    load_before: f64,
    /// As above at the end; the benchmark itself makes one to two of it.
    load_after: Option<f64>,
    seconds: Option<f64>,
    #[serde(skip)]
    begun: Option<Timestamp>,
}

impl Machine {
    /// This one, now.
    pub(crate) fn now() -> Result<Self> {
        let processors = fs::read_to_string("/proc/cpuinfo")?;
        let model = processors.lines().find_map(|line| line.strip_prefix("model name"));
        let begun = Timestamp::now();
        Ok(Self {
            date: begun.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            processor: model.unwrap_or_default().trim_start_matches([' ', '\t', ':']).to_owned(),
            processors: std::thread::available_parallelism()?.get(),
            load_before: load()?,
            load_after: None,
            seconds: None,
            begun: Some(begun),
        })
    }

    /// The same at the end of the run.
    pub(crate) fn end(mut self) -> Result<Self> {
        self.load_after = Some(load()?);
        let took = |begun| Timestamp::now().duration_since(begun).as_secs_f64();
        self.seconds = self.begun.map(took);
        Ok(self)
    }

    /// Prints it.
    pub(crate) fn print(&self) {
        let Self { date, kernel, processor, processors, load_before, load_after, seconds, begun: _ } = self;
        println!("\n{date}, kernel {kernel}, {processors} x {processor}");
        let after = load_after.map(|load| format!(", {load:.2} after")).unwrap_or_default();
        println!("load {load_before:.2} before the run{after}");
        if let Some(took) = seconds {
            println!("the run took {:#}", SignedDuration::from_secs_f64(took.round()));
        }
    }
}

/// Of the last minute.
pub(crate) fn load() -> Result<f64> {
    let loads = fs::read_to_string("/proc/loadavg")?;
    Ok(loads.split(' ').next().unwrap_or_default().parse()?)
}

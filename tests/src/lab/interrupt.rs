//! SIGINT, SIGTERM and SIGHUP: the labs of this process are removed, then the signal has its usual effect.

use std::thread;

use anyhow::{Context as _, Result};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
    low_level::emulate_default_handler,
};

use super::sweep;

/// Starts the thread that waits for them.
pub(super) fn install() -> Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("can't wait for signals")?;
    thread::Builder::new().name("lab-signals".into()).spawn(move || {
        for signal in signals.forever() {
            if let Err(error) = sweep::run(std::process::id()) {
                eprintln!("lab: not cleaned up: {error:#}");
            }
            if let Err(error) = emulate_default_handler(signal) {
                eprintln!("lab: can't end with signal {signal}: {error}");
            }
        }
    })?;
    Ok(())
}

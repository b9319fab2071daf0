//! SIGINT, SIGTERM and SIGHUP: the labs of this process are removed, then the signal has its usual effect.

use std::{
    cell::Cell,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use anyhow::{Context as _, Result};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
    low_level::emulate_default_handler,
};

use super::sweep;

/// Set with the first signal, and never cleared.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// The one thread that goes on after a signal.
    static CLEANS: Cell<bool> = const { Cell::new(false) };
}

/// Starts the thread that waits for them.
pub(super) fn install() -> Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("can't wait for signals")?;
    thread::Builder::new().name("lab-signals".into()).spawn(move || {
        CLEANS.set(true);
        for signal in signals.forever() {
            INTERRUPTED.store(true, Ordering::Relaxed);
            if let Err(error) = sweep::run(std::process::id()) {
                eprintln!("lab: not cleaned up: {error:#}");
            }
            reap();
            if let Err(error) = emulate_default_handler(signal) {
                eprintln!("lab: can't end with signal {signal}: {error}");
            }
        }
    })?;
    Ok(())
}

/// Stops any other thread once there was a signal: its lab is removed under it, and what it sees means nothing.
pub(super) fn hold() {
    while INTERRUPTED.load(Ordering::Relaxed) && !CLEANS.get() {
        thread::park();
    }
}

/// Takes leave of dead children, since in a container there may be no init that does.
fn reap() {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(_) => return,
            Ok(_dead) => {}
        }
    }
}

//! Points at which a test may kill the process, to see that the next start puts things right.
//!
//! Without the feature `crash-points` a point is nothing.

/// Dies here by SIGKILL if `PORTREEVE_CRASH_AT` says so, counting the points from 1.
#[cfg(feature = "crash-points")]
pub(crate) fn point() {
    use std::sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    };
    static AT: LazyLock<Option<u64>> =
        LazyLock::new(|| std::env::var("PORTREEVE_CRASH_AT").ok()?.parse().ok());
    static PASSED: AtomicU64 = AtomicU64::new(0);
    if *AT == Some(PASSED.fetch_add(1, Ordering::Relaxed) + 1) {
        let itself = nix::unistd::Pid::this();
        // SIGKILL can't be refused.
        let _dead = nix::sys::signal::kill(itself, nix::sys::signal::Signal::SIGKILL);
    }
}

/// Nothing.
#[cfg(not(feature = "crash-points"))]
pub(crate) const fn point() {}

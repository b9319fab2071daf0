//! The daemon's log: standard error, in the form that its reader wants.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// Begins to log. `RUST_LOG` says how much; the journal has its own clock.
pub fn init() {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let colour = io::stderr().is_terminal() && !journal && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(colour);
    // Somebody else may have begun already, in a test.
    let _first = if journal {
        log.without_time().with_target(false).try_init()
    } else {
        log.with_target(false).try_init()
    };
}

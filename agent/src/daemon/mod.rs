//! The daemon: what needs time. The kernel goes on without it.

pub mod http;
pub mod log;
pub mod metrics;
pub mod service;

mod lookup;
mod watch;

use std::{net::SocketAddr, time::Duration};

use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

use self::{http::Scrapers, lookup::Lookups, watch::Changes};
use crate::{
    control::{self, ControlError, described, guard::Guard},
    instance::Instance,
    policy::{Catalogue, host::OnStop},
};

/// How often everything is looked at, whether the kernel tells of a change or not.
const WATCH: Duration = Duration::from_secs(3);
/// An interface that comes is told of many times: once it is quiet, it is looked at.
const QUIET: Duration = Duration::from_millis(50);

/// Why the daemon ends before it is asked to.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The instance.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// Metrics can't be served there.
    #[error("cannot serve metrics on {address}: name another with --metrics ADDR, or --metrics off")]
    Metrics {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Signals or the runtime.
    #[error("cannot start the daemon")]
    Runtime(#[source] std::io::Error),
}

/// Watches until it is told to end.
///
/// # Errors
/// It can't listen, or can't take everything off at the end though it should.
pub fn run(
    instance: &Instance,
    catalogue: &Catalogue,
    guard: Guard,
    metrics: Option<SocketAddr>,
) -> Result<(), DaemonError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(DaemonError::Runtime)?.block_on(watch(instance, catalogue, guard, metrics))
}

async fn watch(
    instance: &Instance,
    catalogue: &Catalogue,
    mut guard: Guard,
    metrics: Option<SocketAddr>,
) -> Result<(), DaemonError> {
    let listener = match metrics {
        Some(address) => {
            let bound = TcpListener::bind(address).await;
            Some(bound.map_err(|source| DaemonError::Metrics { address, source })?)
        }
        None => None,
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(DaemonError::Runtime)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(DaemonError::Runtime)?;
    let mut changes = Changes::subscribe().map_err(DaemonError::Runtime)?;
    let mut scrapers = Scrapers::serve(listener);
    let mut ticks = interval(WATCH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut lookups = Lookups::new();
    let address = metrics.map_or_else(|| "off".to_owned(), |address| address.to_string());
    tracing::info!(instance = instance.name, metrics = address, "ready");
    let mut manager = service::Manager::ready();
    loop {
        let due = tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = ticks.tick() => true,
            () = changes.next(QUIET) => true,
            told = lookups.told() => {
                lookups.learn(instance, &told);
                false
            }
            () = manager.beat() => false,
            scraper = scrapers.next() => {
                // One that went away meanwhile needs no text.
                let _gone = scraper.send(metrics::text(instance, catalogue, &guard));
                false
            }
        };
        if due && !look(instance, catalogue, &mut guard) {
            tracing::info!("the instance was taken off: nothing is left to watch");
            return Ok(());
        }
        if due {
            lookups.look(instance, catalogue);
        }
    }
    manager.stopping();
    if control::on_stop(instance, catalogue) == OnStop::Open {
        control::detach(instance)?;
        tracing::info!("stopped: everything is off, as `on_stop = \"open\"` asks");
    } else {
        tracing::info!("stopped: the kernel goes on, as `on_stop = \"keep\"` asks");
    }
    Ok(())
}

/// `false` if the instance is gone.
fn look(instance: &Instance, catalogue: &Catalogue, guard: &mut Guard) -> bool {
    match guard.look(instance, catalogue) {
        Ok(there) => there,
        Err(error) => {
            tracing::error!(error = described(error), "cannot look at what stands");
            true
        }
    }
}

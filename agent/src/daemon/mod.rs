//! The daemon: what needs time. The kernel goes on without it.

pub mod http;
pub mod log;
pub mod metrics;
pub mod service;

use std::{net::SocketAddr, time::Duration};

use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

use crate::{
    control::{self, ControlError, Started},
    datapath::interface,
    instance::Instance,
    policy::{Catalogue, host::OnStop},
};

/// How often addresses and interfaces are looked at.
const WATCH: Duration = Duration::from_secs(3);

/// Why the daemon ends before it is asked to.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The instance.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// Metrics can't be served there.
    #[error("cannot serve metrics on {address}")]
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
    started: Started,
    metrics: Option<SocketAddr>,
) -> Result<(), DaemonError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(DaemonError::Runtime)?.block_on(watch(instance, catalogue, started, metrics))
}

async fn watch(
    instance: &Instance,
    catalogue: &Catalogue,
    mut started: Started,
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
    let mut ticks = interval(WATCH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let address = metrics.map_or_else(|| "off".to_owned(), |address| address.to_string());
    tracing::info!(instance = instance.name, metrics = address, "ready");
    let mut manager = service::Manager::ready();
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = ticks.tick() => match follow(instance, &mut started) {
                Ok(true) => {}
                Ok(false) => {
                    tracing::info!("the instance was taken off: nothing is left to watch");
                    return Ok(());
                }
                Err(error) => {
                    let error = anyhow::Error::new(error);
                    tracing::error!(error = format!("{error:#}"), "cannot follow the interfaces");
                }
            },
            () = manager.beat() => {}
            asked = accept(listener.as_ref()) => {
                http::answer(asked, || metrics::text(instance, catalogue)).await;
            }
        }
    }
    manager.stopping();
    if started.policy.host.enforcement.on_stop == OnStop::Open {
        control::detach(instance)?;
        tracing::info!("stopped: everything is off, as `on_stop = \"open\"` asks");
    } else {
        tracing::info!("stopped: the kernel goes on, as `on_stop = \"keep\"` asks");
    }
    Ok(())
}

async fn accept(listener: Option<&TcpListener>) -> std::io::Result<tokio::net::TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}

/// Addresses that changed are protected, interfaces that came back are covered again. `false` if the instance is gone.
fn follow(instance: &Instance, started: &mut Started) -> Result<bool, ControlError> {
    if !instance.pins.exist() {
        return Ok(false);
    }
    let Started { policy, state } = started;
    if let Some(now) = instance.state()? {
        *state = now;
    }
    let nets = control::protect(policy, state)?;
    if nets != state.protected {
        tracing::info!(addresses = ?nets, "the host's addresses changed");
        control::protect_again(instance, policy, state, nets)?;
    }
    let names = interface::chosen(&policy.host.interfaces)?;
    let stale = |name: &&String| interface::index(name).is_ok() && !control::is_attached(instance, name);
    if names.iter().any(|name| stale(&name)) {
        tracing::info!(interfaces = ?names, "an interface came back");
        control::cover_again(instance, policy, &names, state)?;
    }
    Ok(true)
}

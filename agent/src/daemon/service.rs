//! What the service manager is told: that the policy is in force, that the daemon lives, that it ends.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Signs of life in the time that the manager waits for one: a late one is no death.
const BEATS: u32 = 3;

/// The service manager; without one, nobody is told anything.
#[derive(Debug)]
pub struct Manager {
    beats: Option<Interval>,
}

impl Manager {
    /// Tells that the policy is in force, and begins to give signs of life if they are awaited.
    #[must_use]
    pub fn ready() -> Self {
        tell(&[NotifyState::Ready, NotifyState::Status("the policy is in force")]);
        let patience = sd_notify::watchdog_enabled().filter(|patience| *patience > Duration::ZERO);
        let beats = patience.map(|patience| {
            let mut beats = interval(patience / BEATS);
            beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
            beats
        });
        Self { beats }
    }

    /// Ends when the next sign of life has been given; never, where none is awaited.
    pub async fn beat(&mut self) {
        match &mut self.beats {
            Some(beats) => {
                beats.tick().await;
                tell(&[NotifyState::Watchdog]);
            }
            None => std::future::pending().await,
        }
    }

    /// Tells that the daemon ends because it was asked to.
    pub fn stopping(self) {
        let Self { beats: _ } = self;
        tell(&[NotifyState::Stopping]);
    }
}

/// A manager that can't be reached ends the daemon by its own watchdog; the kernel goes on either way.
fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "cannot tell the service manager");
    }
}

//! What the kernel tells of its own accord: interfaces, addresses and qdiscs that come, go and change.

use std::{future, io, time::Duration};

use netlink_sys::{AsyncSocket as _, AsyncSocketExt as _, TokioSocket, protocols::NETLINK_ROUTE};
use tokio::time::sleep;

/// Groups of `linux/rtnetlink.h`: links, qdiscs, addresses of both families.
const GROUPS: [u32; 4] = [1, 4, 5, 9];

/// A subscription.
pub(super) struct Changes {
    /// `None` once it failed; the periodic look goes on.
    socket: Option<TokioSocket>,
}

impl Changes {
    /// Begins to listen.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(super) fn subscribe() -> io::Result<Self> {
        let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
        socket.socket_mut().bind_auto()?;
        GROUPS.into_iter().try_for_each(|group| socket.socket_mut().add_membership(group))?;
        Ok(Self { socket: Some(socket) })
    }

    /// Returns after a change, once `quiet` has passed without another.
    pub(super) async fn next(&mut self, quiet: Duration) {
        self.told().await;
        while tokio::select! {
            () = self.told() => true,
            () = sleep(quiet) => false,
        } {}
    }

    /// One message; what it says is looked up afterwards.
    async fn told(&mut self) {
        let Some(socket) = &mut self.socket else { return future::pending().await };
        match socket.recv_from_full().await {
            // Too many at once: some were lost, so something has changed.
            Err(error) if error.raw_os_error() == Some(nix::libc::ENOBUFS) => {}
            Err(error) => {
                tracing::warn!(%error, "the kernel tells of changes no more: they are looked for every few seconds");
                self.socket = None;
            }
            Ok(_) => {}
        }
    }
}

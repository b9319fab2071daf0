//! Looking names up beside everything else that the daemon does.

use std::{future, sync::Arc};

use tokio::sync::{Semaphore, mpsc};

use crate::{
    control::described,
    instance::Instance,
    names::{Answer, Due, Keeper, ask},
    policy::Catalogue,
};

/// Names that are asked for at once.
const AT_ONCE: usize = 16;

/// What was asked for, and what came of it.
type Told = (Due, Answer);

/// Names that are being looked up.
pub(super) struct Lookups {
    keeper: Keeper,
    limit: Arc<Semaphore>,
    tell: mpsc::UnboundedSender<Told>,
    hear: mpsc::UnboundedReceiver<Told>,
}

impl Lookups {
    /// None yet.
    pub(super) fn new() -> Self {
        let (tell, hear) = mpsc::unbounded_channel();
        Self { keeper: Keeper::default(), limit: Arc::new(Semaphore::new(AT_ONCE)), tell, hear }
    }

    /// Asks for the names that are due, and keeps what was learned in order.
    pub(super) fn look(&mut self, instance: &Instance, catalogue: &Catalogue) {
        let due = match self.keeper.look(instance, catalogue) {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(error = described(error), "cannot look after learned names");
                return;
            }
        };
        for due in due {
            let (tell, limit) = (self.tell.clone(), Arc::clone(&self.limit));
            tokio::spawn(async move {
                let Ok(_turn) = limit.acquire().await else { return };
                if let Some(answer) = ask(&due.resolvers, &due.name, due.whole).await {
                    // Nobody listens when the daemon ends.
                    let _unheard = tell.send((due, answer));
                }
            });
        }
    }

    /// The next answer.
    pub(super) async fn told(&mut self) -> Told {
        match self.hear.recv().await {
            Some(told) => told,
            None => future::pending().await,
        }
    }

    /// Puts in what the kernel has not learned by itself.
    pub(super) fn learn(&mut self, instance: &Instance, (due, answer): &Told) {
        match self.keeper.told(instance, due, answer) {
            Ok(0) => {}
            Ok(new) => tracing::debug!(name = due.name, new, "addresses were learned by asking"),
            Err(error) => tracing::error!(error = described(error), name = due.name, "cannot learn a name"),
        }
    }
}

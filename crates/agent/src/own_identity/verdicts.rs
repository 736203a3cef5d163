//! Refusals that concern the agent itself, from wherever they are met to the keeper of its SVID.

use finial_identity::DenialReason;
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc};

/// A letter box for refusals. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Verdicts {
    sender: mpsc::Sender<DenialReason>,
    receiver: Arc<Mutex<mpsc::Receiver<DenialReason>>>,
}

impl Default for Verdicts {
    fn default() -> Self {
        // One is enough: the keeper acts on the first, and the others say the same.
        let (sender, receiver) = mpsc::channel(1);
        Self { sender, receiver: Arc::new(Mutex::new(receiver)) }
    }
}

impl Verdicts {
    /// Reports a refusal; one that waits already is as good.
    pub fn pronounce(&self, reason: DenialReason) {
        let _ = self.sender.try_send(reason);
    }

    /// Waits for a refusal.
    pub async fn next(&self) -> DenialReason {
        let received = self.receiver.lock().await.recv().await;
        match received {
            Some(reason) => reason,
            // `self` holds a sender, so the channel cannot be closed.
            None => std::future::pending().await,
        }
    }
}

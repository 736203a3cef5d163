//! The wish to stop, in its two steps.

use tokio_util::sync::CancellationToken;

/// The wish to stop, shared by everybody: first gracefully, then at once. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    graceful: CancellationToken,
    now: CancellationToken,
}

impl Shutdown {
    /// Nobody wants to stop yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everybody to stop accepting, finish, and leave.
    pub fn stop(&self) {
        self.graceful.cancel();
    }

    /// Asks everybody to leave at once; implies [`Shutdown::stop`].
    pub fn leave_now(&self) {
        self.graceful.cancel();
        self.now.cancel();
    }

    /// Completes when a graceful stop is wanted.
    pub async fn stopping(&self) {
        self.graceful.cancelled().await;
    }

    /// Completes when everybody must leave at once.
    pub async fn leaving_now(&self) {
        self.now.cancelled().await;
    }

    /// Whether a graceful stop is wanted.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.graceful.is_cancelled()
    }

    /// Whether everybody must leave at once.
    #[must_use]
    pub fn is_leaving_now(&self) -> bool {
        self.now.is_cancelled()
    }

    /// The graceful step as a token, for libraries that want one.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.graceful.clone()
    }
}

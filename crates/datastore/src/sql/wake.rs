//! Telling other servers that something changed: a hint, sent after the change is there.
//!
//! Never in the transaction itself, where PostgreSQL lets all who notify commit one after the other; and
//! many changes that come close together make one hint.

use super::pool::Pool;
use std::sync::{Arc, Mutex, PoisonError};

/// The bell of a store.
#[derive(Clone)]
pub(super) struct Wake {
    pool: Arc<Pool>,
    statement: Option<&'static str>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Sending,
    /// Sending, and something changed since.
    Again,
}

impl Wake {
    pub(super) fn new(pool: Arc<Pool>) -> Self {
        let statement = pool.connector().dialect().notify;
        Self { pool, statement, state: Arc::new(Mutex::new(State::Idle)) }
    }

    /// Something changed.
    pub(super) fn ring(&self) {
        let Some(statement) = self.statement else { return };
        let before = self.swap(|state| if state == State::Idle { State::Sending } else { State::Again });
        if before == State::Idle {
            tokio::spawn(self.clone().send(statement));
        }
    }

    async fn send(self, statement: &'static str) {
        loop {
            // A hint that does not get through is no loss: readers poll as well.
            if let Ok(mut session) = self.pool.acquire().await
                && session.run(statement).await.is_ok()
            {
                session.release();
            }
            let before = self.swap(|state| if state == State::Again { State::Sending } else { State::Idle });
            if before == State::Sending {
                return;
            }
        }
    }

    fn swap(&self, next: impl FnOnce(State) -> State) -> State {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *state;
        *state = next(before);
        before
    }
}

//! Single drafts, gathered into groups: while one transaction is under way the next ones wait together.
//!
//! A task of its own admits them, so that a caller who goes away does not stop what others wait for.

use super::admission::{Wish, admit_all};
use super::pool::Pool;
use super::wake::Wake;
use crate::time::DateTime;
use finial_identity::{Code, EntryDraft};
use finial_plugin::datastore::{Admission, StoreError, StoreResult};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Most drafts in one transaction.
const GROUP: usize = 256;

/// Drafts on their way.
#[derive(Clone)]
pub(super) struct Admissions {
    pool: Arc<Pool>,
    wake: Wake,
    queue: Arc<Mutex<Queue>>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<(Wish, oneshot::Sender<StoreResult<Admission>>)>,
    working: bool,
}

impl Admissions {
    pub(super) fn new(pool: Arc<Pool>, wake: Wake) -> Self {
        Self { pool, wake, queue: Arc::default() }
    }

    /// Admits a draft; `Ok` means that the database has it.
    pub(super) async fn admit(&self, now: DateTime, draft: EntryDraft) -> StoreResult<Admission> {
        let (reply, answer) = oneshot::channel();
        {
            let mut queue = lock(&self.queue);
            queue.waiting.push(((draft, now), reply));
            if !queue.working {
                queue.working = true;
                tokio::spawn(self.clone().work());
            }
        }
        answer.await.unwrap_or_else(|_| Err(broken_off()))
    }

    async fn work(self) {
        let mut seat = Seat { queue: Arc::clone(&self.queue), left: false };
        while let Some(group) = next_group(&self.queue) {
            let (wishes, replies): (Vec<_>, Vec<_>) = group.into_iter().unzip();
            let outcome = admit_all(&self.pool, &wishes).await;
            self.wake.ring();
            let verdicts = match outcome {
                Ok(verdicts) => verdicts,
                Err(error) => {
                    let copy = |_| Err(StoreError::new(error.code, error.message.clone()));
                    wishes.iter().map(copy).collect()
                }
            };
            for (reply, verdict) in replies.into_iter().zip(verdicts) {
                // A caller that went away wants no answer.
                let _ = reply.send(verdict);
            }
        }
        seat.left = true;
    }
}

/// Whoever waits now; nobody gives up the seat, under the same lock under which others look at it.
fn next_group(queue: &Mutex<Queue>) -> Option<Vec<(Wish, oneshot::Sender<StoreResult<Admission>>)>> {
    let mut queue = lock(queue);
    let many = queue.waiting.len().min(GROUP);
    queue.working = many > 0;
    (many > 0).then(|| queue.waiting.drain(..many).collect())
}

/// The right to work the queue off. Lost in a panic or with the runtime, those who wait are told.
struct Seat {
    queue: Arc<Mutex<Queue>>,
    /// Whether it was given up as it should be; somebody else may have it by now.
    left: bool,
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !self.left {
            let mut queue = lock(&self.queue);
            queue.working = false;
            queue.waiting.clear();
        }
    }
}

fn broken_off() -> StoreError {
    StoreError::new(Code::Unavailable, "datastore-sql: the admission was broken off")
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

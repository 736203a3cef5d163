//! Runs the calls of a connection in the task of that connection.
//!
//! hyper wants to give each call a task of its own. Most calls of ours are short and answer from memory, so that the
//! hand-over between tasks, and often threads, would be a good part of their cost; here the answers to requests that
//! came together also leave together, in one TLS record. In return the calls of one connection share one core
//! at a time: work that takes long must yield or leave the thread, which async code must do anyway.

use futures_util::future::{CatchUnwind, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::task::AtomicWaker;
use hyper::rt::Executor;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};

/// So many calls may end before their answers are sent: about one TLS record of SVIDs.
const ANSWERS_TOGETHER: usize = 8;
/// After so many rounds others get their turn on this core.
const ROUNDS: usize = 32;

type Call = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Calls that have come and were not begun.
type Arrivals = Mutex<Vec<Call>>;

/// Takes calls from hyper. Weak, since calls hold it and it holds calls.
#[derive(Clone)]
pub(super) struct Intake(Weak<Arrivals>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Intake {
    fn execute(&self, call: F) {
        if let Some(arrivals) = self.0.upgrade() {
            arrivals.lock().unwrap_or_else(PoisonError::into_inner).push(Box::pin(call));
        }
    }
}

/// The calls of one connection.
pub(super) struct Calls {
    arrivals: Arc<Arrivals>,
    /// A call that panics ends alone.
    running: FuturesUnordered<CatchUnwind<AssertUnwindSafe<Call>>>,
    bell: Arc<Bell>,
}

impl Calls {
    /// Without calls.
    pub(super) fn new() -> Self {
        Self { arrivals: Arc::default(), running: FuturesUnordered::new(), bell: Arc::default() }
    }

    /// What hyper is given.
    pub(super) fn intake(&self) -> Intake {
        Intake(Arc::downgrade(&self.arrivals))
    }

    /// Drives the connection, which gives calls, and the calls, which give answers, until neither can go on.
    pub(super) fn poll_with<C: Future>(
        &mut self,
        mut connection: Pin<&mut C>,
        cx: &mut Context<'_>,
    ) -> Poll<C::Output> {
        self.bell.task.register(cx.waker());
        let waker = Waker::from(Arc::clone(&self.bell));
        let mut inner = Context::from_waker(&waker);
        for _ in 0..ROUNDS {
            self.bell.begin();
            if let Poll::Ready(output) = connection.as_mut().poll(&mut inner) {
                return Poll::Ready(output);
            }
            self.admit();
            let are_more = self.run(&mut inner);
            if self.bell.is_quiet() && !are_more {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn admit(&mut self) {
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        self.running.extend(arrivals.drain(..).map(|call| AssertUnwindSafe(call).catch_unwind()));
    }

    /// Runs calls; says whether some may be left that could go on.
    fn run(&mut self, cx: &mut Context<'_>) -> bool {
        for _ in 0..ANSWERS_TOGETHER {
            if !matches!(self.running.poll_next_unpin(cx), Poll::Ready(Some(_))) {
                return false;
            }
        }
        true
    }
}

/// Nobody works, and nobody has rung.
const RESTING: u8 = 0;
/// The task is at work.
const WORKING: u8 = 1;
/// There is work.
const RUNG: u8 = 2;

/// Wakes the task, unless it is at work: then it looks once more. The runtime would take a task that wakes itself for
/// one that yields, and offer it to another thread.
#[derive(Default)]
struct Bell {
    state: AtomicU8,
    task: AtomicWaker,
}

impl Bell {
    fn begin(&self) {
        self.state.swap(WORKING, Ordering::AcqRel);
    }

    /// Whether nobody has rung since the work began; from now on the task is woken.
    fn is_quiet(&self) -> bool {
        self.state.compare_exchange(WORKING, RESTING, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(RUNG, Ordering::AcqRel) == RESTING {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, poll_fn};
    use std::pin::pin;
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    /// A connection on which calls have come, and nothing else ever happens.
    async fn run(mut calls: Calls) {
        let mut connection = pin!(pending::<()>());
        poll_fn(|cx| calls.poll_with(connection.as_mut(), cx)).await;
    }

    #[tokio::test]
    async fn a_call_that_never_rests_leaves_others_their_turn() {
        let calls = Calls::new();
        calls.intake().execute(poll_fn(|cx: &mut Context<'_>| -> Poll<()> {
            cx.waker().wake_by_ref();
            Poll::Pending
        }));
        tokio::time::timeout(Duration::from_millis(1), run(calls)).await.unwrap_err();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_wake_up_is_lost() {
        const HOPS: usize = 20_000;
        let (calls, hops) = (Calls::new(), Arc::new(AtomicUsize::new(0)));
        let (done, all_done) = tokio::sync::oneshot::channel();
        let (to, mut from) = tokio::sync::mpsc::channel::<usize>(1);
        let counter = hops.clone();
        calls.intake().execute(async move {
            while from.recv().await.is_some() {
                counter.fetch_add(1, Ordering::Relaxed);
            }
            done.send(()).unwrap();
        });
        let sends = async move {
            for hop in 0..HOPS {
                to.send(hop).await.unwrap();
            }
        };
        let running = tokio::spawn(run(calls));
        tokio::spawn(sends).await.unwrap();
        all_done.await.unwrap();
        assert_eq!(hops.load(Ordering::Relaxed), HOPS);
        running.abort();
    }
}

//! Work that must survive failure: an idempotent `activate()` that runs periodically and when its bell rings.
//!
//! For followers, rotators, pruners and reporters. `activate` takes no input and brings the world into the
//! state that it should be in; failing, it is tried again with growing waits and the failure shows in its
//! status. A reconciler must never be the only place that knows something: it may miss rings while it works.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{Notify, watch};

use crate::backoff::{Backoff, Params, random_unit};
use crate::clock::Clock;
use crate::tasks::{BoxError, Shutdown, catch_panic};

/// Rings a reconciler awake. Cheap to clone; rings before or during a run cause one more run.
#[derive(Debug, Clone, Default)]
pub struct Bell(Arc<Notify>);

impl Bell {
    /// A bell that nobody listens to yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a run soon.
    pub fn ring(&self) {
        self.0.notify_one();
    }

    /// Completes when the bell has rung since the last time. One listener per bell.
    pub async fn heard(&self) {
        self.0.notified().await;
    }
}

/// How a reconciler has fared; read by health checks and by `debug`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Runs so far.
    pub runs: u64,
    /// Failures since the last success.
    pub failures_in_a_row: u64,
    /// When it last succeeded.
    pub last_success: Option<SystemTime>,
    /// When it last failed.
    pub last_failure: Option<SystemTime>,
    /// The last failure, until the next success.
    pub last_error: Option<Arc<str>>,
}

impl Status {
    /// Whether it has succeeded at least once and not failed since.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.last_success.is_some() && self.failures_in_a_row == 0
    }
}

type Activate = Box<dyn FnMut() -> BoxFuture<'static, Result<(), BoxError>> + Send>;

/// A named, idempotent piece of work with its period, bell, backoff and status.
pub struct Reconciler {
    name: String,
    clock: Arc<dyn Clock>,
    period: Duration,
    backoff: Params,
    bell: Bell,
    status: watch::Sender<Status>,
    activate: Activate,
}

impl fmt::Debug for Reconciler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconciler")
            .field("name", &self.name)
            .field("period", &self.period)
            .finish_non_exhaustive()
    }
}

impl Reconciler {
    /// `activate` makes one run. It first runs as soon as the reconciler starts, then every `period`.
    pub fn new<M, F, E>(
        name: impl Into<String>,
        clock: Arc<dyn Clock>,
        period: Duration,
        mut activate: M,
    ) -> Self
    where
        M: FnMut() -> F + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        Self {
            name: name.into(),
            clock,
            period,
            backoff: Params::new(Duration::from_secs(1).min(period)).max_interval(period),
            bell: Bell::new(),
            status: watch::Sender::new(Status::default()),
            activate: Box::new(move || activate().map(|result| result.map_err(Into::into)).boxed()),
        }
    }

    /// Retries after failures in this shape instead of one second up to the period.
    #[must_use]
    pub fn with_backoff(mut self, backoff: Params) -> Self {
        self.backoff = backoff;
        self
    }

    /// Listens to a bell that was made elsewhere.
    #[must_use]
    pub fn with_bell(mut self, bell: Bell) -> Self {
        self.bell = bell;
        self
    }

    /// The name in logs, status and the supervisor.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bell that asks for a run.
    #[must_use]
    pub fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// The status, now and whenever it changes.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Runs until a stop is wanted. A run that is under way is finished first, unless everybody must leave now.
    pub async fn run(mut self, shutdown: Shutdown) {
        let mut backoff = Backoff::new(self.backoff);
        while !shutdown.is_stopping() {
            let result = tokio::select! {
                biased;
                () = shutdown.leaving_now() => return,
                result = catch_panic((self.activate)()) => result,
            };
            let wait = self.note(result, &mut backoff);
            tokio::select! {
                () = shutdown.stopping() => return,
                () = self.bell.heard() => {}
                () = self.clock.sleep(wait) => {}
            }
        }
    }

    fn note(&self, result: Result<(), BoxError>, backoff: &mut Backoff) -> Duration {
        let now = self.clock.now();
        match result {
            Ok(()) => {
                backoff.reset();
                self.status.send_modify(|status| {
                    status.runs += 1;
                    status.failures_in_a_row = 0;
                    status.last_success = Some(now);
                    status.last_error = None;
                });
                self.period
            }
            Err(error) => {
                let text: Arc<str> = crate::logging::chain(error.as_ref()).to_string().into();
                self.status.send_modify(|status| {
                    status.runs += 1;
                    status.failures_in_a_row += 1;
                    status.last_failure = Some(now);
                    status.last_error = Some(text);
                });
                backoff.next_wait(Duration::ZERO, random_unit()).unwrap_or(self.period)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TestClock;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[tokio::test]
    async fn runs_at_start_on_its_bell_and_every_period() {
        let clock = TestClock::at_unix(0);
        let count = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&count);
        let reconciler =
            Reconciler::new("count", Arc::new(clock.clone()), Duration::from_secs(10), move || {
                let counter = Arc::clone(&counter);
                async move {
                    counter.fetch_add(1, Ordering::Relaxed);
                    Ok::<(), BoxError>(())
                }
            });
        let (bell, mut status) = (reconciler.bell(), reconciler.status());
        let shutdown = Shutdown::new();
        let running = tokio::spawn(reconciler.run(shutdown.clone()));

        status.wait_for(|s| s.runs == 1).await.unwrap();
        bell.ring();
        status.wait_for(|s| s.runs == 2).await.unwrap();
        clock.wait_for_sleepers(1).await;
        clock.advance(Duration::from_secs(10));
        status.wait_for(|s| s.runs == 3).await.unwrap();

        shutdown.stop();
        running.await.unwrap();
        assert_eq!(count.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn failures_and_panics_are_retried_and_seen() {
        let clock = TestClock::at_unix(0);
        let mut attempts = 0;
        let reconciler =
            Reconciler::new("flaky", Arc::new(clock.clone()), Duration::from_secs(60), move || {
                attempts += 1;
                let attempt = attempts;
                async move {
                    match attempt {
                        1 => Err("no luck"),
                        2 => panic!("worse luck"),
                        _ => Ok(()),
                    }
                }
            });
        let mut status = reconciler.status();
        let shutdown = Shutdown::new();
        let running = tokio::spawn(reconciler.run(shutdown.clone()));

        let seen = status.wait_for(|s| s.runs == 1).await.unwrap().clone();
        assert_eq!(seen.last_error.as_deref(), Some("no luck"));
        clock.wait_for_sleepers(1).await;
        clock.advance(Duration::from_secs(2));
        let seen = status.wait_for(|s| s.runs == 2).await.unwrap().clone();
        assert_eq!(seen.last_error.as_deref(), Some("panicked: worse luck"));
        assert_eq!(seen.failures_in_a_row, 2);
        clock.wait_for_sleepers(1).await;
        clock.advance(Duration::from_secs(2));
        assert!(status.wait_for(|s| s.runs == 3).await.unwrap().is_settled());
        shutdown.stop();
        running.await.unwrap();
    }
}

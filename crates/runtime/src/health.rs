//! Named health checks and what they last said.
//!
//! For the parts that know whether they are well (they implement [`Check`]), and for the listener that
//! serves `/ready` and `/live` from a [`Report`]. It serves nothing itself and restarts nothing.
//! Checks run every second until everything has been ready and live once, then every minute.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::tasks::Shutdown;

const STARTING_PERIOD: Duration = Duration::from_secs(1);
const STEADY_PERIOD: Duration = Duration::from_secs(60);

/// What one check says about its part.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    /// Whether the part has finished starting; `None` counts as yes.
    pub started: Option<bool>,
    /// In a good state, or in one that it can recover from while staying alive.
    pub live: bool,
    /// Able to do its work.
    pub ready: bool,
    /// Shown under the check's name by `/live`.
    pub live_details: Value,
    /// Shown under the check's name by `/ready`.
    pub ready_details: Value,
}

impl State {
    /// Ready and live, without details.
    #[must_use]
    pub fn well() -> Self {
        Self { live: true, ready: true, ..Self::default() }
    }

    /// Neither ready nor live, with the reason as details in SPIRE's shape (`{"message": …}`).
    #[must_use]
    pub fn unwell(message: &str) -> Self {
        let details = serde_json::json!({ "message": message });
        Self { live_details: details.clone(), ready_details: details, ..Self::default() }
    }

    fn problem(&self) -> Option<&'static str> {
        match (self.ready, self.live) {
            (true, true) => None,
            (true, false) => Some("subsystem is not live"),
            (false, true) => Some("subsystem is not ready"),
            (false, false) => Some("subsystem is not live or ready"),
        }
    }
}

/// A part that knows whether it is well. Object safe; called one at a time.
pub trait Check: Send + Sync {
    /// The state now. It should answer within seconds and must not fail: trouble is a state.
    fn check(&self) -> BoxFuture<'_, State>;
}

impl Check for Box<dyn Check> {
    fn check(&self) -> BoxFuture<'_, State> {
        (**self).check()
    }
}

impl<F> Check for F
where
    F: Fn() -> State + Send + Sync,
{
    fn check(&self) -> BoxFuture<'_, State> {
        Box::pin(std::future::ready(self()))
    }
}

/// A check with this name exists already.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("check {0:?} has already been added")]
pub struct AlreadyAdded(pub String);

/// The last state of one check and its history of failure.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CheckStatus {
    /// What the check last said; the default (nothing is well) before it first ran.
    pub state: State,
    /// When it last ran.
    pub checked_at: Option<SystemTime>,
    /// Failures without a success in between.
    pub failures_in_a_row: u64,
    /// When those failures began.
    pub failing_since: Option<SystemTime>,
}

/// All checks at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// By the check's name.
    pub checks: BTreeMap<String, CheckStatus>,
}

impl Report {
    /// Every part has finished starting.
    #[must_use]
    pub fn started(&self) -> bool {
        self.checks.values().all(|check| check.state.started.unwrap_or(true))
    }

    /// Every part is live.
    #[must_use]
    pub fn live(&self) -> bool {
        self.checks.values().all(|check| check.state.live)
    }

    /// Every part is ready.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.checks.values().all(|check| check.state.ready)
    }

    /// The body of `/live`: details by the check's name.
    #[must_use]
    pub fn live_details(&self) -> Value {
        self.details(|state| &state.live_details)
    }

    /// The body of `/ready`: details by the check's name.
    #[must_use]
    pub fn ready_details(&self) -> Value {
        self.details(|state| &state.ready_details)
    }

    fn details(&self, pick: impl Fn(&State) -> &Value) -> Value {
        self.checks.iter().map(|(name, check)| (name.clone(), pick(&check.state).clone())).collect()
    }
}

/// The checks of one process. Cheap to clone; all clones are one registry.
#[derive(Clone)]
pub struct Registry {
    clock: Arc<dyn Clock>,
    checks: Arc<Mutex<BTreeMap<String, Arc<dyn Check>>>>,
    report: watch::Sender<Report>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("report", &*self.report.borrow()).finish_non_exhaustive()
    }
}

impl Registry {
    /// Without checks.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, checks: Arc::default(), report: watch::Sender::new(Report::default()) }
    }

    /// Adds a check; it counts as not live and not ready until it first ran.
    pub fn add(&self, name: impl Into<String>, check: impl Check + 'static) -> Result<(), AlreadyAdded> {
        let name = name.into();
        let mut checks = self.lock();
        if checks.contains_key(&name) {
            return Err(AlreadyAdded(name));
        }
        checks.insert(name.clone(), Arc::new(check));
        self.report.send_modify(|report| {
            report.checks.insert(name, CheckStatus::default());
        });
        Ok(())
    }

    /// The states, now and whenever they change.
    #[must_use]
    pub fn report(&self) -> watch::Receiver<Report> {
        self.report.subscribe()
    }

    /// Runs every check once, now.
    pub async fn check_all(&self) {
        let checks: Vec<(String, Arc<dyn Check>)> =
            self.lock().iter().map(|(name, check)| (name.clone(), Arc::clone(check))).collect();
        for (name, check) in checks {
            let state = check.check().await;
            self.note(name, state);
        }
    }

    /// Runs the checks until a stop is wanted: often while starting, seldom afterwards.
    pub async fn run(self, shutdown: Shutdown) {
        let mut period = STARTING_PERIOD;
        loop {
            tokio::select! {
                () = shutdown.stopping() => return,
                () = self.check_all() => {}
            }
            let all_well = {
                let report = self.report.borrow();
                report.ready() && report.live()
            };
            if all_well {
                period = STEADY_PERIOD;
            }
            tokio::select! {
                () = shutdown.stopping() => return,
                () = self.clock.sleep(period) => {}
            }
        }
    }

    fn note(&self, name: String, state: State) {
        let now = self.clock.now();
        self.report.send_modify(|report| {
            let status = report.checks.entry(name.clone()).or_default();
            log_change(&name, status, &state, now);
            let failed = state.problem().is_some();
            status.failures_in_a_row = if failed { status.failures_in_a_row + 1 } else { 0 };
            status.failing_since = failed.then(|| status.failing_since.unwrap_or(now));
            status.checked_at = Some(now);
            status.state = state;
        });
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<dyn Check>>> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn log_change(name: &str, before: &CheckStatus, state: &State, now: SystemTime) {
    match state.problem() {
        Some(problem) if state.started.unwrap_or(true) => {
            tracing::error!(
                check = name,
                error = problem,
                subsystem_name = "health",
                "Health check has failed"
            );
        }
        // While starting, the same trouble is said once.
        Some(problem) if before.checked_at.is_none() || before.state.problem() != Some(problem) => {
            tracing::warn!(
                check = name,
                error = problem,
                subsystem_name = "health",
                "Health check has failed. Starting up still."
            );
        }
        Some(_) => {}
        None if before.failures_in_a_row > 0 => {
            let since = before.failing_since.unwrap_or(now);
            tracing::info!(
                check = name,
                duration = now.duration_since(since).unwrap_or_default().as_secs_f64(),
                error = before.state.problem(),
                failures = before.failures_in_a_row,
                subsystem_name = "health",
                "Health check recovered"
            );
        }
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TestClock;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[tokio::test]
    async fn often_while_starting_then_every_minute() {
        let clock = TestClock::at_unix(100);
        let registry = Registry::new(Arc::new(clock.clone()));
        let well = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&well);
        let check =
            move || if told.load(Ordering::Relaxed) { State::well() } else { State::unwell("warming") };
        registry.add("server", check).unwrap();
        assert_eq!(registry.add("server", State::well), Err(AlreadyAdded("server".into())));
        assert!(!registry.report().borrow().ready());

        let shutdown = Shutdown::new();
        let running = tokio::spawn(registry.clone().run(shutdown.clone()));
        clock.wait_for_sleepers(1).await;
        let report = registry.report().borrow().clone();
        assert_eq!(report.ready_details(), serde_json::json!({"server": {"message": "warming"}}));
        assert_eq!(report.checks["server"].failures_in_a_row, 1);

        well.store(true, Ordering::Relaxed);
        clock.advance(STARTING_PERIOD);
        clock.wait_for_sleepers(1).await;
        let report = registry.report().borrow().clone();
        assert!(report.ready() && report.live() && report.started());
        assert_eq!(report.live_details(), serde_json::json!({"server": null}));
        assert_eq!(clock.next_deadline(), Some(clock.now() + STEADY_PERIOD));

        shutdown.stop();
        running.await.unwrap();
    }
}

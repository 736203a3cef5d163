//! When to ask the server again. Pure.

use finial_runtime::backoff::{Backoff, Params, random_unit};
use std::time::Duration;

/// Longest wait between two syncs however badly they go.
const SYNC_WAIT_MAX: Duration = Duration::from_secs(8 * 60);
/// Failing syncs wait at most so many intervals.
const SYNC_WAIT_INTERVALS: u32 = 48;
/// An agent without SVIDs asks at least this often: somebody is probably waiting for the first entry.
const EMPTY_WAIT_MAX: Duration = Duration::from_secs(5);
/// First wait after signing failed.
const SIGN_WAIT: Duration = Duration::from_millis(500);
/// Longest wait after signing failed.
const SIGN_WAIT_MAX: Duration = Duration::from_secs(4 * 60);

/// The pace of syncs: an interval while all goes well, growing waits while it does not.
#[derive(Debug)]
pub struct Pacing {
    interval: Duration,
    backoff: Backoff,
    failed: Option<Duration>,
}

impl Pacing {
    /// The pace around an interval.
    pub fn new(interval: Duration) -> Self {
        let max = SYNC_WAIT_MAX.min(interval.saturating_mul(SYNC_WAIT_INTERVALS));
        Self { interval, backoff: Backoff::new(Params::new(interval).max_interval(max)), failed: None }
    }

    /// After a sync that succeeded.
    pub fn succeeded(&mut self) {
        self.backoff.reset();
        self.failed = None;
    }

    /// After a sync that failed.
    pub fn failed(&mut self) {
        self.failed = self.backoff.next_wait(Duration::ZERO, random_unit());
    }

    /// How long after the begin of the last sync the next one begins.
    pub fn wait(&self, x509_held: usize) -> Duration {
        match self.failed {
            Some(wait) => wait,
            // Ten per cent of jitter, so that a fleet does not ask in step.
            None => {
                let interval = self.interval.mul_f64(0.9 + 0.2 * random_unit());
                if x509_held == 0 { interval.min(EMPTY_WAIT_MAX) } else { interval }
            }
        }
    }
}

/// The pace of signing after faults.
#[derive(Debug)]
pub(super) struct SignPacing {
    backoff: Backoff,
}

impl Default for SignPacing {
    fn default() -> Self {
        Self { backoff: Backoff::new(Params::new(SIGN_WAIT).max_interval(SIGN_WAIT_MAX)) }
    }
}

impl SignPacing {
    pub(super) fn succeeded(&mut self) {
        self.backoff.reset();
    }

    pub(super) fn failed(&mut self) -> Duration {
        self.backoff.next_wait(Duration::ZERO, random_unit()).unwrap_or(SIGN_WAIT_MAX)
    }
}

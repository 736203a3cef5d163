//! When to ask the server again. Pure.

use finial_runtime::backoff::{Backoff, Params, random_unit};
use std::time::{Duration, SystemTime};

/// Longest wait between two syncs however badly they go.
const SYNC_WAIT_MAX: Duration = Duration::from_secs(8 * 60);
/// Failing syncs wait at most so many intervals.
const SYNC_WAIT_INTERVALS: u32 = 48;
/// An agent without SVIDs asks at least this often: somebody is probably waiting for the first entry.
const EMPTY_WAIT_MAX: Duration = Duration::from_secs(5);
/// So many syncs that workloads demand may follow one another at once …
const DEMANDS_AT_ONCE: u32 = 4;
/// … and then one each so often: callers that match nothing must not become load on the server.
const DEMAND_SPACING: Duration = Duration::from_millis(250);
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

/// The pace of syncs that workloads demand: a bucket of tokens, written down as the moment when it is full again.
#[derive(Debug, Default)]
pub(super) struct DemandPacing {
    full_at: Option<SystemTime>,
}

impl DemandPacing {
    /// A workload demands a sync at `now`: takes a token and gives the moment from which the sync may begin,
    /// never more than [`DEMAND_SPACING`] away.
    pub(super) fn admit(&mut self, now: SystemTime) -> SystemTime {
        let debt = self.full_at.and_then(|full_at| full_at.duration_since(now).ok()).unwrap_or_default();
        // A clock that was set back makes the debt look larger than it can be.
        let debt = debt.min(DEMAND_SPACING * DEMANDS_AT_ONCE);
        self.full_at = Some(now + debt + DEMAND_SPACING);
        now + debt.saturating_sub(DEMAND_SPACING * (DEMANDS_AT_ONCE - 1))
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_000 + millis)
    }

    /// When each of these demands, in milliseconds, may be met.
    #[track_caller]
    fn check(demands: &[u64], met: &[u64]) {
        let mut pacing = DemandPacing::default();
        let found: Vec<SystemTime> = demands.iter().map(|demand| pacing.admit(at(*demand))).collect();
        let met: Vec<SystemTime> = met.iter().map(|met| at(*met)).collect();
        assert_eq!(found, met);
    }

    #[test]
    fn demands_at_once_and_in_a_row() {
        check(&[0, 0, 0, 0], &[0, 0, 0, 0]);
        check(&[0, 1, 2, 3, 4], &[0, 1, 2, 3, 250]);
        // Whoever asks again as soon as it was served gets four in a second.
        check(&[0, 0, 0, 0, 0, 250, 500, 750], &[0, 0, 0, 0, 250, 500, 750, 1000]);
    }

    #[test]
    fn tokens_come_back_and_are_not_hoarded() {
        check(&[0, 0, 0, 0, 250, 251], &[0, 0, 0, 0, 250, 500]);
        check(&[0, 0, 0, 0, 500, 500, 500], &[0, 0, 0, 0, 500, 500, 750]);
        let (hour, burst) = (3_600_000, [0, 0, 0, 0]);
        let later = [hour, hour, hour, hour, hour];
        let met = [hour, hour, hour, hour, hour + 250];
        check(&[&burst[..], &later].concat(), &[&burst[..], &met].concat());
    }

    #[test]
    fn a_clock_that_goes_back_costs_one_wait() {
        let back = 10_000;
        check(&[back, back, back, back, 0, 250, 1250], &[back, back, back, back, 250, 500, 1250]);
    }

    proptest! {
        /// In no span of time do more syncs begin than its length allows, if each demand comes after the sync
        /// before it.
        #[test]
        fn the_rate_is_bounded(pauses in prop::collection::vec(0..600u64, 1..60)) {
            let mut pacing = DemandPacing::default();
            let mut begun: Vec<SystemTime> = Vec::new();
            for pause in pauses {
                let now = begun.last().copied().unwrap_or(at(0)) + Duration::from_millis(pause);
                begun.push(pacing.admit(now));
            }
            for (first, from) in begun.iter().enumerate() {
                for (last, until) in begun.iter().enumerate().skip(first) {
                    let count = (last - first + 1) as u128;
                    let span = until.duration_since(*from).unwrap().as_millis();
                    let allowed = u128::from(DEMANDS_AT_ONCE) + span / DEMAND_SPACING.as_millis();
                    prop_assert!(count <= allowed, "{count} in {span} ms");
                }
            }
        }

        /// Whatever the clock does, nobody waits longer than the spacing.
        #[test]
        fn no_wait_is_long(times in prop::collection::vec(0..100_000u64, 1..60)) {
            let mut pacing = DemandPacing::default();
            for now in times.into_iter().map(at) {
                let begin = pacing.admit(now);
                prop_assert!(begin >= now && begin <= now + DEMAND_SPACING);
            }
        }
    }
}

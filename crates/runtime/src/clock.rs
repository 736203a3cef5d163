//! One source of time for shells: the system's clock, and a clock that tests move by hand.
//!
//! For everything that waits or stamps. Pure code takes `now` as an argument and must not hold a clock.
//! One [`TestClock`] moves timers and certificates together, so tests never sleep for luck.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use tokio::sync::{oneshot, watch};

/// Tells the time and waits. Object safe: hold it as `Arc<dyn Clock>`.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The wall-clock time.
    fn now(&self) -> SystemTime;

    /// Completes after `duration`. Dropping the future cancels the wait.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;

    /// Completes when [`Clock::now`] has reached `deadline`; at once when it has passed already.
    fn sleep_until(&self, deadline: SystemTime) -> BoxFuture<'static, ()> {
        self.sleep(deadline.duration_since(self.now()).unwrap_or(Duration::ZERO))
    }
}

/// The system's clock; waits on tokio's timer.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The system clock ready to be shared.
    #[must_use]
    pub fn shared() -> Arc<dyn Clock> {
        Arc::new(Self)
    }
}

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A clock that stands still until a test moves it; moving it wakes the sleepers whose time has come.
///
/// Cheap to clone; all clones are one clock.
#[derive(Clone)]
pub struct TestClock {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    waiting: watch::Sender<usize>,
}

struct State {
    now: SystemTime,
    next_ticket: u64,
    sleepers: BTreeMap<(SystemTime, u64), oneshot::Sender<()>>,
}

impl TestClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn new(now: SystemTime) -> Self {
        let state = State { now, next_ticket: 0, sleepers: BTreeMap::new() };
        Self { inner: Arc::new(Inner { state: Mutex::new(state), waiting: watch::Sender::new(0) }) }
    }

    /// A clock that stands at `seconds` after the Unix epoch.
    #[must_use]
    pub fn at_unix(seconds: u64) -> Self {
        Self::new(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    /// Moves time forward and wakes, in order of their deadlines, everybody whose deadline has come.
    pub fn advance(&self, by: Duration) {
        let now = self.inner.lock().now + by;
        self.set(now);
    }

    /// Moves time to `now`, also backwards; sleepers keep their deadlines.
    pub fn set(&self, now: SystemTime) {
        let mut state = self.inner.lock();
        state.now = now;
        while let Some(entry) = state.sleepers.first_entry() {
            if entry.key().0 > now {
                break;
            }
            // A sleeper that was dropped in the meantime does not listen any more.
            let _ = entry.remove().send(());
        }
        self.inner.publish(&state);
    }

    /// How many sleepers wait now.
    #[must_use]
    pub fn sleepers(&self) -> usize {
        self.inner.lock().sleepers.len()
    }

    /// The next deadline anybody waits for.
    #[must_use]
    pub fn next_deadline(&self) -> Option<SystemTime> {
        self.inner.lock().sleepers.keys().next().map(|(deadline, _)| *deadline)
    }

    /// Completes when at least `count` sleepers wait: the moment at which a test may advance.
    pub async fn wait_for_sleepers(&self, count: usize) {
        let mut waiting = self.inner.waiting.subscribe();
        // The sender lives in `self`, so the channel cannot close while we wait.
        let _ = waiting.wait_for(|waiting| *waiting >= count).await;
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, state: &State) {
        self.waiting.send_replace(state.sleepers.len());
    }
}

/// Takes a sleeper off the list when its future goes away.
struct Ticket {
    key: (SystemTime, u64),
    inner: Arc<Inner>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.inner.lock();
        if state.sleepers.remove(&self.key).is_some() {
            self.inner.publish(&state);
        }
    }
}

impl fmt::Debug for TestClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.inner.lock();
        f.debug_struct("TestClock").field("now", &state.now).field("sleepers", &state.sleepers.len()).finish()
    }
}

impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        self.inner.lock().now
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let mut state = self.inner.lock();
        if duration.is_zero() {
            return Box::pin(std::future::ready(()));
        }
        let key = (state.now + duration, state.next_ticket);
        state.next_ticket += 1;
        let (wake, woken) = oneshot::channel();
        state.sleepers.insert(key, wake);
        self.inner.publish(&state);
        let ticket = Ticket { key, inner: Arc::clone(&self.inner) };
        Box::pin(async move {
            let _ = woken.await;
            drop(ticket);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn advancing_wakes_whose_time_has_come() {
        let clock = TestClock::at_unix(1_000);
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let early = tokio::spawn(shared.sleep(Duration::from_secs(5)));
        let late = tokio::spawn(shared.sleep_until(SystemTime::UNIX_EPOCH + Duration::from_secs(1_010)));
        clock.wait_for_sleepers(2).await;

        clock.advance(Duration::from_secs(5));
        early.await.unwrap();
        assert_eq!(clock.sleepers(), 1);
        assert!(!late.is_finished());

        clock.advance(Duration::from_secs(5));
        late.await.unwrap();
        assert_eq!(clock.sleepers(), 0);
    }

    #[tokio::test]
    async fn a_dropped_sleeper_leaves_the_list() {
        let clock = TestClock::at_unix(0);
        let sleep = clock.sleep(Duration::from_secs(1));
        assert_eq!(clock.sleepers(), 1);
        drop(sleep);
        assert_eq!(clock.sleepers(), 0);
        assert_eq!(clock.next_deadline(), None);
    }

    #[tokio::test]
    async fn a_past_deadline_is_no_wait() {
        let clock = TestClock::at_unix(100);
        clock.sleep_until(SystemTime::UNIX_EPOCH).await;
    }
}

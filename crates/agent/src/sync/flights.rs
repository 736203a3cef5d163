//! Fetches that are made once for all who want the same thing at the same time.
//!
//! A fetch goes on as long as somebody waits for it, and no longer: callers who leave take it with them. Whoever
//! wants it to end in any case waits for it in a task.

use futures_util::future::{BoxFuture, FutureExt, Shared, WeakShared};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// What all who wait for a fetch hold, each a clone.
pub(super) type Fetch<T> = Shared<BoxFuture<'static, T>>;

/// The fetches that are under way.
pub(super) struct Flights<K, T> {
    state: Arc<Mutex<State<K, T>>>,
}

struct State<K, T> {
    flights: HashMap<K, Flight<T>>,
    last_number: u64,
}

struct Flight<T> {
    /// Which one it is: a later one may have the same key.
    number: u64,
    begun: SystemTime,
    fetch: WeakShared<BoxFuture<'static, T>>,
}

/// A fetch that was joined.
pub(super) struct Joined<T> {
    /// To wait for.
    pub(super) fetch: Fetch<T>,
    /// Since when it is under way.
    pub(super) begun: SystemTime,
    /// Whether nobody else had begun it.
    pub(super) is_first: bool,
}

impl<K: Hash + Eq + Clone + Send + 'static, T: Clone + Send + Sync + 'static> Flights<K, T> {
    /// Joins the fetch of `key`, or begins it with `begin`. It moves while somebody awaits it.
    pub(super) fn join(
        &self,
        key: K,
        now: SystemTime,
        begin: impl Future<Output = T> + Send + 'static,
    ) -> Joined<T> {
        let mut state = lock(&self.state);
        if let Some(flight) = state.flights.get(&key)
            && let Some(fetch) = flight.fetch.upgrade()
        {
            return Joined { fetch, begun: flight.begun, is_first: false };
        }
        state.last_number += 1;
        let number = state.last_number;
        let landing = Landing { state: Arc::clone(&self.state), key: key.clone(), number };
        let fetch = async move {
            let _landing = landing;
            begin.await
        };
        let fetch = fetch.boxed().shared();
        if let Some(weak) = fetch.downgrade() {
            state.flights.insert(key, Flight { number, begun: now, fetch: weak });
        }
        Joined { fetch, begun: now, is_first: true }
    }

    /// How many are under way.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.state).flights.len()
    }
}

impl<K, T> Default for Flights<K, T> {
    fn default() -> Self {
        Self { state: Arc::new(Mutex::new(State { flights: HashMap::new(), last_number: 0 })) }
    }
}

impl<K, T> Clone for Flights<K, T> {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state) }
    }
}

fn lock<K, T>(state: &Mutex<State<K, T>>) -> MutexGuard<'_, State<K, T>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lives in a fetch and takes it off the list when it ends, or when all who waited have left.
struct Landing<K: Hash + Eq, T> {
    state: Arc<Mutex<State<K, T>>>,
    key: K,
    number: u64,
}

impl<K: Hash + Eq, T> Drop for Landing<K, T> {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        if state.flights.get(&self.key).is_some_and(|flight| flight.number == self.number) {
            state.flights.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::sync::oneshot;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    async fn answer(text: oneshot::Receiver<&'static str>) -> &'static str {
        text.await.unwrap_or("nobody answered")
    }

    #[tokio::test]
    async fn one_fetch_answers_all_who_join_it() {
        let flights = Flights::default();
        let (answers, text) = oneshot::channel();
        let first = flights.join("a", NOW, answer(text));
        let second = flights.join("a", NOW + Duration::from_secs(1), async { "a second fetch" });
        let other = flights.join("b", NOW, async { "of b" });
        assert_eq!((first.is_first, second.is_first, other.is_first), (true, false, true));
        assert_eq!(second.begun, NOW);
        answers.send("of a").unwrap();
        assert_eq!((second.fetch.await, first.fetch.await, other.fetch.await), ("of a", "of a", "of b"));
        assert_eq!(flights.len(), 0);
        assert_eq!(flights.join("a", NOW, async { "a new one" }).fetch.await, "a new one");
    }

    #[tokio::test]
    async fn a_fetch_ends_with_the_last_who_waits() {
        let flights = Flights::default();
        let (mut answers, text) = oneshot::channel();
        let first = flights.join("a", NOW, answer(text));
        let second = flights.join("a", NOW, async { "a second fetch" });
        drop(first);
        assert!(!answers.is_closed() && flights.len() == 1);
        drop(second);
        answers.closed().await;
        assert_eq!(flights.len(), 0);
    }

    #[tokio::test]
    async fn an_old_fetch_does_not_take_its_successor_off_the_list() {
        let flights = Flights::default();
        let first = flights.join("a", NOW, async { "first" });
        let held = first.fetch.clone();
        assert_eq!(first.fetch.await, "first");
        let (answers, text) = oneshot::channel();
        let successor = flights.join("a", NOW, answer(text));
        assert!(successor.is_first);
        drop(held);
        assert_eq!(flights.len(), 1);
        answers.send("second").unwrap();
        assert_eq!(successor.fetch.await, "second");
    }
}

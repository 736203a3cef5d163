//! Retry arithmetic: exponential growth with jitter, and a batch size that halves on failure.
//!
//! For everything that retries. Pure: elapsed time and randomness are arguments, nothing here waits.
//! The numbers are those that SPIRE's operators know: factor 1.5, jitter ±10 %, and at most 24 times the
//! first interval.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// How a [`Backoff`] grows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Params {
    /// The first interval.
    pub initial: Duration,
    /// The interval never grows above this (jitter may still add its share).
    pub max_interval: Duration,
    /// Give up when the next wait would end later than this after the start; `None`: never.
    pub max_elapsed: Option<Duration>,
    /// The growth per step.
    pub multiplier: f64,
    /// The share by which an interval is shortened or lengthened at random, 0 to 1.
    pub jitter: f64,
}

impl Params {
    /// SPIRE's shape: ×1.5 per step, ±10 %, up to 24 times `initial`, without end.
    #[must_use]
    pub fn new(initial: Duration) -> Self {
        Self { initial, max_interval: initial * 24, max_elapsed: None, multiplier: 1.5, jitter: 0.1 }
    }

    /// The same with another upper bound of the interval.
    #[must_use]
    pub fn max_interval(self, max_interval: Duration) -> Self {
        Self { max_interval, ..self }
    }

    /// The same with an end.
    #[must_use]
    pub fn max_elapsed(self, max_elapsed: Duration) -> Self {
        Self { max_elapsed: Some(max_elapsed), ..self }
    }
}

/// Where one run of retries stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Backoff {
    params: Params,
    interval: Duration,
}

impl Backoff {
    /// Starts at the first interval.
    #[must_use]
    pub fn new(params: Params) -> Self {
        Self { interval: params.initial, params }
    }

    /// The next wait, or `None` when it is time to give up.
    ///
    /// `elapsed` is the time since the first attempt; `random` is uniform in `0.0..1.0` (see [`random_unit`]).
    pub fn next_wait(&mut self, elapsed: Duration, random: f64) -> Option<Duration> {
        let wait = self.jittered(random.clamp(0.0, 1.0));
        self.grow();
        match self.params.max_elapsed {
            Some(max) if elapsed.saturating_add(wait) > max => None,
            _ => Some(wait),
        }
    }

    /// Back to the first interval, after a success.
    pub fn reset(&mut self) {
        self.interval = self.params.initial;
    }

    fn jittered(&self, random: f64) -> Duration {
        let middle = self.interval.as_secs_f64();
        let delta = middle * self.params.jitter.clamp(0.0, 1.0);
        seconds(middle - delta + random * 2.0 * delta)
    }

    fn grow(&mut self) {
        let grown = self.interval.as_secs_f64() * self.params.multiplier;
        self.interval = seconds(grown).min(self.params.max_interval);
    }
}

fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value.max(0.0)).unwrap_or(Duration::MAX)
}

/// A random number in `0.0..1.0`, good enough to spread retries (and for nothing else).
#[must_use]
pub fn random_unit() -> f64 {
    // Every `RandomState` carries fresh keys, so its empty hash is a fresh number.
    let bits = RandomState::new().build_hasher().finish() >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

/// A batch size that halves when a request fails and doubles when one succeeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchSize {
    current: usize,
    max: usize,
}

impl BatchSize {
    /// Starts at `max`, which is also the upper bound; the lower bound is 1.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { current: max.max(1), max: max.max(1) }
    }

    /// The size to use for the next request.
    #[must_use]
    pub fn current(&self) -> usize {
        self.current
    }

    /// The last request succeeded.
    pub fn succeeded(&mut self) {
        self.current = self.current.saturating_mul(2).min(self.max);
    }

    /// The last request failed.
    pub fn failed(&mut self) {
        self.current = (self.current / 2).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn grows_by_half_up_to_the_bound() {
        let mut backoff = Backoff::new(Params::new(SECOND).max_interval(3 * SECOND));
        let waits: Vec<u128> =
            (0..5).filter_map(|_| backoff.next_wait(Duration::ZERO, 0.5)).map(|w| w.as_millis()).collect();
        assert_eq!(waits, [1000, 1500, 2250, 3000, 3000]);
        backoff.reset();
        assert_eq!(backoff.next_wait(Duration::ZERO, 0.5), Some(SECOND));
    }

    #[test]
    fn jitter_is_a_tenth_either_way() {
        let wait = |random| Backoff::new(Params::new(SECOND)).next_wait(Duration::ZERO, random).unwrap();
        assert_eq!(wait(0.0).as_millis(), 900);
        assert_eq!(wait(1.0).as_millis(), 1100);
    }

    #[test]
    fn gives_up_when_the_wait_would_end_too_late() {
        let mut backoff = Backoff::new(Params::new(SECOND).max_elapsed(2 * SECOND));
        assert_eq!(backoff.next_wait(SECOND, 0.5), Some(SECOND));
        assert_eq!(backoff.next_wait(SECOND, 0.5), None);
    }

    #[test]
    fn random_numbers_stay_in_range_and_differ() {
        let numbers: Vec<f64> = (0..100).map(|_| random_unit()).collect();
        assert!(numbers.iter().all(|n| (0.0..1.0).contains(n)));
        assert!(numbers.windows(2).any(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn batch_size_halves_and_doubles() {
        let mut size = BatchSize::new(10);
        size.failed();
        size.failed();
        assert_eq!(size.current(), 2);
        size.failed();
        size.failed();
        assert_eq!(size.current(), 1);
        for _ in 0..5 {
            size.succeeded();
        }
        assert_eq!(size.current(), 10);
    }
}

//! Quantiles of the recent past in bounded memory.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Which quantiles are shown.
pub(super) const QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];
/// For how long a value counts.
const AGE_MAX: Duration = Duration::from_secs(10);
/// Of a busy series the newest values stand for all: enough for 0.99, and 8 KiB at most.
const RECENT_MAX: usize = 512;

/// One series of samples.
#[derive(Debug, Default)]
pub(super) struct Summary {
    recent: VecDeque<(Instant, f64)>,
    count: u64,
    sum: f64,
}

impl Summary {
    pub(super) fn add(&mut self, value: f64) {
        self.add_at(value, Instant::now());
    }

    fn add_at(&mut self, value: f64, now: Instant) {
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back((now, value));
        self.count += 1;
        self.sum += value;
    }

    /// All values ever.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Of all values ever.
    pub(super) fn sum(&self) -> f64 {
        self.sum
    }

    /// Of [`QUANTILES`]; not a number if there was no value lately.
    pub(super) fn quantiles(&mut self) -> [f64; QUANTILES.len()] {
        self.quantiles_at(Instant::now())
    }

    fn quantiles_at(&mut self, now: Instant) -> [f64; QUANTILES.len()] {
        let is_old = |at: Instant| now.saturating_duration_since(at) > AGE_MAX;
        while self.recent.front().is_some_and(|(at, _)| is_old(*at)) {
            self.recent.pop_front();
        }
        let mut values: Vec<f64> = self.recent.iter().map(|(_, value)| *value).collect();
        values.sort_by(f64::total_cmp);
        QUANTILES.map(|quantile| {
            // The nearest rank: the smallest value that so large a part does not exceed.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            let rank = (quantile * values.len() as f64).ceil() as usize;
            values.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_last_ten_seconds() {
        let start = Instant::now();
        let mut summary = Summary::default();
        (1..=100).rev().for_each(|value| summary.add_at(f64::from(value), start));
        assert_eq!(summary.quantiles_at(start), [50.0, 90.0, 99.0]);
        let later = start + Duration::from_secs(8);
        summary.add_at(7.0, later);
        assert_eq!(summary.quantiles_at(later + Duration::from_secs(5)), [7.0; 3]);
        assert!(summary.quantiles_at(later + Duration::from_secs(11)).iter().all(|value| value.is_nan()));
        assert_eq!((summary.count(), summary.sum()), (101, 5057.0));
    }

    #[test]
    fn memory_is_bounded() {
        let mut summary = Summary::default();
        (0..10_000).for_each(|value| summary.add_at(f64::from(value), Instant::now()));
        assert_eq!(summary.recent.len(), RECENT_MAX);
        assert_eq!(summary.count(), 10_000);
    }
}

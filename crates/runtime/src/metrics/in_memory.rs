//! The last hour, second by second, for the log: what happened just now in a process that nobody collects from.

use super::{Cell, Key, Kind, Sink};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::clock::Clock;

/// For how many seconds numbers are kept.
const SECONDS_KEPT: u64 = 60 * 60;

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Aggregate {
    count: u32,
    last: f64,
    sum: f64,
    sum_of_squares: f64,
    min: f64,
    max: f64,
}

impl Aggregate {
    fn add(&mut self, value: f64) {
        self.min = if self.count == 0 { value } else { self.min.min(value) };
        self.max = if self.count == 0 { value } else { self.max.max(value) };
        self.count += 1;
        self.last = value;
        self.sum += value;
        self.sum_of_squares += value * value;
    }

    fn deviation(&self) -> f64 {
        let count = f64::from(self.count);
        let square = (count * self.sum_of_squares - self.sum * self.sum) / (count * (count - 1.0));
        if self.count < 2 || square <= 0.0 { 0.0 } else { square.sqrt() }
    }

    fn text(&self) -> String {
        let Self { count, sum, min, max, .. } = self;
        let deviation = self.deviation();
        if deviation == 0.0 {
            return format!("Count: {count} Sum: {sum:.3}");
        }
        let mean = sum / f64::from(*count);
        format!(
            "Count: {count} Min: {min:.3} Mean: {mean:.3} Max: {max:.3} Stddev: {deviation:.3} Sum: {sum:.3}"
        )
    }
}

struct Second {
    /// Since the epoch.
    number: u64,
    values: BTreeMap<usize, Aggregate>,
}

#[derive(Default)]
struct Memory {
    /// Kind and flat name; their places are what the seconds refer to.
    names: Vec<(Kind, String)>,
    seconds: VecDeque<Second>,
}

impl Memory {
    fn second(&mut self, number: u64) -> Option<&mut Second> {
        if self.seconds.back().is_none_or(|last| last.number < number) {
            while self.seconds.front().is_some_and(|first| first.number + SECONDS_KEPT <= number) {
                self.seconds.pop_front();
            }
            self.seconds.push_back(Second { number, values: BTreeMap::new() });
        }
        self.seconds.back_mut()
    }
}

/// The memory.
pub struct InMemory {
    memory: Arc<Mutex<Memory>>,
    clock: Arc<dyn Clock>,
}

struct Place {
    memory: Arc<Mutex<Memory>>,
    clock: Arc<dyn Clock>,
    index: usize,
}

impl InMemory {
    /// An empty one.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { memory: Arc::default(), clock }
    }

    /// One line for each number of each second that is over: gauges, counters, samples.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let now = seconds_of(self.clock.now());
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = Vec::new();
        for second in memory.seconds.iter().filter(|second| now.is_none_or(|now| second.number < now)) {
            let at = utc(second.number);
            for wanted in [Kind::Gauge, Kind::Counter, Kind::Sample] {
                let named = second.values.iter().filter_map(|(index, value)| {
                    let (kind, name) = memory.names.get(*index)?;
                    (*kind == wanted).then_some((name, value))
                });
                lines.extend(named.map(|(name, value)| line(&at, wanted, name, value)));
            }
        }
        lines
    }
}

fn line(at: &str, kind: Kind, name: &str, value: &Aggregate) -> String {
    let mut line = format!("[{at}]");
    let _ = match kind {
        Kind::Gauge => write!(line, "[G] '{name}': {:.3}", value.last),
        Kind::Counter => write!(line, "[C] '{name}': {}", value.text()),
        Kind::Sample => write!(line, "[S] '{name}': {}", value.text()),
    };
    line
}

/// As Go prints a moment.
fn utc(second: u64) -> String {
    let moment = i64::try_from(second).ok().and_then(|second| jiff::Timestamp::from_second(second).ok());
    moment.map_or_else(String::new, |moment| moment.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string())
}

fn seconds_of(time: SystemTime) -> Option<u64> {
    time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

impl Sink for InMemory {
    fn cell(&self, kind: Kind, key: &Key) -> Option<Arc<dyn Cell>> {
        let values = key.labels.iter().map(|(_, value)| value.replace([' ', ':'], "_"));
        let flat: Vec<String> = std::iter::once(key.name.replace(' ', "_")).chain(values).collect();
        let named = (kind, flat.join("."));
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let index = memory.names.iter().position(|known| *known == named).unwrap_or_else(|| {
            memory.names.push(named);
            memory.names.len() - 1
        });
        Some(Arc::new(Place { memory: Arc::clone(&self.memory), clock: Arc::clone(&self.clock), index }))
    }
}

impl Cell for Place {
    fn record(&self, value: f64) {
        let Some(now) = seconds_of(self.clock.now()) else { return };
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(second) = memory.second(now) {
            second.values.entry(self.index).or_default().add(value);
        }
    }
}

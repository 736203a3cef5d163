//! Counters, gauges and samples with SPIRE's names, handed to any number of sinks.
//!
//! For every room. Names and labels are settled once, when an [instrument](Counter) is made: from then on
//! counting is an atomic addition, or appending a prepared line to a buffer, for each sink. Without a sink
//! every instrument is empty and costs nothing. What is never counted is never shown, as in SPIRE.
//!
//! | module | what |
//! |---|---|
//! | `rules` | SPIRE's rules about names and labels (pure) |
//! | `call` | the counter of calls: `status` and `elapsed_time` |
//! | [`prometheus`] | numbers that are asked for, in the text format 0.0.4 |
//! | [`statsd`] | lines that are sent, in the dialects of StatsD and DogStatsD |
//! | [`in_memory`] | the last hour second by second, for the log |

mod call;
pub mod in_memory;
pub mod prometheus;
mod rules;
pub mod statsd;
#[cfg(test)]
mod tests;

pub use call::{Call, Running, status_name};
pub use rules::{Key, Rules, sanitized};

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What a number means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It is added to what was there.
    Counter,
    /// It replaces what was there.
    Gauge,
    /// It is one of many, of which quantiles are wanted.
    Sample,
}

/// One named number in one sink.
pub trait Cell: Send + Sync {
    /// Adds, sets or samples, depending on the kind of the cell. Never waits for IO.
    fn record(&self, value: f64);
}

/// Where numbers go.
pub trait Sink: Send + Sync {
    /// A place for numbers of this name; the same one if it was there already, nothing if the sink cannot
    /// hold it beside what it has.
    fn cell(&self, kind: Kind, key: &Key) -> Option<Arc<dyn Cell>>;
}

struct Hub {
    rules: Rules,
    sinks: Vec<Arc<dyn Sink>>,
}

/// Makes instruments. The default has no sinks.
#[derive(Clone, Default)]
pub struct Metrics {
    hub: Option<Arc<Hub>>,
}

/// Two are equal if their numbers go to the same place.
impl PartialEq for Metrics {
    fn eq(&self, other: &Self) -> bool {
        match (&self.hub, &other.hub) {
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            (ours, theirs) => ours.is_none() && theirs.is_none(),
        }
    }
}

impl Eq for Metrics {}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sinks = self.hub.as_ref().map_or(0, |hub| hub.sinks.len());
        f.debug_struct("Metrics").field("sinks", &sinks).finish()
    }
}

impl Metrics {
    /// Instruments for these sinks.
    #[must_use]
    pub fn new(rules: Rules, sinks: Vec<Arc<dyn Sink>>) -> Self {
        Self { hub: (!sinks.is_empty()).then(|| Arc::new(Hub { rules, sinks })) }
    }

    /// Whether there is a sink at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.hub.is_some()
    }

    /// A counter; parts of its name are joined by dots.
    #[must_use]
    pub fn counter(&self, name: &str, labels: &[(&str, &str)]) -> Counter {
        Counter(self.cells(Kind::Counter, name, labels))
    }

    /// A gauge.
    #[must_use]
    pub fn gauge(&self, name: &str, labels: &[(&str, &str)]) -> Gauge {
        Gauge(self.cells(Kind::Gauge, name, labels))
    }

    /// A sample.
    #[must_use]
    pub fn sample(&self, name: &str, labels: &[(&str, &str)]) -> Sample {
        Sample(self.cells(Kind::Sample, name, labels))
    }

    /// A counter of calls.
    #[must_use]
    pub fn call(&self, name: &str, labels: &[(&str, &str)]) -> Call {
        Call::new(self, name, labels)
    }

    fn cells(&self, kind: Kind, name: &str, labels: &[(&str, &str)]) -> Cells {
        let Some(hub) = &self.hub else { return Cells::default() };
        let Some(key) = hub.rules.apply(name, labels) else { return Cells::default() };
        Cells(hub.sinks.iter().filter_map(|sink| sink.cell(kind, &key)).collect())
    }
}

/// One cell of each sink.
#[derive(Clone, Default)]
struct Cells(Vec<Arc<dyn Cell>>);

impl fmt::Debug for Cells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cells").field(&self.0.len()).finish()
    }
}

impl Cells {
    fn record(&self, value: f64) {
        for cell in &self.0 {
            cell.record(value);
        }
    }
}

/// Counts events.
#[derive(Debug, Clone, Default)]
pub struct Counter(Cells);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.0.record(1.0);
    }
}

/// Remembers the last value.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Cells);

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: f64) {
        self.0.record(value);
    }
}

/// Gathers values, such as times, of which quantiles are wanted.
#[derive(Debug, Clone, Default)]
pub struct Sample(Cells);

impl Sample {
    /// One more value.
    pub fn add(&self, value: f64) {
        self.0.record(value);
    }

    /// One more time, in milliseconds as everywhere in SPIRE.
    pub fn add_time(&self, elapsed: Duration) {
        self.0.record(elapsed.as_secs_f64() * 1e3);
    }
}

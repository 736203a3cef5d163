//! The counter of calls: how many ended how, and how long they took.

use super::{Counter, Metrics, Sample};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// gRPC's statuses by number, in Go's words, which are values of the label `status`.
const STATUSES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];
const UNKNOWN: usize = 2;

/// The word for the number of a gRPC status; that of 2 for numbers that there are not.
#[must_use]
pub fn status_name(code: i32) -> &'static str {
    STATUSES[index_of(code)]
}

fn index_of(code: i32) -> usize {
    usize::try_from(code).ok().filter(|code| *code < STATUSES.len()).unwrap_or(UNKNOWN)
}

struct Named {
    metrics: Metrics,
    name: String,
    labels: Vec<(String, String)>,
    /// Made when the first call ends so.
    by_status: [OnceLock<(Counter, Sample)>; STATUSES.len()],
}

impl Named {
    fn of_status(&self, code: i32) -> &(Counter, Sample) {
        let index = index_of(code);
        self.by_status[index].get_or_init(|| {
            let mut labels: Vec<_> = self.labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            labels.push(("status", STATUSES[index]));
            let elapsed = format!("{}.elapsed_time", self.name);
            (self.metrics.counter(&self.name, &labels), self.metrics.sample(&elapsed, &labels))
        })
    }
}

/// Counts calls of one kind: `<name>` by `status`, and `<name>.elapsed_time` in milliseconds.
#[derive(Clone, Default)]
pub struct Call(Option<Arc<Named>>);

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Call").field(&self.0.as_ref().map(|named| &named.name)).finish()
    }
}

impl Call {
    pub(super) fn new(metrics: &Metrics, name: &str, labels: &[(&str, &str)]) -> Self {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self(metrics.is_on().then(|| {
            Arc::new(Named {
                metrics: metrics.clone(),
                name: name.to_owned(),
                labels: labels.collect(),
                by_status: Default::default(),
            })
        }))
    }

    /// A call begins. It is counted when it is done, and not at all if it is dropped before.
    pub fn start(&self) -> Running {
        Running(self.0.clone().map(|named| (named, Instant::now())))
    }

    /// Counts what becomes of some work; `code` tells the gRPC status of its error.
    pub async fn measure<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>>,
        code: impl FnOnce(&E) -> i32,
    ) -> Result<T, E> {
        let running = self.start();
        let outcome = work.await;
        running.done(outcome.as_ref().map_or_else(code, |_| 0));
        outcome
    }
}

/// A call that has not ended yet.
#[must_use = "a call is counted when it is done"]
pub struct Running(Option<(Arc<Named>, Instant)>);

impl Running {
    /// The call ended with this gRPC status.
    pub fn done(self, code: i32) {
        if let Some((named, start)) = self.0 {
            let (count, time) = named.of_status(code);
            count.increment();
            time.add_time(start.elapsed());
        }
    }
}

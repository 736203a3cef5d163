//! Numbers for Prometheus: kept here, and written when they are asked for.
//!
//! Samples are summaries with the quantiles 0.5, 0.9 and 0.99 of the last ten seconds, as SPIRE has them. Not by
//! the `metrics` crates: their names and labels are made anew for each call, summaries need a background task,
//! and the exporter brings an HTTP stack of its own.

mod summary;

use super::{Cell, Key, Kind, Sink};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use summary::{QUANTILES, Summary};

/// The type of what [`Prometheus::exposition`] writes.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The registry.
#[derive(Default)]
pub struct Prometheus {
    families: Mutex<BTreeMap<String, Family>>,
}

struct Family {
    kind: Kind,
    /// By their labels as they are written.
    series: BTreeMap<String, Arc<Series>>,
}

enum Series {
    Counter(AtomicU64),
    /// The bits of the number.
    Gauge(AtomicU64),
    Sample(Mutex<Summary>),
}

/// Bits of a gauge that was never set; no number that anybody sets looks so.
const UNSET: u64 = u64::MAX;

impl Series {
    fn of(kind: Kind) -> Self {
        match kind {
            Kind::Counter => Self::Counter(AtomicU64::new(0)),
            Kind::Gauge => Self::Gauge(AtomicU64::new(UNSET)),
            Kind::Sample => Self::Sample(Mutex::default()),
        }
    }
}

impl Cell for Series {
    fn record(&self, value: f64) {
        match self {
            // Events are counted one by one: the fraction is nothing.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            Self::Counter(count) => drop(count.fetch_add(value as u64, Ordering::Relaxed)),
            Self::Gauge(bits) => bits.store(value.to_bits(), Ordering::Relaxed),
            Self::Sample(summary) => summary.lock().unwrap_or_else(PoisonError::into_inner).add(value),
        }
    }
}

impl Sink for Prometheus {
    fn cell(&self, kind: Kind, key: &Key) -> Option<Arc<dyn Cell>> {
        let mut families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        let family = families
            .entry(metric_name(&key.name))
            .or_insert_with(|| Family { kind, series: BTreeMap::new() });
        // Two types under one name are not allowed in the format; the first stays.
        if family.kind != kind {
            return None;
        }
        let series = family.series.entry(labels_text(&key.labels));
        Some(Arc::clone(series.or_insert_with(|| Arc::new(Series::of(kind)))) as Arc<dyn Cell>)
    }
}

impl Prometheus {
    /// All that was counted so far.
    pub fn exposition(&self) -> String {
        let mut text = String::new();
        for (name, family) in self.families.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let before = text.len();
            let kind = match family.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Sample => "summary",
            };
            let _ = writeln!(text, "# HELP {name} {name}\n# TYPE {name} {kind}");
            let heading = text.len();
            for (labels, series) in &family.series {
                write_series(&mut text, name, labels, series);
            }
            if text.len() == heading {
                text.truncate(before);
            }
        }
        text
    }
}

fn write_series(text: &mut String, name: &str, labels: &str, series: &Series) {
    let braced = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    match series {
        Series::Counter(count) => match count.load(Ordering::Relaxed) {
            0 => {}
            count => drop(writeln!(text, "{name}{braced} {count}")),
        },
        Series::Gauge(bits) => match bits.load(Ordering::Relaxed) {
            UNSET => {}
            bits => drop(writeln!(text, "{name}{braced} {}", f64::from_bits(bits))),
        },
        Series::Sample(summary) => {
            let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
            if summary.count() == 0 {
                return;
            }
            let comma = if labels.is_empty() { "" } else { "," };
            for (quantile, value) in QUANTILES.iter().zip(summary.quantiles()) {
                let _ = writeln!(text, "{name}{{{labels}{comma}quantile=\"{quantile}\"}} {value}");
            }
            let _ = writeln!(text, "{name}_sum{braced} {}", summary.sum());
            let _ = writeln!(text, "{name}_count{braced} {}", summary.count());
        }
    }
}

/// Dots, blanks and a few others become `_`, as in SPIRE; and whatever else the format does not know, since a
/// prefix is free text.
fn metric_name(name: &str) -> String {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut legal: String = name.chars().map(|c| if is_legal(c) { c } else { '_' }).collect();
    if legal.starts_with(|c: char| c.is_ascii_digit()) {
        legal.insert(0, '_');
    }
    legal
}

/// `a="1",b="2"`, by name.
fn labels_text(labels: &[(String, String)]) -> String {
    let mut labels: Vec<_> = labels.iter().collect();
    labels.sort();
    labels.dedup_by(|a, b| a.0 == b.0);
    let pairs: Vec<_> = labels
        .iter()
        .map(|(name, value)| {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            format!("{name}=\"{value}\"")
        })
        .collect();
    pairs.join(",")
}

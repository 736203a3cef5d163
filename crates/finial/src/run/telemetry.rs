//! `telemetry`: from settings to instruments, and the tasks that carry their numbers away.

mod exporter;

use super::VERSION;
use crate::config::{PrometheusSettings, TelemetrySettings};
use exporter::ExporterTls;
pub(super) use exporter::TlsFileError;
use finial_identity::TrustDomain;
use finial_runtime::clock::Clock;
use finial_runtime::metrics::in_memory::InMemory;
use finial_runtime::metrics::prometheus::Prometheus;
use finial_runtime::metrics::statsd::{Dialect, StatsD};
use finial_runtime::metrics::{Metrics, Rules, Sink};
use finial_runtime::signals::UserSignal;
use finial_runtime::tasks::Supervisor;
use finial_wire::tls::KeyExchange;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

const UPTIME_EVERY: Duration = Duration::from_secs(10);
const SUBSYSTEM: &str = "telemetry";

/// The sinks of a process.
pub(super) struct Telemetry {
    metrics: Metrics,
    prometheus: Option<(PrometheusSettings, Arc<Prometheus>, Option<ExporterTls>)>,
    receivers: Vec<(String, Arc<StatsD>)>,
    in_memory: Option<Arc<InMemory>>,
}

/// The process whose numbers these are.
pub(super) struct Whose<'a> {
    /// The prefix, if the operator wants no other.
    pub(super) service: &'static str,
    pub(super) trust_domain: &'a TrustDomain,
    pub(super) key_exchange: KeyExchange,
}

impl Telemetry {
    /// Builds the sinks; nothing is sent or served before [`Self::run`].
    pub(super) fn open(
        settings: TelemetrySettings,
        whose: &Whose<'_>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, TlsFileError> {
        let rules = rules(&settings, whose);
        let mut sinks: Vec<Arc<dyn Sink>> = Vec::new();
        let mut receivers = Vec::new();
        let of = |dialect, addresses: Vec<String>| {
            addresses.into_iter().map(move |address| (address, Arc::new(StatsD::new(dialect))))
        };
        receivers.extend(of(Dialect::DogStatsD, settings.dogstatsd));
        receivers.extend(of(Dialect::StatsD, settings.statsd));
        sinks.extend(receivers.iter().map(|(_, sink)| Arc::clone(sink) as Arc<dyn Sink>));
        let in_memory = settings.in_memory.then(|| Arc::new(InMemory::new(Arc::clone(clock))));
        sinks.extend(in_memory.clone().map(|sink| sink as Arc<dyn Sink>));
        let mut prometheus = None;
        if let Some(settings) = settings.prometheus {
            let tls = settings.tls.as_ref().map(|files| ExporterTls::read(files, whose.key_exchange));
            let sink = Arc::new(Prometheus::default());
            sinks.push(Arc::clone(&sink) as Arc<dyn Sink>);
            prometheus = Some((settings, sink, tls.transpose()?));
        }
        Ok(Self { metrics: Metrics::new(rules, sinks), prometheus, receivers, in_memory })
    }

    /// Makes the instruments.
    pub(super) fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Adds what carries the numbers away, and those of the process itself.
    pub(super) fn run(
        self,
        supervisor: &mut Supervisor,
        trust_domain: &TrustDomain,
        clock: Arc<dyn Clock>,
    ) -> io::Result<()> {
        if !self.metrics.is_on() {
            return Ok(());
        }
        let labels = [("version", VERSION), ("trust_domain_id", trust_domain.as_str())];
        self.metrics.gauge("started", &labels).set(1.0);
        supervisor.add_until_stop("uptime", tell_uptime(self.metrics, clock));
        for (address, sink) in self.receivers {
            supervisor.add_until_stop("metrics-sender", sink.send_to(address));
        }
        if let Some(memory) = self.in_memory {
            supervisor.add_until_stop("metrics-dump", dump_on_signal(memory, UserSignal::usr1()?));
        }
        if let Some((settings, sink, tls)) = self.prometheus {
            supervisor.add_until_stop("metrics-exporter", exporter::serve(settings, sink, tls));
        }
        Ok(())
    }
}

fn rules(settings: &TelemetrySettings, whose: &Whose<'_>) -> Rules {
    let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    Rules {
        prefix: settings.prefix.clone().unwrap_or_else(|| whose.service.to_owned()),
        trust_domain: settings.trust_domain_label.then(|| whose.trust_domain.to_string()),
        host: settings.host_label.then(host).filter(|host| !host.is_empty()),
        allowed_prefixes: settings.allowed_prefixes.clone(),
        blocked_prefixes: settings.blocked_prefixes.clone(),
        allowed_labels: settings.allowed_labels.clone(),
        blocked_labels: settings.blocked_labels.clone(),
    }
}

async fn tell_uptime(metrics: Metrics, clock: Arc<dyn Clock>) -> Result<(), Infallible> {
    let (uptime, start) = (metrics.gauge("uptime_in_ms", &[]), Instant::now());
    loop {
        #[allow(clippy::cast_precision_loss)]
        uptime.set(start.elapsed().as_millis() as f64);
        clock.sleep(UPTIME_EVERY).await;
    }
}

/// SIGUSR1 writes what is in memory to the log.
async fn dump_on_signal(memory: Arc<InMemory>, mut usr1: UserSignal) -> Result<(), Infallible> {
    loop {
        usr1.recv().await;
        for line in memory.lines() {
            tracing::info!(subsystem_name = SUBSYSTEM, "{line}");
        }
    }
}

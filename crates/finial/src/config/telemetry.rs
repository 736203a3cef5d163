//! The section `telemetry`: which numbers go where. The same for server and agent.

use super::reader::{Flag, Reader};
use std::path::PathBuf;

/// Where metrics go, and what they look like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TelemetrySettings {
    /// Where Prometheus may ask.
    pub(crate) prometheus: Option<PrometheusSettings>,
    /// Receivers of StatsD, `host:port`.
    pub(crate) statsd: Vec<String>,
    /// Receivers of DogStatsD, `host:port`.
    pub(crate) dogstatsd: Vec<String>,
    /// Whether the last hour is kept for the log.
    pub(crate) in_memory: bool,
    /// Stands before every name; the process has a default.
    pub(crate) prefix: Option<String>,
    /// Whether there is a label `trust_domain`.
    pub(crate) trust_domain_label: bool,
    /// Whether there is a label `host`.
    pub(crate) host_label: bool,
    /// Names that begin so are shown although a shorter beginning is blocked.
    pub(crate) allowed_prefixes: Vec<String>,
    /// Names that begin so are not shown.
    pub(crate) blocked_prefixes: Vec<String>,
    /// The only labels shown, if there is a list.
    pub(crate) allowed_labels: Option<Vec<String>>,
    /// Labels that are not shown.
    pub(crate) blocked_labels: Vec<String>,
}

/// The listener for Prometheus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PrometheusSettings {
    /// Host name or IP address.
    pub(crate) host: String,
    /// Port; 0 for any.
    pub(crate) port: u16,
    /// With TLS, if so.
    pub(crate) tls: Option<TlsFiles>,
}

/// PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// The certificate, and intermediate ones after it.
    pub(crate) certificate: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
    /// Who signs the clients that may ask; anybody may if there is none.
    pub(crate) client_ca: Option<PathBuf>,
}

/// Reads the section.
pub(super) fn read(root: &mut Reader<'_>) -> TelemetrySettings {
    let mut section = root.block("telemetry");
    let prometheus = read_prometheus(&mut section);
    let statsd = read_receivers(&mut section, "Statsd");
    let dogstatsd = read_receivers(&mut section, "DogStatsd");
    refuse_m3(&mut section);
    let in_memory = section.has("InMem");
    let mut in_mem = section.block("InMem");
    in_mem.accept(&["enabled"]);
    in_mem.finish("InMem");
    let has_allowed_labels = section.has("AllowedLabels");
    let allowed_labels = section.texts("AllowedLabels");
    let settings = TelemetrySettings {
        prometheus,
        statsd,
        dogstatsd,
        in_memory,
        prefix: section.optional_text("MetricPrefix").map(|prefix| prefix.value),
        trust_domain_label: section.is_set("EnableTrustDomainLabel", false),
        host_label: section.is_set_unless("EnableHostnameLabel", false, true),
        allowed_prefixes: section.texts("AllowedPrefixes"),
        blocked_prefixes: section.texts("BlockedPrefixes"),
        allowed_labels: has_allowed_labels.then_some(allowed_labels),
        blocked_labels: section.texts("BlockedLabels"),
    };
    section.finish_with_warnings();
    settings
}

fn read_prometheus(section: &mut Reader<'_>) -> Option<PrometheusSettings> {
    let is_there = section.has("Prometheus");
    let mut block = section.block("Prometheus");
    let host = block.text("host", Flag::NONE, "localhost").value;
    let port = block.number("port", None, 0);
    let number = u16::try_from(port.value);
    if number.is_err() {
        block.problem(&port, format!("{} is not a port", port.value));
    }
    if is_there && number == Ok(0) {
        block.warn_here("without a port Prometheus cannot know where to ask; set port");
    }
    let tls = read_tls(&mut block);
    block.finish("Prometheus");
    is_there.then_some(PrometheusSettings { host, port: number.unwrap_or(0), tls })
}

fn read_tls(prometheus: &mut Reader<'_>) -> Option<TlsFiles> {
    let is_there = prometheus.has("tls");
    let mut tls = prometheus.block("tls");
    let certificate = tls.text("cert_file", Flag::NONE, "").value;
    let key = tls.text("key_file", Flag::NONE, "").value;
    let client_ca = tls.optional_text("client_ca_file").map(|path| PathBuf::from(path.value));
    let svid = tls.is_set("use_spire_svid", false);
    let has_ids = !tls.texts("authorized_spiffe_ids").is_empty();
    if svid && !(certificate.is_empty() && key.is_empty()) {
        tls.problem_at(
            "use_spire_svid",
            "cert_file and key_file cannot be configured when use_spire_svid is enabled",
        );
    } else if svid {
        tls.problem_at(
            "use_spire_svid",
            "metrics with the process's own SVID are not available in this version; use cert_file and key_file",
        );
    } else if is_there && (certificate.is_empty() || key.is_empty()) {
        tls.problem_here("cert_file and key_file must both be configured unless use_spire_svid is enabled");
    }
    if has_ids && client_ca.is_some() {
        let why = "client_ca_file cannot be configured with authorized_spiffe_ids";
        tls.problem_at("authorized_spiffe_ids", why);
    } else if has_ids {
        tls.problem_at(
            "authorized_spiffe_ids",
            "clients of metrics are not known by SPIFFE ID in this version; use client_ca_file",
        );
    }
    tls.finish_with_warnings();
    is_there.then(|| TlsFiles { certificate: certificate.into(), key: key.into(), client_ca })
}

fn read_receivers(section: &mut Reader<'_>, sink: &str) -> Vec<String> {
    let mut addresses = Vec::new();
    for mut block in section.blocks(sink) {
        let address = block.text("address", Flag::NONE, "");
        if !is_host_and_port(&address.value) {
            let given = &address.value;
            block
                .problem(&address, format!("address {given:?} is not host:port, such as \"127.0.0.1:8125\""));
        }
        addresses.push(address.value);
        block.finish(sink);
    }
    addresses
}

fn is_host_and_port(address: &str) -> bool {
    let parts = address.rsplit_once(':');
    parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0))
}

/// Somebody waits for these numbers, so the block must not look as if it worked.
fn refuse_m3(section: &mut Reader<'_>) {
    if section.has("M3") {
        section.problem_at(
            "M3",
            "M3 is not available in this version; remove the block, and use Prometheus, Statsd or DogStatsd",
        );
    }
    for mut block in section.blocks("M3") {
        block.accept(&["address", "env"]);
        block.finish("M3");
    }
}

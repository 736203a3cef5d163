//! Keys that server and agent have in common.

use super::Status::{Accepted, NoEffect, Refused, Works};
use super::{Group, Key, key, under};

pub(super) const HEALTH: Group = Group {
    title: "health_checks",
    text: "Status 200 or 500, with JSON details.",
    parts: &[under(
        "health_checks",
        &[
            key("listener_enabled", "bool", "false", Works, "Whether health is served over HTTP."),
            key("bind_address", "host or IP", "localhost", Works, "Where."),
            key("bind_port", "number", "80", Works, "At which port."),
            key("live_path", "path of a URL", "/live", Works, "Is the process alive?"),
            key("ready_path", "path of a URL", "/ready", Works, "Can it do its work?"),
        ],
    )],
};

pub(super) const TELEMETRY: Group = Group {
    title: "telemetry",
    text: "Names, labels and types are SPIRE's: see [observability](../observability.md). Without a sink nothing is counted.",
    parts: &[under(
        "telemetry",
        &[
            key(
                "Prometheus.host",
                "host or IP",
                "localhost",
                Works,
                "Where numbers are asked for over HTTP, under any path.",
            ),
            key("Prometheus.port", "number", "", Works, "At which port."),
            key("Prometheus.tls.cert_file", "path", "", Works, "HTTPS: the certificate with its chain, PEM."),
            key("Prometheus.tls.key_file", "path", "", Works, "Its key, PEM."),
            key(
                "Prometheus.tls.client_ca_file",
                "path",
                "",
                Works,
                "Who signs the clients that may ask, PEM.",
            ),
            key(
                "Prometheus.tls.use_spire_svid",
                "bool",
                "false",
                Refused,
                "HTTPS with the process's own SVID.",
            ),
            key("Prometheus.tls.authorized_spiffe_ids", "list of texts", "[]", Refused, "Who may ask."),
            key(
                "DogStatsd[].address",
                "host:port",
                "",
                Works,
                "To where lines of DogStatsD are sent by UDP.",
            ),
            key("Statsd[].address", "host:port", "", Works, "To where lines of StatsD are sent by UDP."),
            key("M3[].address", "text", "", Refused, "Numbers for M3."),
            key("M3[].env", "text", "", Refused, "As above."),
            key(
                "InMem.enabled",
                "bool",
                "",
                Accepted,
                "The block itself keeps the last hour by seconds; SIGUSR1 writes it to the log.",
            ),
            key("MetricPrefix", "text", "spire_server, spire_agent", Works, "Stands before every name."),
            key("EnableTrustDomainLabel", "bool", "false", Works, "A label `trust_domain`."),
            key("EnableHostnameLabel", "bool", "true", Works, "A label `host`."),
            key(
                "AllowedPrefixes",
                "list of texts",
                "[]",
                Works,
                "Names (with dots, the prefix first) that are shown although a shorter beginning is blocked.",
            ),
            key("BlockedPrefixes", "list of texts", "[]", Works, "Names that are not shown."),
            key("AllowedLabels", "list of texts", "", Works, "If given, the only labels that are shown."),
            key("BlockedLabels", "list of texts", "[]", Works, "Labels that are not shown."),
        ],
    )],
};

pub(super) const LOG: &[Key] = &[
    key(
        "log_level",
        "`panic`, `fatal`, `error`, `warn`, `info`, `debug`, `trace`",
        "INFO",
        Works,
        "How much is logged; can be changed while the process runs.",
    ),
    key(
        "log_format",
        "`text`, `json`",
        "",
        Works,
        "The shape of a line; without it, text with times in whole seconds.",
    ),
    key(
        "log_file",
        "path",
        "",
        Works,
        "A file instead of standard output; its directory must exist. SIGUSR2 opens it anew.",
    ),
    key("log_source_location", "bool", "false", Works, "Lines say where in the source they come from."),
];

pub(super) const PROFILING: &[Key] = &[
    key("profiling_enabled", "bool", "false", NoEffect, "Profiles of a Go process."),
    key("profiling_port", "number", "", Accepted, "See `profiling_enabled`."),
    key("profiling_freq", "number", "", Accepted, "See `profiling_enabled`."),
    key("profiling_names", "list", "", Accepted, "See `profiling_enabled`."),
];

pub(super) const EXPERIMENTAL: &[Key] = &[
    key("require_pq_kem", "bool", "false", Works, "TLS with post-quantum key exchange only."),
    key(
        "feature_flags",
        "list of texts",
        "[]",
        Works,
        "SPIRE's `i_am_a_test_flag`; `wit-svid` is refused, and so are unknown ones.",
    ),
    key("named_pipe_name", "text", "", Refused, "For Windows."),
];

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
    text: "Metrics are not available in this version: each sink is warned of.",
    parts: &[under(
        "telemetry",
        &[
            key("Prometheus[].host", "text", "", NoEffect, ""),
            key("Prometheus[].port", "number", "", NoEffect, ""),
            key("Prometheus[].tls", "block", "", NoEffect, ""),
            key("DogStatsd[].address", "text", "", NoEffect, ""),
            key("Statsd[].address", "text", "", NoEffect, ""),
            key("M3[].address", "text", "", NoEffect, ""),
            key("M3[].env", "text", "", NoEffect, ""),
            key("InMem[].enabled", "bool", "", NoEffect, ""),
            key("MetricPrefix", "text", "", Accepted, ""),
            key("EnableTrustDomainLabel", "bool", "", Accepted, ""),
            key("EnableHostnameLabel", "bool", "", Accepted, ""),
            key("AllowedPrefixes", "list of texts", "", Accepted, ""),
            key("BlockedPrefixes", "list of texts", "", Accepted, ""),
            key("AllowedLabels", "list of texts", "", Accepted, ""),
            key("BlockedLabels", "list of texts", "", Accepted, ""),
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

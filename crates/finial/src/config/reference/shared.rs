//! Keys that server and agent have in common.

use super::Status::{Accepted, NoEffect, Works};
use super::{Group, key};

pub(super) const HEALTH: Group = Group {
    title: "health_checks",
    text: "Status 200 or 500, with JSON details.",
    keys: &[
        key("health_checks.listener_enabled", "bool", "false", Works, "Whether health is served over HTTP."),
        key("health_checks.bind_address", "host or IP", "localhost", Works, "Where."),
        key("health_checks.bind_port", "number", "80", Works, "At which port."),
        key("health_checks.live_path", "path of a URL", "/live", Works, "Is the process alive?"),
        key("health_checks.ready_path", "path of a URL", "/ready", Works, "Can it do its work?"),
    ],
};

pub(super) const TELEMETRY: Group = Group {
    title: "telemetry",
    text: "Metrics are not available in this version: each sink is warned of.",
    keys: &[
        key("telemetry.Prometheus[].host", "text", "", NoEffect, ""),
        key("telemetry.Prometheus[].port", "number", "", NoEffect, ""),
        key("telemetry.Prometheus[].tls", "block", "", NoEffect, ""),
        key("telemetry.DogStatsd[].address", "text", "", NoEffect, ""),
        key("telemetry.Statsd[].address", "text", "", NoEffect, ""),
        key("telemetry.M3[].address", "text", "", NoEffect, ""),
        key("telemetry.M3[].env", "text", "", NoEffect, ""),
        key("telemetry.InMem[].enabled", "bool", "", NoEffect, ""),
        key("telemetry.MetricPrefix", "text", "", Accepted, ""),
        key("telemetry.EnableTrustDomainLabel", "bool", "", Accepted, ""),
        key("telemetry.EnableHostnameLabel", "bool", "", Accepted, ""),
        key("telemetry.AllowedPrefixes", "list of texts", "", Accepted, ""),
        key("telemetry.BlockedPrefixes", "list of texts", "", Accepted, ""),
        key("telemetry.AllowedLabels", "list of texts", "", Accepted, ""),
        key("telemetry.BlockedLabels", "list of texts", "", Accepted, ""),
    ],
};

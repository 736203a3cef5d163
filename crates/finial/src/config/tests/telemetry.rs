//! The section `telemetry`, the same for server and agent.

use super::*;
use crate::config::{PrometheusSettings, TelemetrySettings, TlsFiles};

fn telemetry(text: &str) -> Result<Loaded<AgentSettings>, LoadError> {
    agent_with(&format!("}} telemetry {{ {text}"))
}

fn settings(text: &str) -> TelemetrySettings {
    telemetry(text).unwrap().settings.telemetry
}

#[test]
fn nothing_said_is_no_sink() {
    let defaults = TelemetrySettings { host_label: true, ..TelemetrySettings::default() };
    assert_eq!(settings(""), defaults);
    assert_eq!(server_with("").unwrap().settings.telemetry, defaults);
}

#[test]
fn every_key_is_understood() {
    let text = r#"
        Prometheus { host = "0.0.0.0" port = 9988 tls { cert_file = "c" key_file = "k" client_ca_file = "a" } }
        Statsd = [{ address = "a:1" }, { address = "b:2" }]
        DogStatsd { address = "c:3" }
        InMem {}
        MetricPrefix = "p" EnableTrustDomainLabel = true EnableHostnameLabel = false
        AllowedPrefixes = ["ap"] BlockedPrefixes = ["bp"] AllowedLabels = ["al"] BlockedLabels = ["bl"]"#;
    let names = |name: &str| vec![name.to_owned()];
    let tls = TlsFiles { certificate: "c".into(), key: "k".into(), client_ca: Some("a".into()) };
    let want = TelemetrySettings {
        prometheus: Some(PrometheusSettings { host: "0.0.0.0".to_owned(), port: 9988, tls: Some(tls) }),
        statsd: vec!["a:1".to_owned(), "b:2".to_owned()],
        dogstatsd: names("c:3"),
        in_memory: true,
        prefix: Some("p".to_owned()),
        trust_domain_label: true,
        host_label: false,
        allowed_prefixes: names("ap"),
        blocked_prefixes: names("bp"),
        allowed_labels: Some(names("al")),
        blocked_labels: names("bl"),
    };
    assert_eq!(settings(text), want);
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    check(
        telemetry(
            r#"Prometheus { port = 70000 tls { cert_file = "c" use_spire_svid = true } }
Statsd { address = "nowhere" } Statsd { address = "a:1" bogus = 1 }
DogStatsd {}
M3 { address = "a:1" env = "x" }
InMem { bogus = 1 } bogus = 1"#,
        ),
        expect![[r#"
            t.conf:2:35: telemetry.Prometheus.port: 70000 is not a port
            t.conf:2:80: telemetry.Prometheus.tls.use_spire_svid: cert_file and key_file cannot be configured when use_spire_svid is enabled
            t.conf:3:20: telemetry.Statsd[0].address: address "nowhere" is not host:port, such as "127.0.0.1:8125"
            t.conf:3:57: telemetry.Statsd[1].bogus: unknown configuration detected: "bogus" is no key of Statsd
            t.conf:4:11: telemetry.DogStatsd[0].address: address "" is not host:port, such as "127.0.0.1:8125"
            t.conf:5:4: telemetry.M3: M3 is not available in this version; remove the block, and use Prometheus, Statsd or DogStatsd
            t.conf:6:9: telemetry.InMem.bogus: unknown configuration detected: "bogus" is no key of InMem"#]],
    );
    check(
        telemetry(r#"Prometheus { port = 1 tls { key_file = "k" } }"#),
        expect![
            "t.conf:2:41: telemetry.Prometheus.tls: cert_file and key_file must both be configured unless use_spire_svid is enabled"
        ],
    );
    check(
        telemetry(
            r#"Prometheus { port = 1 tls { use_spire_svid = true client_ca_file = "x" authorized_spiffe_ids = ["spiffe://a/b"] } }"#,
        ),
        expect![[r#"
            t.conf:2:60: telemetry.Prometheus.tls.use_spire_svid: metrics with the process's own SVID are not available in this version; use cert_file and key_file
            t.conf:2:110: telemetry.Prometheus.tls.authorized_spiffe_ids: client_ca_file cannot be configured with authorized_spiffe_ids"#]],
    );
    check(
        telemetry("Prometheus {}"),
        expect![[r#"
        warning: t.conf:1:109: agent.insecure_bootstrap: the agent will believe the first server that answers; use this for trying things out only
        warning: t.conf:2:26: telemetry.Prometheus: without a port Prometheus cannot know where to ask; set port
    "#]],
    );
}

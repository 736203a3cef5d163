//! The sinks seen from a caller: names, labels and types as SPIRE's sinks show them for the same events.

use super::in_memory::InMemory;
use super::prometheus::Prometheus;
use super::statsd::{Dialect, StatsD};
use super::*;
use crate::clock::TestClock;
use expect_test::expect;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

fn rules() -> Rules {
    Rules { prefix: "spire_server".to_owned(), host: Some("vm".to_owned()), ..Rules::default() }
}

fn events(metrics: &Metrics) {
    metrics.gauge("started", &[("version", "1.16.0"), ("trust_domain_id", "example.org")]).set(1.0);
    metrics.gauge("manager.x509_ca.rotate.ttl", &[]).set(86_399.5);
    metrics.counter("ca.manager.x509_ca.activate", &[]).increment();
    let call = metrics.call("rpc.health.check", &[]);
    call.start().done(0);
    call.start().done(7);
    drop(call.start());
    drop(metrics.counter("never.happened", &[]));
    metrics.sample("odd \"label", &[("x", "a\"b")]).add(2.5);
}

/// What the format asks for: a comment before each family, each family once and of one type, names and labels
/// of legal characters, no series twice, numbers that are numbers.
fn lint(exposition: &str) -> Result<(), String> {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
    };
    let mut types = BTreeMap::new();
    let (mut family, mut series) = (String::new(), BTreeSet::new());
    if !exposition.is_empty() && !exposition.ends_with('\n') {
        return Err("the last line has no end".to_owned());
    }
    for line in exposition.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or(line)?;
            if !is_name(name) || types.insert(name.to_owned(), kind.to_owned()).is_some() {
                return Err(format!("a bad name, or a family twice: {line}"));
            }
            name.clone_into(&mut family);
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (id, value) = line.rsplit_once(' ').ok_or(line)?;
        value.parse::<f64>().map_err(|_| format!("no number: {line}"))?;
        let name = id.split('{').next().unwrap_or(id);
        let bare = match types.get(&family).map(String::as_str) {
            Some("summary") => name.trim_end_matches("_sum").trim_end_matches("_count"),
            _ => name,
        };
        if bare != family {
            return Err(format!("{line} stands below {family}"));
        }
        if !series.insert(id.to_owned()) {
            return Err(format!("a series twice: {line}"));
        }
    }
    Ok(())
}

/// Without the times, which nobody knows.
fn without_times(text: &str) -> String {
    text.lines()
        .map(|line| match line.contains("elapsed_time") && !line.starts_with('#') {
            true => line.rsplit_once(' ').map_or(line, |(id, _)| id),
            false => line,
        })
        .filter(|line| !line.starts_with("# HELP"))
        .fold(String::new(), |all, line| all + line + "\n")
}

#[test]
fn prometheus_shows_what_happened() {
    let prometheus = Arc::new(Prometheus::default());
    events(&Metrics::new(rules(), vec![prometheus.clone()]));
    let text = prometheus.exposition();
    assert_eq!(lint(&text), Ok(()), "{text}");
    expect![[r#"
        # TYPE spire_server_ca_manager_x509_ca_activate counter
        spire_server_ca_manager_x509_ca_activate{host="vm"} 1
        # TYPE spire_server_manager_x509_ca_rotate_ttl gauge
        spire_server_manager_x509_ca_rotate_ttl{host="vm"} 86399.5
        # TYPE spire_server_odd__label summary
        spire_server_odd__label{host="vm",x="a_b",quantile="0.5"} 2.5
        spire_server_odd__label{host="vm",x="a_b",quantile="0.9"} 2.5
        spire_server_odd__label{host="vm",x="a_b",quantile="0.99"} 2.5
        spire_server_odd__label_sum{host="vm",x="a_b"} 2.5
        spire_server_odd__label_count{host="vm",x="a_b"} 1
        # TYPE spire_server_rpc_health_check counter
        spire_server_rpc_health_check{host="vm",status="OK"} 1
        spire_server_rpc_health_check{host="vm",status="PermissionDenied"} 1
        # TYPE spire_server_rpc_health_check_elapsed_time summary
        spire_server_rpc_health_check_elapsed_time{host="vm",status="OK",quantile="0.5"}
        spire_server_rpc_health_check_elapsed_time{host="vm",status="OK",quantile="0.9"}
        spire_server_rpc_health_check_elapsed_time{host="vm",status="OK",quantile="0.99"}
        spire_server_rpc_health_check_elapsed_time_sum{host="vm",status="OK"}
        spire_server_rpc_health_check_elapsed_time_count{host="vm",status="OK"}
        spire_server_rpc_health_check_elapsed_time{host="vm",status="PermissionDenied",quantile="0.5"}
        spire_server_rpc_health_check_elapsed_time{host="vm",status="PermissionDenied",quantile="0.9"}
        spire_server_rpc_health_check_elapsed_time{host="vm",status="PermissionDenied",quantile="0.99"}
        spire_server_rpc_health_check_elapsed_time_sum{host="vm",status="PermissionDenied"}
        spire_server_rpc_health_check_elapsed_time_count{host="vm",status="PermissionDenied"}
        # TYPE spire_server_started gauge
        spire_server_started{host="vm",trust_domain_id="example_org",version="1_16_0"} 1
    "#]]
    .assert_eq(&without_times(&text));
}

#[test]
fn the_lint_finds_faults() {
    for fault in [
        "# TYPE a counter\na 1",
        "# TYPE a counter\na 1\na 2\n",
        "# TYPE a counter\n# TYPE a gauge\n",
        "# TYPE a counter\nb 1\n",
        "# TYPE 1a counter\n",
        "# TYPE a counter\na one\n",
    ] {
        assert!(lint(fault).is_err(), "{fault:?}");
    }
}

#[test]
fn instruments_of_one_name_share_their_number() {
    let prometheus = Arc::new(Prometheus::default());
    let metrics = Metrics::new(Rules::default(), vec![prometheus.clone()]);
    metrics.counter("n", &[]).increment();
    metrics.counter("n", &[]).increment();
    // The format has no place for a second type under a name.
    metrics.gauge("n", &[]).set(9.0);
    assert_eq!(prometheus.exposition(), "# HELP n n\n# TYPE n counter\nn 2\n");
}

#[test]
fn hosts_are_escaped() {
    let prometheus = Arc::new(Prometheus::default());
    let rules = Rules { host: Some("a\"b\\c\nd".to_owned()), ..Rules::default() };
    Metrics::new(rules, vec![prometheus.clone()]).counter("n", &[]).increment();
    assert!(prometheus.exposition().ends_with("n{host=\"a\\\"b\\\\c\\nd\"} 1\n"));
}

fn lines_of(dialect: Dialect) -> String {
    let sink = Arc::new(StatsD::new(dialect));
    events(&Metrics::new(rules(), vec![sink.clone()]));
    let is_time = |line: &&str| !line.contains("elapsed_time");
    sink.take().lines().filter(is_time).fold(String::new(), |all, line| all + line + "\n")
}

#[test]
fn statsd_has_labels_in_the_name() {
    expect![[r#"
        spire_server.started.1_16_0.example_org.vm:1.000000|g
        spire_server.manager.x509_ca.rotate.ttl.vm:86399.500000|g
        spire_server.ca.manager.x509_ca.activate.vm:1.000000|c
        spire_server.rpc.health.check.OK.vm:1.000000|c
        spire_server.rpc.health.check.PermissionDenied.vm:1.000000|c
        spire_server.odd_"label.a_b.vm:2.500000|ms
    "#]]
    .assert_eq(&lines_of(Dialect::StatsD));
}

#[test]
fn dogstatsd_has_tags() {
    expect![[r#"
        spire_server.started:1|g|#version:1_16_0,trust_domain_id:example_org,host:vm
        spire_server.manager.x509_ca.rotate.ttl:86399.5|g|#host:vm
        spire_server.ca.manager.x509_ca.activate:1|c|#host:vm
        spire_server.rpc.health.check:1|c|#status:OK,host:vm
        spire_server.rpc.health.check:1|c|#status:PermissionDenied,host:vm
        spire_server.odd_"label:2.500000|ms|#x:a_b,host:vm
    "#]]
    .assert_eq(&lines_of(Dialect::DogStatsD));
}

#[test]
fn memory_tells_seconds_that_are_over() {
    let clock = TestClock::at_unix(1_800_000_000);
    let memory = Arc::new(InMemory::new(Arc::new(clock.clone())));
    let metrics = Metrics::new(rules(), vec![memory.clone()]);
    let (count, time) = (metrics.counter("c", &[]), metrics.sample("s", &[("status", "OK")]));
    metrics.gauge("g", &[]).set(7.0);
    count.increment();
    count.increment();
    [1.0, 2.0, 6.0].into_iter().for_each(|value| time.add(value));
    assert!(memory.lines().is_empty(), "this second is not over");
    clock.advance(Duration::from_secs(1));
    count.increment();
    expect![[r#"
        [2027-01-15 08:00:00 +0000 UTC][G] 'spire_server.g.vm': 7.000
        [2027-01-15 08:00:00 +0000 UTC][C] 'spire_server.c.vm': Count: 2 Sum: 2.000
        [2027-01-15 08:00:00 +0000 UTC][S] 'spire_server.s.OK.vm': Count: 3 Min: 1.000 Mean: 3.000 Max: 6.000 Stddev: 2.646 Sum: 9.000"#]]
    .assert_eq(&memory.lines().join("\n"));
    clock.advance(Duration::from_secs(4000));
    count.increment();
    clock.advance(Duration::from_secs(1));
    assert!(memory.lines().iter().all(|line| !line.contains("08:00:00")), "an hour is kept");
}

#[test]
fn without_sinks_nothing_is_made() {
    let metrics = Metrics::new(rules(), Vec::new());
    assert!(!metrics.is_on());
    events(&metrics);
    assert!(metrics.counter("c", &[]).0.0.is_empty());
}

#[test]
fn unknown_statuses_are_unknown() {
    assert_eq!(
        [0, 2, 16, 17, -1].map(status_name),
        ["OK", "Unknown", "Unauthenticated", "Unknown", "Unknown"]
    );
}

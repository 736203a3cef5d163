use super::*;
use crate::clock::TestClock;
use expect_test::{Expect, expect};
use std::error::Error;
use std::time::{Duration, UNIX_EPOCH};

/// 2026-11-22T12:34:24.5Z
const NOW: Duration = Duration::new(1_795_350_864, 500_000_000);

fn options(format: Format) -> (Options, Buffer) {
    let buffer = Buffer::default();
    let options = Options {
        level: Level::Debug,
        format,
        output: Output::Buffer(buffer.clone()),
        clock: Arc::new(TestClock::new(UNIX_EPOCH + NOW)),
        zone: Some(TimeZone::UTC),
        ..Options::default()
    };
    (options, buffer)
}

fn check(format: Format, log: impl FnOnce(), expect: Expect) {
    let (options, buffer) = options(format);
    let (_, subscriber) = build(options).unwrap();
    tracing::subscriber::with_default(subscriber, log);
    // Nobody could see these two in the source.
    expect.assert_eq(&buffer.take().replace('\u{7f}', "{7f}").replace('\u{a0}', "{a0}"));
}

fn sample() {
    tracing::info!(
        subsystem_name = "endpoints",
        network = "tcp",
        address = "127.0.0.1:8081",
        "Starting Server APIs"
    );
    tracing::warn!(count = 3, ratio = 0.25, done = false, empty = "", "grpc.method" = "Mint \"it\"", "Odd");
    tracing::error!(time = "t", level = "l", msg = "m", path = "/a-b/c_d@e^f+g.h", "Clash");
    tracing::debug!(html = "<a&b>", control = "tab\there\u{7f}\u{e9}\u{a0}", tiny = 0.000_001_5, huge = 1e21);
    tracing::debug!(
        a = 1e-7,
        b = 123_456_789.0,
        c = 1e20,
        d = -0.5,
        e = 100.0,
        f = 1.0 / 3.0,
        g = "x\u{8}\u{c}\u{2028}"
    );
}

#[test]
fn the_default_format_is_logrus_text() {
    check(
        Format::Default,
        sample,
        expect![[r#"
            time="2026-11-22T12:34:24Z" level=info msg="Starting Server APIs" address="127.0.0.1:8081" network=tcp subsystem_name=endpoints
            time="2026-11-22T12:34:24Z" level=warning msg=Odd count=3 done=false empty= grpc.method="Mint \"it\"" ratio=0.25
            time="2026-11-22T12:34:24Z" level=error msg=Clash fields.level=l fields.msg=m fields.time=t path=/a-b/c_d@e^f+g.h
            time="2026-11-22T12:34:24Z" level=debug control="tab\there\x7fé\u00a0" html="<a&b>" huge=1e+21 tiny=1.5e-06
            time="2026-11-22T12:34:24Z" level=debug a=1e-07 b=1.23456789e+08 c=1e+20 d=-0.5 e=100 f=0.3333333333333333 g="x\b\f\u2028"
        "#]],
    );
}

#[test]
fn the_json_format_is_logrus_json() {
    check(
        Format::Json,
        sample,
        expect![[r#"
            {"address":"127.0.0.1:8081","level":"info","msg":"Starting Server APIs","network":"tcp","subsystem_name":"endpoints","time":"2026-11-22T12:34:24.5Z"}
            {"count":3,"done":false,"empty":"","grpc.method":"Mint \"it\"","level":"warning","msg":"Odd","ratio":0.25,"time":"2026-11-22T12:34:24.5Z"}
            {"fields.level":"l","fields.msg":"m","fields.time":"t","level":"error","msg":"Clash","path":"/a-b/c_d@e^f+g.h","time":"2026-11-22T12:34:24.5Z"}
            {"control":"tab\there{7f}é{a0}","html":"\u003ca\u0026b\u003e","huge":1e+21,"level":"debug","msg":"","time":"2026-11-22T12:34:24.5Z","tiny":0.0000015}
            {"a":1e-7,"b":123456789,"c":100000000000000000000,"d":-0.5,"e":100,"f":0.3333333333333333,"g":"x\b\f\u2028","level":"debug","msg":"","time":"2026-11-22T12:34:24.5Z"}
        "#]],
    );
}

#[test]
fn the_text_format_has_nanoseconds() {
    check(
        Format::Text,
        || tracing::info!("entry" = "e1", "SVID stored successfully"),
        expect![[r#"
            time="2026-11-22T12:34:24.5Z" level=info msg="SVID stored successfully" entry=e1
        "#]],
    );
}

#[test]
fn a_terminal_gets_colours_and_seconds() {
    let mut fields = Fields::default();
    fields.message = "Agent banned\n".into();
    fields.set("agent_id", "spiffe://td/a".into());
    fields.set("n", 1_i64.into());
    let mut out = String::new();
    let record = Record { time: UNIX_EPOCH + NOW, level: Level::Warn, fields: &mut fields };
    let style = Style::Coloured { started: UNIX_EPOCH + NOW - Duration::from_secs(12) };
    style.write(&mut out, record, &TimeZone::UTC);
    expect![[r#"
        "\u{1b}[33mWARN\u{1b}[0m[0012] Agent banned                                  \u{1b}[33magent_id\u{1b}[0m=\"spiffe://td/a\" \u{1b}[33mn\u{1b}[0m=1\n"
    "#]]
    .assert_debug_eq(&out);
}

#[test]
fn times_are_local() {
    let (mut options, buffer) = options(Format::Default);
    options.zone = Some(TimeZone::fixed(jiff::tz::Offset::from_seconds(-12_600).unwrap()));
    let (handle, _subscriber) = build(options).unwrap();
    handle.write(Level::Info, "x", []);
    expect![[r#"
        time="2026-11-22T09:04:24-03:30" level=info msg=x
    "#]]
    .assert_eq(&buffer.take());
}

#[test]
fn errors_print_their_causes() {
    #[derive(Debug, thiserror::Error)]
    #[error("unable to load journal")]
    struct Outer(#[source] std::io::Error);
    let error = Outer(std::io::Error::other("disk on fire"));
    check(
        Format::Default,
        || {
            tracing::error!(error = %chain(&error), "Failed");
            tracing::error!(error = &error as &dyn Error, "Failed");
        },
        expect![[r#"
            time="2026-11-22T12:34:24Z" level=error msg=Failed error="unable to load journal: disk on fire"
            time="2026-11-22T12:34:24Z" level=error msg=Failed error="unable to load journal: disk on fire"
        "#]],
    );
}

#[test]
fn spans_lend_their_fields() {
    check(
        Format::Default,
        || {
            let outer =
                tracing::error_span!("-", subsystem_name = "api", caller = tracing::field::Empty).entered();
            outer.record("caller", "spiffe://td/a");
            let _inner = tracing::error_span!("-", method = "Mint", subsystem_name = "svid").entered();
            tracing::info!(method = "Other", "Called");
        },
        expect![[r#"
            time="2026-11-22T12:34:24Z" level=info msg=Called caller="spiffe://td/a" method=Other subsystem_name=svid
        "#]],
    );
}

#[test]
fn the_level_changes_at_run_time_and_dependencies_stay_quiet() {
    let (options, buffer) = options(Format::Default);
    let (handle, subscriber) = build(options).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        let log = || {
            tracing::debug!("debug");
            tracing::info!("info");
            tracing::info!(target: "h2::codec", "foreign info");
            tracing::warn!(target: "h2::codec", "foreign warning");
            tracing::error!("error");
        };
        let mut seen = Vec::new();
        for level in [None, Some(Level::Trace), Some(Level::Info), Some(Level::Error), Some(Level::Panic)] {
            level.map_or_else(|| handle.reset_level(), |level| handle.set_level(level));
            log();
            let text = buffer.take();
            let messages: Vec<&str> = text.lines().filter_map(|line| line.split("msg=").nth(1)).collect();
            seen.push(format!("{}: {}", handle.level(), messages.join(", ")));
        }
        expect![[r#"
            debug: debug, info, "foreign warning", error
            trace: debug, info, "foreign warning", error
            info: info, "foreign warning", error
            error: error
            panic: "#]]
        .assert_eq(&seen.join("\n"));
        handle.reset_level();
        assert_eq!((handle.level(), handle.launch_level()), (Level::Debug, Level::Debug));
    });
}

#[test]
fn lines_may_say_where_they_come_from() {
    let (mut options, buffer) = options(Format::Default);
    options.source_location = SourceLocation::Shown;
    let (_, subscriber) = build(options).unwrap();
    tracing::subscriber::with_default(subscriber, || tracing::info!("here"));
    let line = buffer.take();
    assert!(line.contains(r#"msg=here file="tests.rs:"#), "{line}");
    assert!(line.contains(r#" func="finial_runtime::logging::tests""#), "{line}");
}

#[test]
fn fields_known_only_at_run_time() {
    let (options, buffer) = options(Format::Json);
    let (handle, _subscriber) = build(options).unwrap();
    handle.write(Level::Trace, "hidden", []);
    handle.write(Level::Error, "said", [("plugin_name".into(), "x".into()), ("n".into(), 7_u64.into())]);
    expect![[r#"
        {"level":"error","msg":"said","n":7,"plugin_name":"x","time":"2026-11-22T12:34:24.5Z"}
    "#]]
    .assert_eq(&buffer.take());
}

#[test]
fn the_file_is_reopened_after_a_rotation() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("server.log");
    let (mut options, _) = options(Format::Default);
    options.output = Output::File(path.clone());
    let (handle, _subscriber) = build(options).unwrap();
    handle.write(Level::Info, "one", []);
    std::fs::rename(&path, directory.path().join("server.log.1")).unwrap();
    handle.write(Level::Info, "two", []);
    handle.reopen().unwrap();
    handle.write(Level::Info, "three", []);

    let old = std::fs::read_to_string(directory.path().join("server.log.1")).unwrap();
    assert!(old.contains("msg=one") && old.contains("msg=two"));
    assert!(std::fs::read_to_string(&path).unwrap().contains("msg=three"));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);

    drop(directory);
    assert!(handle.reopen().unwrap_err().to_string().starts_with("cannot open log file /"));
}

#[test]
fn formats_have_spires_names() {
    assert_eq!("JSON".parse(), Ok(Format::Json));
    assert_eq!("".parse(), Ok(Format::Default));
    assert_eq!("xml".parse::<Format>().unwrap_err().to_string(), r#"unknown logger format: "xml""#);
}

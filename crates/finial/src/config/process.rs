//! What server and agent have in common: the log, health checks, profiling.

use super::reader::{Flag, Reader};
use finial_runtime::logging::{Format, Level, Options, Output, SourceLocation};
use std::path::{Path, PathBuf};

/// How to log.
#[derive(Debug, Clone)]
pub(crate) struct LogSettings {
    /// The level at launch.
    pub(crate) level: Level,
    /// The shape of a line.
    pub(crate) format: Format,
    /// A file, or standard output.
    pub(crate) file: Option<PathBuf>,
    /// Whether lines tell where in the source they come from.
    pub(crate) source_location: SourceLocation,
}

impl LogSettings {
    /// As the log wants them.
    pub(crate) fn options(&self) -> Options {
        Options {
            level: self.level,
            format: self.format,
            output: self.file.clone().map_or(Output::Stdout, Output::File),
            source_location: self.source_location,
            ..Options::default()
        }
    }
}

/// The flags that say how to log.
pub(super) struct LogFlags<'f> {
    pub(super) file: &'f str,
    pub(super) format: &'f str,
    pub(super) level: &'f str,
    pub(super) source_location: bool,
}

const NO_LOGGER: &str = "could not start logger";

/// Reads the keys `log_…`.
pub(super) fn read_log(section: &mut Reader<'_>, flags: &LogFlags<'_>) -> Option<LogSettings> {
    let level = section.text("log_level", Flag::new("logLevel", flags.level), "INFO");
    let level = section.parsed(&level, NO_LOGGER, str::parse::<Level>);
    let format = section.text("log_format", Flag::new("logFormat", flags.format), "");
    let format = section.parsed(&format, NO_LOGGER, str::parse::<Format>);
    let path = section.text("log_file", Flag::new("logFile", flags.file), "");
    let file = Some(PathBuf::from(&path.value)).filter(|file| !file.as_os_str().is_empty());
    if let Some(file) = &file
        && !directory_of(file).is_dir()
    {
        section.problem(&path, format!("open {}: no such file or directory", file.display()));
    }
    let source_location = match section.is_set("log_source_location", flags.source_location) {
        true => SourceLocation::Shown,
        false => SourceLocation::Hidden,
    };
    Some(LogSettings { level: level?, format: format?, file, source_location })
}

fn directory_of(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Where health is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HealthListener {
    /// Host name or IP address, and port.
    pub(crate) address: String,
    /// The path of the question whether the process is alive.
    pub(crate) live_path: String,
    /// The path of the question whether it can do its work.
    pub(crate) ready_path: String,
}

/// Reads `health_checks`; nothing if they are off.
pub(super) fn read_health(root: &mut Reader<'_>) -> Option<HealthListener> {
    let mut section = root.block("health_checks");
    let is_on = section.is_set("listener_enabled", false);
    let host = section.text("bind_address", Flag::NONE, "localhost").value;
    let port = section.text("bind_port", Flag::NONE, "80");
    if port.value.parse::<u16>().is_err() {
        section.problem(&port, format!("bind_port {:?} is not a port", port.value));
    }
    let mut path = |key, default| {
        let path = section.text(key, Flag::NONE, default);
        if !path.value.starts_with('/') {
            section.problem(&path, format!("{key} {:?} must begin with a slash", path.value));
        }
        path
    };
    let (live, ready) = (path("live_path", "/live"), path("ready_path", "/ready"));
    if live.value == ready.value {
        section.problem(&ready, "ready_path and live_path must be different");
    }
    section.finish("health check");
    let host = host.trim_matches(['[', ']']);
    let address = if host.contains(':') {
        format!("[{host}]:{}", port.value)
    } else {
        format!("{host}:{}", port.value)
    };
    is_on.then_some(HealthListener { address, live_path: live.value, ready_path: ready.value })
}

/// Reads the keys `profiling_…`, which nobody should need.
pub(super) fn read_profiling(section: &mut Reader<'_>) {
    let is_on = section.is_set("profiling_enabled", false);
    if is_on {
        section.warn_at("profiling_enabled", "has no effect: profiling is not available in this version");
    }
    section.accept(&["profiling_port", "profiling_freq", "profiling_names"]);
}

/// The developers' switches of SPIRE.
const FEATURE_FLAGS: [&str; 2] = ["i_am_a_test_flag", "wit-svid"];

/// Reads `feature_flags`.
pub(super) fn read_feature_flags(section: &mut Reader<'_>) {
    let flags = section.texts("feature_flags");
    let is_unknown = |flag: &&String| !FEATURE_FLAGS.contains(&flag.as_str());
    let unknown: Vec<&str> = flags.iter().filter(is_unknown).map(String::as_str).collect();
    if !unknown.is_empty() {
        let message =
            format!("error loading feature flags: unknown feature flag(s): [{}]", unknown.join(" "));
        section.problem_at("feature_flags", message);
    }
    if flags.iter().any(|flag| flag == "wit-svid") {
        section.problem_at(
            "feature_flags",
            "wit-svid: WIT-SVIDs are not available in this version; leave the flag out",
        );
    }
}

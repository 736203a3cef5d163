//! Log levels, of the server and of the agent.

use super::Fault;
use finial_proto::types::{LogLevel, Logger};
use std::io::Write;

/// The result of all `logger` commands.
pub(crate) fn print_logger(out: &mut impl Write, logger: &Logger) -> Result<(), Fault> {
    writeln!(out, "Logger Level : {}", level_name(logger.current_level()))?;
    write!(out, "Launch Level : {}\n\n", level_name(logger.launch_level()))?;
    Ok(())
}

fn level_name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Unspecified => "unspecified",
        LogLevel::Panic => "panic",
        LogLevel::Fatal => "fatal",
        LogLevel::Error => "error",
        LogLevel::Warn => "warning",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    }
}

/// Reads the name of a level in any case.
pub(crate) fn parse_level(name: &str) -> Option<LogLevel> {
    match name.to_lowercase().as_str() {
        "panic" => Some(LogLevel::Panic),
        "fatal" => Some(LogLevel::Fatal),
        "error" => Some(LogLevel::Error),
        "warn" | "warning" => Some(LogLevel::Warn),
        "info" => Some(LogLevel::Info),
        "debug" => Some(LogLevel::Debug),
        "trace" => Some(LogLevel::Trace),
        _ => None,
    }
}

//! Log levels, for the Logger services of server and agent.

use finial_identity::Failure;
use finial_proto::types::{self, LogLevel};
use finial_runtime::logging::{Handle, Level};

/// What a log tells about itself.
pub fn logger_to_proto(log: &Handle) -> types::Logger {
    types::Logger {
        current_level: level_to_proto(log.level()).into(),
        launch_level: level_to_proto(log.launch_level()).into(),
    }
}

/// The published number of a level.
pub fn level_to_proto(level: Level) -> LogLevel {
    match level {
        Level::Panic => LogLevel::Panic,
        Level::Fatal => LogLevel::Fatal,
        Level::Error => LogLevel::Error,
        Level::Warn => LogLevel::Warn,
        Level::Info => LogLevel::Info,
        Level::Debug => LogLevel::Debug,
        Level::Trace => LogLevel::Trace,
    }
}

/// The level of a number; refused with SPIRE's texts.
pub fn level_from_proto(number: i32) -> Result<Level, Failure> {
    match LogLevel::try_from(number) {
        Ok(LogLevel::Unspecified) => Err(Failure::invalid("newLevel value cannot be LogLevel_UNSPECIFIED")),
        Ok(LogLevel::Panic) => Ok(Level::Panic),
        Ok(LogLevel::Fatal) => Ok(Level::Fatal),
        Ok(LogLevel::Error) => Ok(Level::Error),
        Ok(LogLevel::Warn) => Ok(Level::Warn),
        Ok(LogLevel::Info) => Ok(Level::Info),
        Ok(LogLevel::Debug) => Ok(Level::Debug),
        Ok(LogLevel::Trace) => Ok(Level::Trace),
        Err(_) => Err(Failure::invalid("unsupported log level")),
    }
}

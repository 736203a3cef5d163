//! The seven levels of logrus, which operators and the Logger API know.

use std::fmt;
use std::str::FromStr;

use tracing_subscriber::filter::LevelFilter;

/// A log level, from the least to the most talkative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// Only what ends the process by panic.
    Panic,
    /// And what ends it otherwise.
    Fatal,
    /// And errors.
    Error,
    /// And warnings.
    Warn,
    /// And what is worth knowing.
    Info,
    /// And what helps to find errors.
    Debug,
    /// And everything else.
    Trace,
}

/// Text that names no level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid logrus Level: {0:?}")]
pub struct UnknownLevel(pub String);

impl Level {
    /// All levels, from the least to the most talkative.
    pub const ALL: [Self; 7] =
        [Self::Panic, Self::Fatal, Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// The name as logrus prints it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Fatal => "fatal",
            Self::Error => "error",
            Self::Warn => "warning",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }

    /// The four letters and the colour that logrus shows on a terminal.
    pub(super) fn on_terminal(self) -> (&'static str, u8) {
        match self {
            Self::Panic => ("PANI", 31),
            Self::Fatal => ("FATA", 31),
            Self::Error => ("ERRO", 31),
            Self::Warn => ("WARN", 33),
            Self::Info => ("INFO", 36),
            Self::Debug => ("DEBU", 37),
            Self::Trace => ("TRAC", 37),
        }
    }

    /// The most talkative `tracing` level that this level lets through.
    #[must_use]
    pub fn filter(self) -> LevelFilter {
        match self {
            // `tracing` has no events at these two levels.
            Self::Panic | Self::Fatal => LevelFilter::OFF,
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }

    pub(super) fn from_u8(value: u8) -> Self {
        Self::ALL.get(usize::from(value)).copied().unwrap_or(Self::Trace)
    }
}

impl From<&tracing::Level> for Level {
    fn from(level: &tracing::Level) -> Self {
        match *level {
            tracing::Level::ERROR => Self::Error,
            tracing::Level::WARN => Self::Warn,
            tracing::Level::INFO => Self::Info,
            tracing::Level::DEBUG => Self::Debug,
            tracing::Level::TRACE => Self::Trace,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        let lower = text.to_lowercase();
        let level = if lower == "warn" { Some(Self::Warn) } else { None };
        level
            .or_else(|| Self::ALL.into_iter().find(|level| level.as_str() == lower))
            .ok_or_else(|| UnknownLevel(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_logrus_reads() {
        for level in Level::ALL {
            assert_eq!(level.as_str().to_uppercase().parse(), Ok(level));
        }
        assert_eq!("Warn".parse(), Ok(Level::Warn));
        let error = "loud".parse::<Level>().unwrap_err();
        assert_eq!(error.to_string(), r#"not a valid logrus Level: "loud""#);
    }
}

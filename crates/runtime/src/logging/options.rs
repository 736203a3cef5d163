//! How to log: SPIRE's `log_level`, `log_format`, `log_file`, `log_source_location`.

use std::str::FromStr;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::{Level, Output};
use crate::clock::{Clock, SystemClock};

/// SPIRE's `log_format`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// `""`: text with times in whole seconds.
    #[default]
    Default,
    /// `text`: text with times in nanoseconds.
    Text,
    /// `json`: one JSON object per line, times in nanoseconds.
    Json,
}

/// Text that names no format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown logger format: {0:?}")]
pub struct UnknownFormat(pub String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        match text.to_ascii_lowercase().as_str() {
            "" => Ok(Self::Default),
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(UnknownFormat(text.to_owned())),
        }
    }
}

/// Whether lines say where in the source they come from (`file`, `func`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SourceLocation {
    /// Not said.
    #[default]
    Hidden,
    /// Said.
    Shown,
}

/// How to log.
#[derive(Debug, Clone)]
pub struct Options {
    /// The level at launch.
    pub level: Level,
    /// The shape of a line.
    pub format: Format,
    /// Where lines go.
    pub output: Output,
    /// Whether lines carry `file` and `func`.
    pub source_location: SourceLocation,
    /// Stamps the lines.
    pub clock: Arc<dyn Clock>,
    /// The zone of the stamps; `None`: the system's.
    pub zone: Option<TimeZone>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            level: Level::Info,
            format: Format::Default,
            output: Output::Stdout,
            source_location: SourceLocation::Hidden,
            clock: Arc::new(SystemClock),
            zone: None,
        }
    }
}

//! What the logger commands of server and agent have in common.

use crate::flags::{Flag, Values, text};
use crate::output::go_text::quoted;
use crate::output::logger::{parse_level, print_logger};
use crate::output::{Fault, Format, Terminal, json};
use finial_proto::types::{LogLevel, Logger};

/// The flag of `logger set`.
pub(crate) const LEVEL_FLAGS: &[Flag] =
    &[text("level", "The new log level, one of (panic, fatal, error, warn, info, debug, trace)")];

/// The level that was asked for.
pub(crate) fn wanted_level(flags: &Values) -> Result<LogLevel, Fault> {
    let name = flags.some_text("level").ok_or_else(|| Fault::new("a value (-level) must be set"))?;
    parse_level(name).ok_or_else(|| Fault::new(format!("the value {} is not a valid setting", quoted(name))))
}

/// Shows the levels.
pub(crate) fn show(terminal: &mut Terminal, format: Format, logger: &Logger) -> Result<(), Fault> {
    match format {
        Format::Json => Ok(json::print(&mut terminal.out, logger)?),
        Format::Pretty => print_logger(&mut terminal.out, logger),
    }
}

pub(crate) const WHILE_GETTING: &str = "error fetching logger";
pub(crate) const WHILE_SETTING: &str = "failed to set log level";
pub(crate) const WHILE_RESETTING: &str = "failed to reset logger";

//! The usage text of a set of flags, as Go prints it.

use super::{Flag, FlagSet, Kind};
use crate::output::go_text::quoted;
use finial_runtime::config::duration::GoDuration;

/// `Usage of <name>:` and all flags with their help, in the order of their names.
pub(crate) fn usage(set: &FlagSet) -> String {
    let mut text = format!("Usage of {}:\n", set.name);
    for flag in set.sorted() {
        text.push_str(&describe(flag));
    }
    text
}

/// A flag in two lines: `  -name type`, and below its help with what holds when it is not given.
pub(crate) fn describe(flag: &Flag) -> String {
    let kind = match type_name(flag.kind) {
        "" => String::new(),
        name => format!(" {name}"),
    };
    let help = flag.help.replace('\n', "\n    \t");
    format!("  -{}{kind}\n    \t{help}{}\n", flag.name, default_note(flag.kind))
}

pub(crate) fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool | Kind::Switch => "",
        Kind::Text(_) => "string",
        Kind::Int(_) => "int",
        Kind::Duration(_) => "duration",
        Kind::Timeout(_) | Kind::List | Kind::CommaList | Kind::ThreeWay | Kind::Format => "value",
    }
}

fn default_note(kind: Kind) -> String {
    match kind {
        Kind::Text(text) if !text.is_empty() => format!(" (default {})", quoted(text)),
        Kind::Int(number) if number != 0 => format!(" (default {number})"),
        Kind::Duration(seconds) | Kind::Timeout(seconds) if seconds != 0 => {
            format!(" (default {})", GoDuration::from_nanos(seconds * 1_000_000_000))
        }
        _ => String::new(),
    }
}

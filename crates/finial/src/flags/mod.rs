//! Command-line flags with Go's grammar, described by tables.
//!
//! For the command line of both sides. Scripts, charts and init systems call SPIRE with Go's flags: one dash
//! or two, `-x v` or `-x=v`, truth values only with `=`, and the first word that is no flag ends the flags.
//! A command is a table of [`Flag`]s; parsing, usage text and shell completion all come from that table.
//!
//! Pure: it reads no environment and prints nothing.

mod parse;
mod usage;
mod values;

#[cfg(test)]
mod tests;

pub(crate) use parse::{FlagError, parse};
#[cfg(test)]
pub(crate) use usage::type_name;
pub(crate) use usage::{describe, usage};
pub(crate) use values::Values;

use crate::output::Format;

/// One flag.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flag {
    /// Without dashes.
    pub(crate) name: &'static str,
    /// What it takes.
    pub(crate) kind: Kind,
    /// One sentence, as SPIRE's usage text has it.
    pub(crate) help: &'static str,
}

/// What a flag takes, with what holds when it is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing, or a truth value after `=`. Off unless given.
    Bool,
    /// As [`Self::Bool`], but whatever comes after `=` turns it on, too.
    Switch,
    /// Any text.
    Text(&'static str),
    /// A whole number, also in Go's other notations (`0x10`, `1_000`).
    Int(i64),
    /// A duration in Go's notation, in seconds when not given. Its usage says `duration`.
    Duration(i64),
    /// As [`Self::Duration`], but its usage says `value` and its errors say what is wrong.
    Timeout(i64),
    /// Texts; each use adds one.
    List,
    /// Texts between commas; the last use holds.
    CommaList,
    /// `true`, `false`, or anything else for "both".
    ThreeWay,
    /// How results are printed. All flags of this kind in one set are one setting.
    Format,
}

/// The flags of a command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FlagSet {
    /// How usage calls the command; not always its path.
    pub(crate) name: &'static str,
    /// Groups, so that commands can share some.
    pub(crate) groups: &'static [&'static [Flag]],
}

/// The value of one flag.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Bool(bool),
    Text(String),
    Int(i64),
    Nanos(i64),
    List(Vec<String>),
    ThreeWay(Option<bool>),
    Format(Format),
}

/// The flag that says how results are printed.
pub(crate) const OUTPUT: Flag = Flag {
    name: "output",
    kind: Kind::Format,
    help: "Desired output format (pretty, json); default: pretty.",
};

/// A flag that takes any text and is empty by default.
pub(crate) const fn text(name: &'static str, help: &'static str) -> Flag {
    Flag { name, kind: Kind::Text(""), help }
}

/// A flag that is on or off.
pub(crate) const fn switch(name: &'static str, help: &'static str) -> Flag {
    Flag { name, kind: Kind::Bool, help }
}

/// A flag that can be used more than once.
pub(crate) const fn list(name: &'static str, help: &'static str) -> Flag {
    Flag { name, kind: Kind::List, help }
}

impl FlagSet {
    /// All flags in the order of their names.
    pub(crate) fn sorted(&self) -> Vec<&'static Flag> {
        let mut flags: Vec<&'static Flag> = self.groups.iter().flat_map(|group| group.iter()).collect();
        flags.sort_by_key(|flag| flag.name);
        flags
    }

    fn find(&self, name: &str) -> Option<&'static Flag> {
        self.groups.iter().flat_map(|group| group.iter()).find(|flag| flag.name == name)
    }
}

impl Kind {
    /// Whether the flag stands alone, so that the next word is not its value.
    fn stands_alone(self) -> bool {
        matches!(self, Self::Bool | Self::Switch)
    }

    fn default_value(self) -> Value {
        match self {
            Self::Bool | Self::Switch => Value::Bool(false),
            Self::Text(text) => Value::Text(text.to_owned()),
            Self::Int(number) => Value::Int(number),
            Self::Duration(seconds) | Self::Timeout(seconds) => Value::Nanos(seconds * 1_000_000_000),
            Self::List | Self::CommaList => Value::List(Vec::new()),
            Self::ThreeWay => Value::ThreeWay(None),
            Self::Format => Value::Format(Format::Pretty),
        }
    }
}

/// Under which name the value of a flag is kept.
fn slot(flag: &Flag) -> &'static str {
    if flag.kind == Kind::Format { OUTPUT.name } else { flag.name }
}

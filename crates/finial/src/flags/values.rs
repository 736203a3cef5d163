//! What was given on a command line.

use super::{Flag, FlagSet, OUTPUT, Value, slot};
use crate::output::Format;
use finial_runtime::config::duration::GoDuration;
use std::collections::{BTreeMap, BTreeSet};

/// The values of all flags of a set, and the words that are no flags.
///
/// Asking for a flag that the set does not have, or as another kind than it is, is a mistake in a command's
/// table: debug builds stop, release builds answer as if it had not been given.
#[derive(Debug, Clone)]
pub(crate) struct Values {
    values: BTreeMap<&'static str, Value>,
    given: BTreeSet<&'static str>,
    arguments: Vec<String>,
}

impl Values {
    pub(super) fn defaults(set: &FlagSet) -> Self {
        let values = set.sorted().into_iter().map(|flag| (slot(flag), flag.kind.default_value())).collect();
        Self { values, given: BTreeSet::new(), arguments: Vec::new() }
    }

    pub(super) fn set(&mut self, flag: &'static Flag, value: Value) {
        self.values.insert(slot(flag), value);
        self.given.insert(slot(flag));
    }

    pub(super) fn set_arguments(&mut self, arguments: &[String]) {
        self.arguments = arguments.to_vec();
    }

    /// The words after the flags.
    pub(crate) fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// Whether the flag was on the command line.
    pub(crate) fn is_given(&self, name: &str) -> bool {
        self.given.contains(name)
    }

    /// The text of a flag.
    pub(crate) fn text(&self, name: &str) -> &str {
        match self.values.get(name) {
            Some(Value::Text(text)) => text,
            _ => mistaken(name, ""),
        }
    }

    /// The text of a flag, if it is not empty.
    pub(crate) fn some_text(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// Whether a flag is on.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        match self.values.get(name) {
            Some(Value::Bool(on)) => *on,
            _ => mistaken(name, false),
        }
    }

    /// The number of a flag.
    pub(crate) fn int(&self, name: &str) -> i64 {
        match self.values.get(name) {
            Some(Value::Int(number)) => *number,
            _ => mistaken(name, 0),
        }
    }

    /// The duration of a flag.
    pub(crate) fn duration(&self, name: &str) -> GoDuration {
        match self.values.get(name) {
            Some(Value::Nanos(nanos)) => GoDuration::from_nanos(*nanos),
            _ => mistaken(name, GoDuration::default()),
        }
    }

    /// The texts of a flag.
    pub(crate) fn list(&self, name: &str) -> &[String] {
        match self.values.get(name) {
            Some(Value::List(texts)) => texts,
            _ => mistaken(name, &[]),
        }
    }

    /// The choice of a flag: nothing means both.
    pub(crate) fn three_way(&self, name: &str) -> Option<bool> {
        match self.values.get(name) {
            Some(Value::ThreeWay(choice)) => *choice,
            _ => mistaken(name, None),
        }
    }

    /// How results are to be printed.
    pub(crate) fn format(&self) -> Format {
        match self.values.get(OUTPUT.name) {
            Some(Value::Format(format)) => *format,
            _ => Format::Pretty,
        }
    }

    pub(super) fn list_of(&self, flag: &Flag) -> Vec<String> {
        match self.values.get(flag.name) {
            Some(Value::List(texts)) => texts.clone(),
            _ => Vec::new(),
        }
    }
}

fn mistaken<T>(name: &str, otherwise: T) -> T {
    debug_assert!(false, "the command's table has no flag {name:?} of this kind");
    otherwise
}

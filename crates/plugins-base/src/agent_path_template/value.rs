//! What templates compute with.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A value, as far as agent paths need Go's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `nil`.
    Nil,
    /// `bool`.
    Bool(bool),
    /// `int`.
    Int(i64),
    /// `string`.
    Text(String),
    /// A slice.
    List(Vec<Value>),
    /// A map, or a struct: the names and what they hold.
    Map(BTreeMap<String, Value>),
    /// A Go type that can be printed and nothing else, for example a `*big.Int`.
    Printable {
        /// Go's name of the type, for errors.
        kind: &'static str,
        /// How it prints.
        text: String,
    },
}

impl Value {
    /// A map or struct of these members.
    pub fn map<K: Into<String>>(members: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::Map(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }

    /// A list of texts.
    pub fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::List(texts.into_iter().map(|text| Self::Text(text.into())).collect())
    }

    /// Go's name of its type.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Text(_) => "string",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Printable { kind, .. } => kind,
        }
    }

    /// Go's truth: not zero and not empty.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(truth) => *truth,
            Self::Int(number) => *number != 0,
            Self::Text(text) => !text.is_empty(),
            Self::List(list) => !list.is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::Printable { .. } => true,
        }
    }

    /// As a template prints it.
    pub(super) fn print(&self, out: &mut String) {
        match self {
            Self::Nil => out.push_str("<no value>"),
            other => other.print_v(out),
        }
    }

    /// As `%v` prints it.
    pub(super) fn print_v(&self, out: &mut String) {
        match self {
            Self::Nil => out.push_str("<nil>"),
            Self::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
            Self::Int(number) => {
                // Writing to a string does not fail.
                let _ = write!(out, "{number}");
            }
            Self::Text(text) | Self::Printable { text, .. } => out.push_str(text),
            Self::List(list) => {
                out.push('[');
                for (index, value) in list.iter().enumerate() {
                    out.push_str(if index > 0 { " " } else { "" });
                    value.print_v(out);
                }
                out.push(']');
            }
            Self::Map(map) => {
                out.push_str("map[");
                for (index, (name, value)) in map.iter().enumerate() {
                    out.push_str(if index > 0 { " " } else { "" });
                    out.push_str(name);
                    out.push(':');
                    value.print_v(out);
                }
                out.push(']');
            }
        }
    }

    /// The text that `%v` prints.
    pub(super) fn to_text(&self) -> String {
        let mut out = String::new();
        self.print_v(&mut out);
        out
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

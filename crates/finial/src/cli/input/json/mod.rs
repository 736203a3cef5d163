//! JSON documents with the verdicts of Go's `encoding/json`.
//!
//! Operators know its errors, and its leniency is part of the interface: names of members in any case, unknown
//! members passed over, `null` for "not given".

mod decode;
mod scan;

pub(crate) use decode::{Decoder, Place};
pub(crate) use scan::parse;

/// A JSON value as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number in its own text.
    Number(String),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Json>),
    /// Members in their order, and where the object stands in the document.
    Object(Vec<(String, Json)>, std::ops::Range<usize>),
}

/// Text that is not JSON, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SyntaxError {
    /// It stops too early.
    #[error("unexpected end of JSON input")]
    End,
    /// Something stands where it cannot.
    #[error("invalid character {} {context}", crate::output::go_text::quoted_char(*.found))]
    Unexpected {
        /// What was found.
        found: char,
        /// What was being read.
        context: String,
    },
    /// Lists within lists without end.
    #[error("exceeded max depth")]
    Depth,
}

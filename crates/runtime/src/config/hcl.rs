//! HCL 1 and JSON text to a syntax tree with the place of every key and value, and back to text.
//!
//! For [`super::decode`] and for handing `plugin_data` to external plugins. It accepts what SPIRE accepts
//! (`hcl.Decode` of `hashicorp/hcl` 1): it must not get stricter, except where that library crashes or
//! silently loses text. Bounded: 4 MiB of input, 100 levels, linear time, no panics.
//!
//! Known differences, on purpose: JSON must be well formed (trailing commas are fine), and `null` means that the
//! key is absent; strings must end up as UTF-8; an exponent without digits is refused, and `.5e3` is one number.

mod ast;
mod cursor;
mod json;
mod lexer;
mod parser;
mod printer;
mod strings;

use std::borrow::Cow;
use std::sync::Arc;

pub use ast::{Body, Entry, Key, KeyForm, Node, NodeKind, Position};

use super::problem::Problem;
use super::value::Value;

/// The longest text that is read, in bytes.
pub const MAX_INPUT: usize = 4 << 20;
/// The deepest nesting, labels included.
pub const MAX_DEPTH: usize = 100;

/// A parsed text.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    file: Arc<str>,
    root: Body,
    notices: Vec<Problem>,
}

impl Document {
    /// A document without keys.
    #[must_use]
    pub fn empty(file: &str) -> Self {
        Self { file: file.into(), root: Body::default(), notices: Vec::new() }
    }

    /// A document made of a tree.
    #[must_use]
    pub fn from_body(file: &str, root: Body) -> Self {
        Self::of(&file.into(), root)
    }

    pub(super) fn of(file: &Arc<str>, root: Body) -> Self {
        Self { file: Arc::clone(file), root, notices: Vec::new() }
    }

    /// The name given to the parser, which problems print.
    #[must_use]
    pub fn file(&self) -> &Arc<str> {
        &self.file
    }

    /// The tree.
    #[must_use]
    pub fn root(&self) -> &Body {
        &self.root
    }

    /// What SPIRE accepts without a word but was hardly meant: keys that are set twice, a last key without value.
    #[must_use]
    pub fn notices(&self) -> &[Problem] {
        &self.notices
    }

    /// The document as HCL text with the same meaning; empty for an empty document. Comments are not kept.
    #[must_use]
    pub fn to_text(&self) -> String {
        printer::print(&self.root)
    }

    /// The document as a plain value.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::of_body(&self.root)
    }
}

/// A problem of syntax at a place; becomes a [`Problem`] when the file is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) at: Position,
    pub(crate) message: String,
}

impl SyntaxError {
    fn new(at: Position, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }
}

/// Reads HCL 1, or JSON when the first thing in the text is `{`. `file` is only a name for problems.
pub fn parse(file: &str, text: &str) -> Result<Document, Problem> {
    let file: Arc<str> = file.into();
    let place = |error: SyntaxError| Problem::new(&file, error.at, String::new(), error.message);
    if text.len() > MAX_INPUT {
        let message = format!("the text is longer than {MAX_INPUT} bytes");
        return Err(place(SyntaxError::new(Position::default(), message)));
    }
    let mut root = if is_json(text) {
        json::parse(text).map_err(place)?
    } else {
        let text =
            if text.contains("\r\n") { Cow::Owned(text.replace("\r\n", "\n")) } else { Cow::Borrowed(text) };
        parser::parse(&text).map_err(place)?
    };
    let notices = std::mem::take(&mut root.notices);
    let notices = notices.into_iter().map(place).collect();
    Ok(Document { root: root.body, notices, file: Arc::clone(&file) })
}

/// Like [`parse`], for bytes that should be UTF-8.
pub fn parse_bytes(file: &str, bytes: &[u8]) -> Result<Document, Problem> {
    match std::str::from_utf8(bytes) {
        Ok(text) => parse(file, text),
        Err(error) => {
            let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            let line = 1 + good.matches('\n').count();
            let column = 1 + good.chars().rev().take_while(|c| *c != '\n').count();
            let at = Position { line: line as u32, column: column as u32 };
            Err(Problem::new(&file.into(), at, String::new(), "illegal UTF-8 encoding"))
        }
    }
}

/// Like [`parse`], but a key that is set twice is refused.
pub fn parse_refusing_duplicates(file: &str, text: &str) -> Result<Document, Problem> {
    let document = parse(file, text)?;
    match document.notices.first() {
        Some(notice) => Err(notice.clone()),
        None => Ok(document),
    }
}

fn is_json(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

/// A finished tree with what was noticed on the way.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    body: Body,
    notices: Vec<SyntaxError>,
}

#[cfg(test)]
mod tests;

//! The syntax tree. Labels stay keys of one entry here; [`crate::config::decode`] treats them as nesting.

/// A place in a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// From 1; 0 when not known.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
}

/// What stands between two braces, or the whole text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Body {
    /// In the order of the text.
    pub entries: Vec<Entry>,
}

/// `key = value`, `key { … }` or `key "label" { … }`.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key and the labels; never empty.
    pub keys: Vec<Key>,
    /// Whether there was a `=` (in JSON: whether the value is no object).
    pub assigned: bool,
    /// The value; an object when there are labels.
    pub value: Node,
}

/// A key or a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Without quotes and escapes.
    pub text: String,
    /// How it was written.
    pub form: KeyForm,
    /// Where it begins.
    pub at: Position,
}

/// How a key was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyForm {
    /// Without quotes.
    Bare,
    /// In quotes.
    Quoted,
    /// In JSON.
    Json,
}

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub at: Position,
    /// What it is.
    pub kind: NodeKind,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeKind {
    /// Text. `raw` is how it was written with its quotes, if it was one quoted string of HCL.
    String {
        /// Without quotes and escapes; `${…}` as it was written.
        value: String,
        /// As it was written.
        raw: Option<Box<str>>,
    },
    /// A whole number as it was written: decimal, octal (`017`) or hexadecimal (`0x1F`).
    Integer(String),
    /// A number with a point or an exponent, as it was written.
    Float(String),
    /// `true` or `false`.
    Bool(bool),
    /// `[ … ]`.
    List(Vec<Node>),
    /// `{ … }`.
    Object(Body),
}

impl NodeKind {
    /// A word for it in problems.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::String { .. } => "a string",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number with a fraction",
            Self::Bool(_) => "true or false",
            Self::List(_) => "a list",
            Self::Object(_) => "a block",
        }
    }
}

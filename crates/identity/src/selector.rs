//! Selectors: the attested properties by which entries are matched.

use std::fmt;

/// One attested property, written `kind:value`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector {
    /// Who attested it, for example `unix`; not empty, without `:`.
    pub kind: String,
    /// What was attested, for example `uid:1000`; not empty, may contain `:`.
    pub value: String,
}

/// Why a selector was refused. The texts are SPIRE's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// The kind is empty.
    #[error("missing selector type")]
    MissingKind,
    /// The kind contains the separator.
    #[error("selector type contains ':'")]
    SeparatorInKind,
    /// The value is empty.
    #[error("missing selector value")]
    MissingValue,
    /// There is no `:` at all.
    #[error("selector {0:?} must be formatted as type:value")]
    NotKindColonValue(String),
}

impl Selector {
    /// A selector from its two parts.
    pub fn new(kind: impl Into<String>, value: impl Into<String>) -> Result<Self, SelectorError> {
        let (kind, value) = (kind.into(), value.into());
        if kind.is_empty() {
            return Err(SelectorError::MissingKind);
        }
        if kind.contains(':') {
            return Err(SelectorError::SeparatorInKind);
        }
        if value.is_empty() {
            return Err(SelectorError::MissingValue);
        }
        Ok(Self { kind, value })
    }

    /// Reads `kind:value`, split at the first colon.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let (kind, value) =
            text.split_once(':').ok_or_else(|| SelectorError::NotKindColonValue(text.to_owned()))?;
        Self::new(kind, value)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.value)
    }
}

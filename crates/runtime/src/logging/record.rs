//! One log line before it is formatted: level, message and typed fields.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Write};
use std::time::SystemTime;

use tracing::field::{Field, Visit};

use super::Level;

/// The value of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldValue {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i128),
    /// A number with a fraction.
    Float(f64),
    /// A truth value.
    Bool(bool),
}

impl From<&str> for FieldValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for FieldValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for FieldValue {
    fn from(number: i64) -> Self {
        Self::Integer(number.into())
    }
}

impl From<u64> for FieldValue {
    fn from(number: u64) -> Self {
        Self::Integer(number.into())
    }
}

impl From<f64> for FieldValue {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<bool> for FieldValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// Fields by name; a later value replaces an earlier one.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields {
    pub(super) message: String,
    list: Vec<(Cow<'static, str>, FieldValue)>,
}

impl Fields {
    pub(super) fn set(&mut self, name: impl Into<Cow<'static, str>>, value: FieldValue) {
        let name = unclashed(name.into());
        match self.list.iter_mut().find(|(known, _)| *known == name) {
            Some((_, slot)) => *slot = value,
            None => self.list.push((name, value)),
        }
    }

    /// Takes over the fields of an enclosing span; what the event says itself wins.
    pub(super) fn inherit(&mut self, outer: &Self) {
        for (name, value) in &outer.list {
            if !self.list.iter().any(|(known, _)| known == name) {
                self.list.push((name.clone(), value.clone()));
            }
        }
    }

    pub(super) fn sorted(&mut self) -> &[(Cow<'static, str>, FieldValue)] {
        self.list.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        &self.list
    }

    fn put(&mut self, field: &Field, value: FieldValue) {
        match (field.name(), value) {
            ("message", FieldValue::Text(text)) => self.message = text,
            (name, value) => self.set(name, value),
        }
    }
}

/// logrus moves fields that carry the name of a fixed part out of its way.
fn unclashed(name: Cow<'static, str>) -> Cow<'static, str> {
    match name.as_ref() {
        "time" => "fields.time".into(),
        "msg" => "fields.msg".into(),
        "level" => "fields.level".into(),
        "logrus_error" => "fields.logrus_error".into(),
        _ => name,
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // Writing to a `String` fails only when the value's own formatter does; keep what there is.
        let _ = write!(text, "{value:?}");
        self.put(field, FieldValue::Text(text));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, FieldValue::Bool(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.put(field, FieldValue::Integer(value));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        let value = i128::try_from(value).map_or_else(|_| value.to_string().into(), FieldValue::Integer);
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, FieldValue::Float(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.put(field, chain(value).to_string().into());
    }
}

/// One line.
pub(super) struct Record<'a> {
    pub(super) time: SystemTime,
    pub(super) level: Level,
    pub(super) fields: &'a mut Fields,
}

/// An error with all its causes, as one line joined by `": "` (the way that SPIRE's errors read).
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl fmt::Display + 'a {
    struct Chain<'a>(&'a (dyn Error + 'static));
    impl fmt::Display for Chain<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}", self.0)?;
            let mut cause = self.0.source();
            while let Some(error) = cause {
                write!(f, ": {error}")?;
                cause = error.source();
            }
            Ok(())
        }
    }
    Chain(error)
}

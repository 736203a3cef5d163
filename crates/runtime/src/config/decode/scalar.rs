//! Single values with HCL 1's weak typing and Go's notation of numbers.

use crate::config::go_text::quoted;
use crate::config::hcl::NodeKind;

/// What a key should hold, in words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted(pub(super) &'static str);

impl Wanted {
    pub(super) const STRING: Self = Self("a string");
    pub(super) const INTEGER: Self = Self("a whole number");
    pub(super) const FLOAT: Self = Self("a number without quotes");
    pub(super) const BOOL: Self = Self("true or false without quotes");
    pub(super) const LIST: Self = Self("a list of strings");
    pub(super) const BLOCK: Self = Self("a block");
}

/// What came of reading a value.
pub(super) enum Read<T> {
    Value(T),
    /// It has the wrong type.
    Mismatch,
    /// It has the right type but says nothing sensible.
    Malformed(String),
}

pub(super) fn string(kind: &NodeKind) -> Read<String> {
    match kind {
        NodeKind::String { value, .. } | NodeKind::Integer(value) => Read::Value(value.clone()),
        _ => Read::Mismatch,
    }
}

pub(super) fn integer(kind: &NodeKind) -> Read<i64> {
    match kind {
        NodeKind::String { value: text, .. } | NodeKind::Integer(text) => match parse_integer(text) {
            Ok(number) => Read::Value(number),
            Err(reason) => Read::Malformed(format!("{} is {reason}", quoted(text))),
        },
        _ => Read::Mismatch,
    }
}

pub(super) fn float(kind: &NodeKind) -> Read<f64> {
    match kind {
        NodeKind::Float(text) | NodeKind::Integer(text) => match text.parse() {
            Ok(number) => Read::Value(number),
            Err(_) => Read::Malformed(format!("{} is not a decimal number", quoted(text))),
        },
        _ => Read::Mismatch,
    }
}

pub(super) fn boolean(kind: &NodeKind) -> Read<bool> {
    match kind {
        NodeKind::Bool(value) => Read::Value(*value),
        _ => Read::Mismatch,
    }
}

/// Reads like Go's `ParseInt` with base 0: `42`, `-0x2a`, `052`, `0o52`, `0b101010`, `1_000`.
fn parse_integer(text: &str) -> Result<i64, &'static str> {
    const SYNTAX: &str = "not a whole number";
    const RANGE: &str = "out of the range of a whole number";
    let (negative, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = unsigned.to_ascii_lowercase();
    let (radix, digits, prefixed) = match lower.as_bytes() {
        [b'0', b'x', _, ..] => (16, &lower[2..], true),
        [b'0', b'o', _, ..] => (8, &lower[2..], true),
        [b'0', b'b', _, ..] => (2, &lower[2..], true),
        [b'0', _, ..] => (8, &lower[1..], true),
        _ => (10, lower.as_str(), false),
    };
    if !underscores_separate(digits, prefixed) {
        return Err(SYNTAX);
    }
    let digits = digits.replace('_', "");
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(SYNTAX);
    }
    let value = i128::from(u64::from_str_radix(&digits, radix).map_err(|_| RANGE)?);
    i64::try_from(if negative { -value } else { value }).map_err(|_| RANGE)
}

/// Every underscore stands between two digits, or between the base's prefix and a digit.
fn underscores_separate(digits: &str, prefixed: bool) -> bool {
    let mut after_digit = prefixed;
    for c in digits.chars() {
        if c == '_' && !after_digit {
            return false;
        }
        after_digit = c != '_';
    }
    after_digit || digits.is_empty()
}

#[cfg(test)]
mod tests {
    use super::parse_integer;

    #[test]
    fn reads_integers_as_go_does() {
        for (text, want) in [
            ("42", Some(42)),
            ("-0x2A", Some(-42)),
            ("+052", Some(42)),
            ("0o52", Some(42)),
            ("0b101010", Some(42)),
            ("0B1", Some(1)),
            ("1_000", Some(1000)),
            ("0x_ff", Some(255)),
            ("0_7", Some(7)),
            ("0", Some(0)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("", None),
            ("-", None),
            ("08", None),
            ("0x", None),
            ("1__0", None),
            ("_1", None),
            ("1_", None),
            (" 1", None),
            ("1.0", None),
            ("--1", None),
            ("0x+1", None),
        ] {
            assert_eq!(parse_integer(text).ok(), want, "{text}");
        }
    }
}

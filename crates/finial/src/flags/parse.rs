//! Go's grammar of flags, and its errors.

use super::{Flag, FlagSet, Kind, Value, Values, slot};
use crate::output::Format;
use crate::output::go_text::quoted;
use finial_runtime::config::duration::GoDuration;

/// Why a command line was refused, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FlagError {
    /// `-h` or `-help` where no such flag is.
    #[error("flag: help requested")]
    Help,
    /// Something like `---x` or `-=x`.
    #[error("bad flag syntax: {0}")]
    Syntax(String),
    /// No such flag.
    #[error("flag provided but not defined: -{0}")]
    Unknown(String),
    /// Nothing after a flag that needs something.
    #[error("flag needs an argument: -{0}")]
    NeedsArgument(&'static str),
    /// Not a truth value.
    #[error("invalid boolean value {} for -{name}: parse error", quoted(.value))]
    NotBoolean {
        /// The flag.
        name: &'static str,
        /// What came after `=`.
        value: String,
    },
    /// A value that the flag does not take.
    #[error("invalid value {} for flag -{name}: {why}", quoted(.value))]
    Value {
        /// The flag.
        name: &'static str,
        /// What was given.
        value: String,
        /// Why not.
        why: String,
    },
}

/// Reads the words after a command. Flags end at `--`, which is swallowed, and at the first word that is none.
pub(crate) fn parse(set: &FlagSet, words: &[String]) -> Result<Values, FlagError> {
    let mut values = Values::defaults(set);
    let mut rest = words;
    while let Some((word, after)) = rest.split_first() {
        let Some(body) = flag_body(word) else { break };
        rest = after;
        let Some(body) = body else { break };
        if body.is_empty() || body.starts_with(['-', '=']) {
            return Err(FlagError::Syntax(word.clone()));
        }
        let (name, value) = split_value(body);
        let Some(flag) = set.find(name) else {
            let is_help = matches!(name, "h" | "help");
            return Err(if is_help { FlagError::Help } else { FlagError::Unknown(name.to_owned()) });
        };
        let value = match (value, flag.kind.stands_alone()) {
            (Some(value), _) => value,
            (None, true) => "true",
            (None, false) => {
                let (value, after) = rest.split_first().ok_or(FlagError::NeedsArgument(flag.name))?;
                rest = after;
                value
            }
        };
        let value = read(flag, value, &values)?;
        values.set(flag, value);
    }
    values.set_arguments(rest);
    Ok(values)
}

/// Nothing for a word that is no flag; within, nothing for the `--` that ends the flags.
fn flag_body(word: &str) -> Option<Option<&str>> {
    if word == "--" {
        return Some(None);
    }
    let body = word.strip_prefix("--").or_else(|| word.strip_prefix('-'))?;
    // A single dash is a word: it often means standard input.
    if word == "-" { None } else { Some(Some(body)) }
}

fn split_value(body: &str) -> (&str, Option<&str>) {
    match body.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (body, None),
    }
}

fn read(flag: &'static Flag, value: &str, known: &Values) -> Result<Value, FlagError> {
    let refuse = |why: String| FlagError::Value { name: flag.name, value: value.to_owned(), why };
    Ok(match flag.kind {
        Kind::Bool => match value {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Value::Bool(true),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Value::Bool(false),
            _ => return Err(FlagError::NotBoolean { name: flag.name, value: value.to_owned() }),
        },
        Kind::Switch => Value::Bool(true),
        Kind::Text(_) => Value::Text(value.to_owned()),
        Kind::Int(_) => Value::Int(go_integer(value).map_err(|why| refuse(why.to_owned()))?),
        Kind::Duration(_) => match value.parse::<GoDuration>() {
            Ok(duration) => Value::Nanos(duration.as_nanos()),
            Err(_) => return Err(refuse("parse error".to_owned())),
        },
        Kind::Timeout(_) => match value.parse::<GoDuration>() {
            Ok(duration) => Value::Nanos(duration.as_nanos()),
            Err(error) => return Err(refuse(error.to_string())),
        },
        Kind::List => {
            let mut texts = known.list_of(flag);
            texts.push(value.to_owned());
            Value::List(texts)
        }
        Kind::CommaList => Value::List(value.split(',').map(str::to_owned).collect()),
        Kind::ThreeWay => Value::ThreeWay(match value {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }),
        Kind::Format => Value::Format(read_format(flag, value, known).map_err(refuse)?),
    })
}

/// A format may be said again, but not changed.
fn read_format(flag: &Flag, value: &str, known: &Values) -> Result<Format, String> {
    let before = known.format();
    if known.is_given(slot(flag)) && before.name() != value {
        return Err(format!("the output format has already been set to {}", quoted(before.name())));
    }
    Format::parse(value)
        .ok_or_else(|| format!("bad formatter flag: unknown format option: {}", quoted(value)))
}

/// Go's `strconv.ParseInt` with base 0: `12`, `-0x1F`, `0b101`, `0o17`, `017`, `1_000`.
fn go_integer(text: &str) -> Result<i64, &'static str> {
    const NOT_A_NUMBER: &str = "parse error";
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, body, underscore_first) = match digits.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => (16, &digits[2..], true),
        Some("0b") => (2, &digits[2..], true),
        Some("0o") => (8, &digits[2..], true),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..], true),
        _ => (10, digits, false),
    };
    let bare = without_underscores(body, underscore_first).ok_or(NOT_A_NUMBER)?;
    if bare.is_empty() || !bare.chars().all(|c| c.is_digit(radix)) {
        return Err(NOT_A_NUMBER);
    }
    let magnitude = u128::from_str_radix(&bare, radix).map_err(|_| "value out of range")?;
    let signed = i128::try_from(magnitude).map_err(|_| "value out of range")?;
    i64::try_from(if negative { -signed } else { signed }).map_err(|_| "value out of range")
}

/// Underscores stand between digits only, and after a prefix.
fn without_underscores(body: &str, underscore_first: bool) -> Option<String> {
    if !body.contains('_') {
        return Some(body.to_owned());
    }
    let is_misplaced = body.ends_with('_') || body.contains("__") || !underscore_first;
    if is_misplaced && (body.starts_with('_') || body.ends_with('_') || body.contains("__")) {
        return None;
    }
    // Go takes underscores only in numbers with a prefix.
    underscore_first.then(|| body.replace('_', ""))
}

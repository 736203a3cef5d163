//! sprig's `regex…`, with Go's syntax of regular expressions (RE2).
//!
//! The `regex` crate comes from the same family. What differs is translated: its `\d \s \w \b` know Unicode where
//! Go's are ASCII, its character classes nest, and it has no `\Q…\E`. Matching takes linear time in both.

use super::{Arguments, Function, Outcome, RESULT_MAX, text};
use crate::agent_path_template::Value;
use regex::{NoExpand, Regex, RegexBuilder};
use std::iter::Peekable;
use std::str::Chars;

/// The largest program that an expression may become, in bytes.
const PROGRAM_MAX: usize = 1 << 20;

const fn of_regex(name: &'static str, arguments: usize, run: fn(Vec<Value>) -> Outcome) -> Function {
    Function { takes_regex: true, ..Function::new(name, arguments..=arguments, run) }
}

pub(super) const FUNCTIONS: &[Function] = &[
    of_regex("regexMatch", 2, |values| {
        let mut arguments = Arguments::new(values);
        Ok(Value::Bool(compile(&arguments.text()?)?.is_match(&arguments.text()?)))
    }),
    of_regex("regexFind", 2, |values| {
        let mut arguments = Arguments::new(values);
        let regex = compile(&arguments.text()?)?;
        let from = arguments.text()?;
        text(regex.find(&from).map_or("", |found| found.as_str()))
    }),
    of_regex("regexFindAll", 3, |values| {
        let mut arguments = Arguments::new(values);
        let regex = compile(&arguments.text()?)?;
        let (from, count) = (arguments.text()?, arguments.int()?);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        Ok(Value::texts(regex.find_iter(&from).take(count).map(|found| found.as_str())))
    }),
    of_regex("regexReplaceAll", 3, |values| {
        let (regex, from, to) = replacement(values)?;
        bounded(regex.replace_all(&from, to.as_str()).into_owned())
    }),
    of_regex("regexReplaceAllLiteral", 3, |values| {
        let (regex, from, to) = replacement(values)?;
        bounded(regex.replace_all(&from, NoExpand(&to)).into_owned())
    }),
    of_regex("regexSplit", 3, |values| {
        let mut arguments = Arguments::new(values);
        let regex = compile(&arguments.text()?)?;
        let (from, count) = (arguments.text()?, arguments.int()?);
        Ok(match usize::try_from(count) {
            Ok(0) => Value::List(Vec::new()),
            Ok(count) => Value::texts(regex.splitn(&from, count)),
            Err(_) => Value::texts(regex.split(&from)),
        })
    }),
    Function::new("regexQuoteMeta", 1..=1, |values| text(quote_meta(&Arguments::new(values).text()?))),
];

fn replacement(values: Vec<Value>) -> Result<(Regex, String, String), String> {
    let mut arguments = Arguments::new(values);
    Ok((compile(&arguments.text()?)?, arguments.text()?, arguments.text()?))
}

fn bounded(result: String) -> Outcome {
    if result.len() > RESULT_MAX { Err("the result is too long".into()) } else { text(result) }
}

/// Go's `regexp.QuoteMeta`.
fn quote_meta(from: &str) -> String {
    let mut out = String::with_capacity(from.len());
    for character in from.chars() {
        if r"\.+*?()|[]{}^$".contains(character) {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(&translate(pattern)).size_limit(PROGRAM_MAX).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => format!("regular expression {pattern:?} is too large"),
        _ => format!("error parsing regexp {pattern:?}"),
    })
}

/// From Go's syntax to the crate's.
fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\\' => escape(&mut rest, &mut out),
            '[' => class(&mut rest, &mut out),
            other => out.push(other),
        }
    }
    out
}

fn escape(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    match rest.next() {
        Some('Q') => {
            let mut quoted = String::new();
            while let Some(character) = rest.next() {
                if character == '\\' && rest.next_if_eq(&'E').is_some() {
                    break;
                }
                quoted.push(character);
            }
            out.push_str(&regex::escape(&quoted));
        }
        Some('b') => out.push_str(r"(?-u:\b)"),
        Some('B') => out.push_str(r"(?-u:\B)"),
        Some(letter) => match ascii_class(letter) {
            Some(class) => out.push_str(class),
            None => out.extend(['\\', letter]),
        },
        None => out.push('\\'),
    }
}

fn ascii_class(letter: char) -> Option<&'static str> {
    Some(match letter {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        's' => r"[\t\n\x0C\r ]",
        'S' => r"[^\t\n\x0C\r ]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        _ => return None,
    })
}

/// What follows `[`, up to its `]`.
fn class(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    out.push('[');
    if rest.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    // A bracket that comes first is meant.
    if rest.next_if_eq(&']').is_some() {
        out.push_str(r"\]");
    }
    while let Some(character) = rest.next() {
        match character {
            ']' => {
                out.push(']');
                return;
            }
            '[' if rest.peek() == Some(&':') => {
                out.push('[');
                for named in rest.by_ref() {
                    out.push(named);
                    if named == ']' {
                        break;
                    }
                }
            }
            '[' | '&' | '~' => out.extend(['\\', character]),
            '\\' => match rest.next() {
                Some(letter) => match ascii_class(letter) {
                    Some(class) => out.push_str(class),
                    None => out.extend(['\\', letter]),
                },
                None => out.push('\\'),
            },
            other => out.push(other),
        }
    }
}

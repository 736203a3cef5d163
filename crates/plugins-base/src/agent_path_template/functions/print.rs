//! Go's `print`, `println` and `printf`, and sprig's ways to print: `toString quote squote cat`.

use super::{Arguments, Function, MANY, Outcome, RESULT_MAX, text};
use crate::agent_path_template::Value;
use std::fmt::Write as _;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("print", 0..=MANY, |values| text(print(&values))),
    Function::new("println", 0..=MANY, |values| text(joined(&values) + "\n")),
    Function::new("printf", 1..=MANY, printf),
    Function::new("toString", 1..=1, |values| text(Arguments::new(values).value().to_text())),
    Function::new("quote", 0..=MANY, |values| text(each(&values, quote))),
    Function::new("squote", 0..=MANY, |values| text(each(&values, |text| format!("'{text}'")))),
    Function::new("cat", 0..=MANY, |values| text(each(&values, str::to_owned))),
];

/// `fmt.Sprint`: a space between operands when neither is a text.
fn print(values: &[Value]) -> String {
    let mut out = String::new();
    let mut was_text = true;
    for value in values {
        let is_text = matches!(value, Value::Text(_));
        if !was_text && !is_text {
            out.push(' ');
        }
        value.print_v(&mut out);
        was_text = is_text;
    }
    out
}

fn joined(values: &[Value]) -> String {
    values.iter().map(Value::to_text).collect::<Vec<_>>().join(" ")
}

/// Everything but `nil`, separated by spaces.
fn each(values: &[Value], write: impl Fn(&str) -> String) -> String {
    let written = values.iter().filter(|value| **value != Value::Nil).map(|value| write(&value.to_text()));
    written.collect::<Vec<_>>().join(" ")
}

/// Go's `%q`, as far as a path could care.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_ascii_control() => {
                // Writing to a string does not fail.
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// One `%` of a format.
#[derive(Default)]
struct Directive {
    left: bool,
    zero: bool,
    plus: bool,
    width: usize,
    precision: Option<usize>,
}

/// Where Go would print its complaint into the text (`%!d(string=x)`), this is an error.
fn printf(values: Vec<Value>) -> Outcome {
    let mut arguments = Arguments::new(values);
    let format = arguments.text()?;
    let mut values = arguments.rest().into_iter();
    let mut out = String::new();
    let mut rest = format.chars();
    while let Some(character) = rest.next() {
        if character != '%' {
            out.push(character);
            continue;
        }
        let (directive, verb) = directive(&mut rest)?;
        if verb == '%' {
            out.push('%');
            continue;
        }
        let value = values.next().ok_or_else(|| format!("%{verb} has no argument"))?;
        directive.write(verb, &value, &mut out)?;
        if out.len() > RESULT_MAX {
            return Err("the result is too long".into());
        }
    }
    match values.next() {
        None => text(out),
        Some(_) => Err("more arguments than the format has verbs".into()),
    }
}

fn directive(rest: &mut std::str::Chars<'_>) -> Result<(Directive, char), String> {
    let mut directive = Directive::default();
    let mut in_flags = true;
    loop {
        let next = rest.next().ok_or("the format ends in the middle of a verb")?;
        match next {
            '-' if in_flags => directive.left = true,
            '0' if in_flags => directive.zero = true,
            '+' if in_flags => directive.plus = true,
            '0'..='9' => {
                in_flags = false;
                let number = directive.precision.as_mut().unwrap_or(&mut directive.width);
                *number = *number * 10 + next as usize - '0' as usize;
                if *number > RESULT_MAX {
                    return Err("a width is too large".into());
                }
            }
            '.' => {
                in_flags = false;
                directive.precision = Some(0);
            }
            ' ' | '#' | '*' | '[' => return Err(format!("{next:?} is not supported in a format")),
            verb => return Ok((directive, verb)),
        }
    }
}

impl Directive {
    fn write(&self, verb: char, value: &Value, out: &mut String) -> Result<(), String> {
        let written = match (verb, value) {
            ('v', Value::Int(number)) => self.number(number.to_string()),
            ('v', _) => self.cut(&value.to_text()),
            ('s', Value::Text(text) | Value::Printable { text, .. }) => self.cut(text),
            ('s', Value::List(list)) if list.iter().all(|value| matches!(value, Value::Text(_))) => {
                value.to_text()
            }
            ('q', Value::Text(text)) => quote(&self.cut(text)),
            ('d', Value::Int(number)) => self.number(number.to_string()),
            ('d', Value::Printable { kind: "*big.Int", text }) => self.number(text.clone()),
            ('t', Value::Bool(_)) => value.to_text(),
            ('x', Value::Int(number)) if *number >= 0 => self.number(format!("{number:x}")),
            ('X', Value::Int(number)) if *number >= 0 => self.number(format!("{number:X}")),
            ('x', Value::Text(text)) => crate::hex::encode(text.as_bytes()),
            ('X', Value::Text(text)) => crate::hex::encode(text.as_bytes()).to_ascii_uppercase(),
            ('c', Value::Int(number)) => u32::try_from(*number)
                .ok()
                .and_then(char::from_u32)
                .map(String::from)
                .ok_or("no such character")?,
            _ => return Err(format!("%{verb} does not fit {}", value.kind())),
        };
        self.pad(&written, matches!(value, Value::Int(_) | Value::Printable { .. }), out);
        Ok(())
    }

    fn number(&self, digits: String) -> String {
        if self.plus && !digits.starts_with('-') { format!("+{digits}") } else { digits }
    }

    fn cut(&self, text: &str) -> String {
        self.precision.map_or_else(|| text.to_owned(), |precision| text.chars().take(precision).collect())
    }

    fn pad(&self, written: &str, is_number: bool, out: &mut String) {
        let missing = self.width.saturating_sub(written.chars().count());
        if self.left {
            out.push_str(written);
            out.extend(std::iter::repeat_n(' ', missing));
        } else if self.zero {
            // The sign of a number stands before the zeros.
            let (sign, digits) = match written.strip_prefix(['-', '+']) {
                Some(digits) if is_number => written.split_at(written.len() - digits.len()),
                _ => ("", written),
            };
            out.push_str(sign);
            out.extend(std::iter::repeat_n('0', missing));
            out.push_str(digits);
        } else {
            out.extend(std::iter::repeat_n(' ', missing));
            out.push_str(written);
        }
    }
}

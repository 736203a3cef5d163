//! The bytes that logrus writes: plain text, coloured text, JSON.
//!
//! Log shippers parse these lines, so quoting, order and number formats follow logrus and Go exactly. Pure.

use std::fmt::Write;
use std::ops::Range;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::record::{FieldValue, Record};
use crate::config::go_text::{push_quoted, push_quoted_json};

/// How precise the time of a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precision {
    Seconds,
    Nanoseconds,
}

/// `time="…" level=info msg="…" a=1 b="x y"`.
pub(super) fn plain(out: &mut String, record: Record<'_>, zone: &TimeZone, precision: Precision) {
    out.push_str("time=\"");
    push_time(out, record.time, zone, precision);
    out.push_str("\" level=");
    out.push_str(record.level.as_str());
    if !record.fields.message.is_empty() {
        out.push_str(" msg=");
        push_text(out, &record.fields.message);
    }
    for (name, value) in record.fields.sorted() {
        out.push(' ');
        out.push_str(name);
        out.push('=');
        push_value(out, value);
    }
    out.push('\n');
}

/// `INFO[0003] message…   a=1`, with colours; the number is seconds since the process started.
pub(super) fn coloured(out: &mut String, record: Record<'_>, since_start: Duration) {
    let (word, colour) = record.level.on_terminal();
    let message = record.fields.message.strip_suffix('\n').unwrap_or(&record.fields.message);
    let seconds = since_start.as_secs();
    push(out, format_args!("\x1b[{colour}m{word}\x1b[0m[{seconds:04}] {message:<44} "));
    for (name, value) in record.fields.sorted() {
        push(out, format_args!(" \x1b[{colour}m{name}\x1b[0m="));
        push_value(out, value);
    }
    out.push('\n');
}

/// One JSON object with sorted keys.
pub(super) fn json(out: &mut String, record: Record<'_>, zone: &TimeZone) {
    let Record { time, level, fields } = record;
    let mut stamp = String::new();
    push_time(&mut stamp, time, zone, Precision::Nanoseconds);
    let message = std::mem::take(&mut fields.message);
    let fixed = [("level", level.as_str()), ("msg", &message), ("time", &stamp)];
    let mut fixed = fixed.into_iter().peekable();
    let mut separator = '{';
    let mut push_fixed = |out: &mut String, separator: &mut char, before: Option<&str>| {
        while let Some((name, text)) = fixed.next_if(|(name, _)| before.is_none_or(|before| *name < before)) {
            push_key(out, separator, name);
            push_quoted_json(out, text);
        }
    };
    for (name, value) in fields.sorted() {
        push_fixed(out, &mut separator, Some(name));
        push_key(out, &mut separator, name);
        push_json_value(out, value);
    }
    push_fixed(out, &mut separator, None);
    out.push_str("}\n");
}

fn push_key(out: &mut String, separator: &mut char, name: &str) {
    out.push(*separator);
    *separator = ',';
    push_quoted_json(out, name);
    out.push(':');
}

/// RFC 3339 in local time; with nanoseconds as Go prints them: without trailing zeros.
fn push_time(out: &mut String, time: SystemTime, zone: &TimeZone, precision: Precision) {
    let stamp = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    let offset = zone.to_offset(stamp);
    let local = offset.to_datetime(stamp);
    let (date, clock) = (local.date(), local.time());
    push(
        out,
        format_args!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            date.year(),
            date.month(),
            date.day(),
            clock.hour(),
            clock.minute(),
            clock.second()
        ),
    );
    if precision == Precision::Nanoseconds && clock.subsec_nanosecond() != 0 {
        let digits = format!("{:09}", clock.subsec_nanosecond());
        push(out, format_args!(".{}", digits.trim_end_matches('0')));
    }
    let offset = offset.seconds() / 60;
    if offset == 0 {
        out.push('Z');
    } else {
        let sign = if offset < 0 { '-' } else { '+' };
        let minutes = offset.unsigned_abs();
        push(out, format_args!("{sign}{:02}:{:02}", minutes / 60, minutes % 60));
    }
}

fn push_value(out: &mut String, value: &FieldValue) {
    match value {
        FieldValue::Text(text) => push_text(out, text),
        FieldValue::Integer(number) => push(out, format_args!("{number}")),
        FieldValue::Float(number) => push_text(out, &go_float(*number, -4..6)),
        FieldValue::Bool(value) => push(out, format_args!("{value}")),
    }
}

fn push_json_value(out: &mut String, value: &FieldValue) {
    match value {
        FieldValue::Text(text) => push_quoted_json(out, text),
        FieldValue::Integer(number) => push(out, format_args!("{number}")),
        FieldValue::Float(number) if number.is_finite() => {
            // JSON encoding writes one digit of exponent where printing writes two.
            let text = go_float(*number, -6..21).replace("e-0", "e-");
            out.push_str(&text);
        }
        FieldValue::Float(number) => push_quoted_json(out, &go_float(*number, -6..21)),
        FieldValue::Bool(value) => push(out, format_args!("{value}")),
    }
}

fn push_text(out: &mut String, text: &str) {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '/' | '@' | '^' | '+');
    if text.chars().all(plain) {
        out.push_str(text);
    } else {
        push_quoted(out, text);
    }
}

/// The shortest text for a number; with an exponent when that is not in `plain`.
fn go_float(number: f64, plain: Range<i32>) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number < 0.0 { "-Inf" } else { "+Inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if number != 0.0 && !plain.contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.unsigned_abs());
    }
    format!("{number}")
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing numbers and strings to a `String` cannot fail.
    let _ = out.write_fmt(text);
}

/// Formats one record in the given style.
pub(super) enum Style {
    Plain(Precision),
    Coloured { started: SystemTime },
    Json,
}

impl Style {
    pub(super) fn write(&self, out: &mut String, record: Record<'_>, zone: &TimeZone) {
        match self {
            Self::Plain(precision) => plain(out, record, zone, *precision),
            Self::Coloured { started } => {
                let since = record.time.duration_since(*started).unwrap_or_default();
                coloured(out, record, since);
            }
            Self::Json => json(out, record, zone),
        }
    }
}

impl std::fmt::Debug for Style {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Coloured { .. } => "Coloured",
            Self::Json => "Json",
        })
    }
}

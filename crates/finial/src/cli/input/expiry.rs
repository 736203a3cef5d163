//! The moment of `-expiresBefore`, which the server reads again: only its form is checked here.

use crate::output::Fault;
use crate::output::go_text::quoted;

/// How a moment is written, in Go's way of saying so.
const LAYOUT: &str = "2006-01-02 15:04:05 -0700 -07";

/// A part of the layout.
enum Part {
    /// So many digits, with what they are and the least and most they may be.
    Digits(&'static str, usize, &'static str, u32, u32),
    /// These characters.
    Literal(&'static str),
    /// A sign and so many digits.
    Offset(&'static str, usize),
}

const PARTS: [Part; 15] = [
    Part::Digits("2006", 4, "year", 0, 9999),
    Part::Literal("-"),
    Part::Digits("01", 2, "month", 1, 12),
    Part::Literal("-"),
    Part::Digits("02", 2, "day", 1, 31),
    Part::Literal(" "),
    Part::Digits("15", 2, "hour", 0, 23),
    Part::Literal(":"),
    Part::Digits("04", 2, "minute", 0, 59),
    Part::Literal(":"),
    Part::Digits("05", 2, "second", 0, 59),
    Part::Literal(" "),
    Part::Offset("-0700", 4),
    Part::Literal(" "),
    Part::Offset("-07", 2),
];

/// Checks that a moment is written as the server reads it.
pub(crate) fn check_expiry(text: &str) -> Result<(), Fault> {
    check(text).map_err(|why| Fault::new(format!("date is not valid: parsing time {}{why}", quoted(text))))
}

fn check(text: &str) -> Result<(), String> {
    let mut rest = text;
    let (mut year, mut month, mut day) = (0, 0, 0);
    for part in PARTS {
        match part {
            Part::Literal(literal) => {
                rest = rest.strip_prefix(literal).ok_or_else(|| cannot(rest, literal))?;
            }
            Part::Digits(element, length, what, least, most) => {
                let digits = leading_digits(rest, length).ok_or_else(|| cannot(rest, element))?;
                rest = &rest[length..];
                let number: u32 = digits.parse().map_err(|_| cannot(rest, element))?;
                if !(least..=most).contains(&number) {
                    return Err(format!(": {what} out of range"));
                }
                match what {
                    "year" => year = number,
                    "month" => month = number,
                    "day" => day = number,
                    "second" => rest = without_fraction(rest),
                    _ => {}
                }
            }
            Part::Offset(element, length) => {
                let digits = rest.strip_prefix(['+', '-']).and_then(|rest| leading_digits(rest, length));
                digits.ok_or_else(|| cannot(rest, element))?;
                rest = &rest[length + 1..];
            }
        }
    }
    if !rest.is_empty() {
        return Err(format!(": extra text: {}", quoted(rest)));
    }
    if day > days_in(year, month) {
        return Err(": day out of range".to_owned());
    }
    Ok(())
}

fn cannot(rest: &str, element: &str) -> String {
    format!(" as {}: cannot parse {} as {}", quoted(LAYOUT), quoted(rest), quoted(element))
}

fn leading_digits(text: &str, length: usize) -> Option<&str> {
    text.get(..length).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Go takes a fraction after the seconds whether the layout has one or not.
fn without_fraction(rest: &str) -> &str {
    match rest.strip_prefix(['.', ',']) {
        Some(after) if after.starts_with(|c: char| c.is_ascii_digit()) => {
            after.trim_start_matches(|c: char| c.is_ascii_digit())
        }
        _ => rest,
    }
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_error(text: &str, expected: &str) {
        assert_eq!(check_expiry(text).unwrap_err().to_string(), format!("date is not valid: {expected}"));
    }

    #[test]
    fn as_recorded() {
        check_expiry("2030-01-01 00:00:00 -0000 -00").unwrap();
        check_expiry("2030-01-01 00:00:00.25 +0100 +01").unwrap();
        check_error(
            "2030-01-01 00:00:00 +0000 UTC",
            "parsing time \"2030-01-01 00:00:00 +0000 UTC\" as \"2006-01-02 15:04:05 -0700 -07\": \
             cannot parse \"UTC\" as \"-07\"",
        );
        check_error(
            "bogus",
            "parsing time \"bogus\" as \"2006-01-02 15:04:05 -0700 -07\": cannot parse \"bogus\" as \"2006\"",
        );
        check_error(
            "2030-13-01 00:00:00 -0000 -00",
            "parsing time \"2030-13-01 00:00:00 -0000 -00\": month out of range",
        );
        check_error(
            "2030-02-30 00:00:00 -0000 -00",
            "parsing time \"2030-02-30 00:00:00 -0000 -00\": day out of range",
        );
        check_error(
            "2030-01-01 00:00:00 -0000 -00 x",
            "parsing time \"2030-01-01 00:00:00 -0000 -00 x\": extra text: \" x\"",
        );
    }
}

//! The span of time in which a certificate is valid, and the two forms in which it is written.

use super::der_reader::{DerError, Reader, tag};
use super::der_writer;
use crate::UnixTime;

const DAY: i64 = 86_400;
/// 0000-01-01T00:00:00Z.
const YEAR_0: i64 = -62_167_219_200;
/// 9999-12-31T23:59:59Z, which also means "without end" (RFC 5280 §4.1.2.5).
const YEAR_9999_END: i64 = 253_402_300_799;

/// From when until when a certificate is valid, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Validity {
    /// The first second.
    pub not_before: UnixTime,
    /// The last second.
    pub not_after: UnixTime,
}

impl Validity {
    /// Whether the moment lies within.
    pub fn contains(&self, now: UnixTime) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// Writes the `Validity` of a certificate. Moments out of the years 0 to 9999, which no certificate can
    /// carry, are moved to the nearest that it can.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        der_writer::sequence(out, |out| {
            write_time(out, self.not_before);
            write_time(out, self.not_after);
        });
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DerError> {
        let mut span = reader.nested(tag::SEQUENCE)?;
        let (not_before, not_after) = (read_time(&mut span)?, read_time(&mut span)?);
        span.finish()?;
        Ok(Self { not_before, not_after })
    }
}

/// `UTCTime` from 1950 to 2049, `GeneralizedTime` before and after (RFC 5280 §4.1.2.5).
fn write_time(out: &mut Vec<u8>, moment: UnixTime) {
    let seconds = moment.seconds().clamp(YEAR_0, YEAR_9999_END);
    let (year, month, day) = civil_from_days(seconds.div_euclid(DAY));
    let in_day = seconds.rem_euclid(DAY);
    let mut text = [0; 15];
    put_digits(&mut text[0..4], year);
    put_digits(&mut text[4..6], month);
    put_digits(&mut text[6..8], day);
    put_digits(&mut text[8..10], in_day / 3600);
    put_digits(&mut text[10..12], in_day / 60 % 60);
    put_digits(&mut text[12..14], in_day % 60);
    text[14] = b'Z';
    if (1950..2050).contains(&year) {
        der_writer::element(out, tag::UTC_TIME, &text[2..]);
    } else {
        der_writer::element(out, tag::GENERALIZED_TIME, &text);
    }
}

fn put_digits(place: &mut [u8], mut value: i64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

fn read_time(reader: &mut Reader<'_>) -> Result<UnixTime, DerError> {
    let time = reader.element()?;
    let (year, rest) = match (time.tag, time.content) {
        (tag::UTC_TIME, text) if text.len() == 13 => {
            let short = digits(&text[..2])?;
            (short + if short < 50 { 2000 } else { 1900 }, &text[2..])
        }
        (tag::GENERALIZED_TIME, text) if text.len() == 15 => (digits(&text[..4])?, &text[4..]),
        _ => return Err(DerError),
    };
    let [month, day, hour, minute, second] =
        [0, 2, 4, 6, 8].map(|at| digits(&rest[at..at + 2]).unwrap_or(i64::MAX));
    let is_sound = rest[10] == b'Z'
        && (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !is_sound {
        return Err(DerError);
    }
    let days = days_from_civil(year, month, day);
    Ok(UnixTime::from_seconds(days * DAY + hour * 3600 + minute * 60 + second))
}

fn digits(text: &[u8]) -> Result<i64, DerError> {
    text.iter().try_fold(0, |value, digit| {
        if digit.is_ascii_digit() { Ok(value * 10 + i64::from(digit - b'0')) } else { Err(DerError) }
    })
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date in the Gregorian calendar. Years are counted from March, so that the
/// leap day is the last of a year, in eras of 400 years, which all have 146 097 days.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn write(seconds: i64) -> (u8, String) {
        let mut out = Vec::new();
        write_time(&mut out, UnixTime::from_seconds(seconds));
        (out[0], String::from_utf8(out[2..].to_vec()).unwrap())
    }

    #[test]
    fn the_form_changes_at_2050_and_1950() {
        for (seconds, tag, text) in [
            (0, tag::UTC_TIME, "700101000000Z"),
            (1_795_350_853, tag::UTC_TIME, "261122123413Z"),
            (2_524_607_999, tag::UTC_TIME, "491231235959Z"),
            (2_524_608_000, tag::GENERALIZED_TIME, "20500101000000Z"),
            (-631_152_000, tag::UTC_TIME, "500101000000Z"),
            (-631_152_001, tag::GENERALIZED_TIME, "19491231235959Z"),
            (i64::MAX, tag::GENERALIZED_TIME, "99991231235959Z"),
            (i64::MIN, tag::GENERALIZED_TIME, "00000101000000Z"),
            (951_782_400, tag::UTC_TIME, "000229000000Z"),
        ] {
            assert_eq!(write(seconds), (tag, text.to_owned()));
        }
    }

    #[test]
    fn times_that_are_none() {
        for text in [
            &b"\x17\x0d261122123413+"[..],
            b"\x17\x0d261322123413Z",
            b"\x17\x0d260022123413Z",
            b"\x17\x0d260229123413Z",
            b"\x17\x0d261122243413Z",
            b"\x17\x0d261122126013Z",
            b"\x17\x0d261122123460Z",
            b"\x17\x0d2611221234 3Z",
            b"\x17\x0b2611221234Z",
            b"\x17\x112611221234130100Z",
            b"\x18\x0d261122123413Z",
            b"\x16\x0d261122123413Z",
        ] {
            assert_eq!(read_time(&mut Reader::new(text)), Err(DerError), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_second_survives(seconds in YEAR_0..=YEAR_9999_END) {
            let mut out = Vec::new();
            write_time(&mut out, UnixTime::from_seconds(seconds));
            prop_assert_eq!(read_time(&mut Reader::new(&out)), Ok(UnixTime::from_seconds(seconds)));
        }

        #[test]
        fn never_panics(tag in prop_oneof![Just(tag::UTC_TIME), Just(tag::GENERALIZED_TIME)],
                        text in proptest::collection::vec(any::<u8>(), 0..18)) {
            let mut out = Vec::new();
            der_writer::element(&mut out, tag, &text);
            let _ = read_time(&mut Reader::new(&out));
        }
    }
}

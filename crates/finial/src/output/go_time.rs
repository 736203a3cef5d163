//! Times as Go prints them.

use jiff::Timestamp;
use jiff::tz::{Dst, TimeZone};

/// In UTC: `2026-11-23 20:28:22 +0000 UTC`.
pub(crate) fn utc(seconds: i64) -> String {
    format!("{} +0000 UTC", clock_text(seconds, ' '))
}

/// In the zone of this machine: `2026-11-23 21:28:22 +0100 CET`.
pub(crate) fn local(seconds: i64) -> String {
    in_zone(seconds, &local_zone())
}

/// RFC 3339 in UTC: `2026-11-23T20:28:22Z`.
pub(crate) fn rfc3339(seconds: i64) -> String {
    format!("{}Z", clock_text(seconds, 'T'))
}

/// Go reads `TZ` like this, too: unset is `/etc/localtime`, empty or unknown is UTC.
fn local_zone() -> TimeZone {
    match std::env::var("TZ") {
        Ok(name) if name.trim_start_matches(':').is_empty() => TimeZone::UTC,
        _ => TimeZone::try_system().unwrap_or(TimeZone::UTC),
    }
}

fn in_zone(seconds: i64, zone: &TimeZone) -> String {
    let Ok(moment) = Timestamp::from_second(seconds) else { return utc(seconds) };
    let info = zone.to_offset_info(moment);
    let offset = info.offset().seconds();
    if offset == 0 && info.dst() == Dst::No && info.abbreviation() == "UTC" {
        return utc(seconds);
    }
    let sign = if offset < 0 { '-' } else { '+' };
    let minutes = offset.unsigned_abs() / 60;
    let (hours, minutes) = (minutes / 60, minutes % 60);
    let shown = clock_text(seconds.saturating_add(i64::from(offset)), ' ');
    format!("{shown} {sign}{hours:02}{minutes:02} {}", info.abbreviation())
}

/// Date and time of day in UTC, for every number of seconds that there is.
fn clock_text(seconds: i64, between: char) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil_date(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}{between}{hour:02}:{minute:02}:{second:02}")
}

/// The date of a day counted from 1970-01-01, in the Gregorian calendar extended both ways: years begin in
/// March, so that the leap day comes last, and are counted in cycles of 400.
fn civil_date(days: i64) -> (i64, i64, i64) {
    const CYCLE: i64 = 146_097;
    let from_march = days + 719_468;
    let (cycle, day) = (from_march.div_euclid(CYCLE), from_march.rem_euclid(CYCLE));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (cycle * 400 + year + next_year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_go() {
        assert_eq!(utc(1_900_000_000), "2030-03-17 17:46:40 +0000 UTC");
        assert_eq!(utc(-1), "1969-12-31 23:59:59 +0000 UTC");
        assert_eq!(utc(951_782_400), "2000-02-29 00:00:00 +0000 UTC");
        assert_eq!(rfc3339(1_795_469_108), "2026-11-23T21:25:08Z");
        assert_eq!(utc(253_402_300_800), "10000-01-01 00:00:00 +0000 UTC");
    }

    #[test]
    fn agrees_with_jiff() {
        for seconds in (-60_000_000_000..250_000_000_000).step_by(987_654_321) {
            let moment = Timestamp::from_second(seconds).unwrap();
            assert_eq!(rfc3339(seconds), moment.to_string());
        }
    }

    #[test]
    fn shows_the_zone() {
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        assert_eq!(in_zone(1_795_469_307, &berlin), "2026-11-23 22:28:27 +0100 CET");
        let newfoundland = TimeZone::posix("NST3:30").unwrap();
        assert_eq!(in_zone(1_795_469_307, &newfoundland), "2026-11-23 17:58:27 -0330 NST");
        assert_eq!(in_zone(1_795_469_307, &TimeZone::UTC), "2026-11-23 21:28:27 +0000 UTC");
    }
}

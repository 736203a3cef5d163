//! Moments as SPIRE's SQLite driver writes them: `2026-11-23 20:25:08.47652706+00:00`.
//!
//! SPIRE writes them in the zone of its host, so two texts that are compared as texts may be up to a day
//! off; queries here use text order only to narrow down, and `unixepoch` to decide.

use finial_identity::UnixTime;
use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::{Offset, TimeZone};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use std::time::SystemTime;

/// Whole numbers above this are milliseconds, at or below it seconds, as in SPIRE's driver.
const LARGEST_SECONDS: i64 = 1_000_000_000_000;

/// What SPIRE reads where a text makes no sense: the zero time of Go, 0001-01-01.
const ZERO_SECONDS: i64 = -62_135_596_800;

/// A `datetime` column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DateTime(Timestamp);

impl DateTime {
    /// Whole seconds, rounded down: how SPIRE reads the end of an SVID.
    pub(crate) fn seconds(self) -> UnixTime {
        let (seconds, below) = (self.0.as_second(), self.0.subsec_nanosecond());
        UnixTime::from_seconds(seconds - i64::from(below < 0))
    }

    /// Rounded to the nearest second, half up: how SPIRE reads when an entry was created.
    pub(crate) fn rounded(self) -> UnixTime {
        let half_later = self.0.checked_add(jiff::SignedDuration::from_millis(500));
        half_later.map_or(self.seconds(), |later| Self(later).seconds())
    }

    /// The text as SPIRE's driver would write it on a host in UTC.
    pub(crate) fn text(self) -> String {
        self.0.strftime("%Y-%m-%d %H:%M:%S%.f+00:00").to_string()
    }

    /// For drivers that have a type for moments.
    pub(crate) fn system_time(self) -> SystemTime {
        let since = self.0.duration_since(Timestamp::UNIX_EPOCH);
        match since.is_negative() {
            true => SystemTime::UNIX_EPOCH - since.unsigned_abs(),
            false => SystemTime::UNIX_EPOCH + since.unsigned_abs(),
        }
    }

    /// The nearest second, for columns that keep no parts of it.
    pub(crate) fn to_second(self) -> Self {
        self.rounded().into()
    }

    /// What a calendar and a clock in that zone show.
    pub(crate) fn civil(self, zone: &TimeZone) -> jiff::civil::DateTime {
        zone.to_datetime(self.0)
    }

    /// The moment at which a calendar and a clock in that zone show this.
    pub(crate) fn from_civil(shown: jiff::civil::DateTime, zone: &TimeZone) -> Option<Self> {
        zone.to_timestamp(shown).ok().map(Self)
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix('Z').unwrap_or(text);
        let (date, rest) = match text.split_at_checked(10)? {
            (date, "") => (date, "00:00"),
            (date, rest) => (date, rest.strip_prefix([' ', 'T'])?),
        };
        let (time, offset) = match rest.find(['+', '-']) {
            Some(at) => (&rest[..at], parse_offset(&rest[at..])?),
            None => (rest, Offset::UTC),
        };
        let date: Date = date.parse().ok()?;
        let time: Time = time.parse().ok()?;
        offset.to_timestamp(date.to_datetime(time)).ok().map(Self)
    }
}

/// `+hh:mm`.
fn parse_offset(text: &str) -> Option<Offset> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = text[1..].split_once(':')?;
    let seconds = hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60;
    Offset::from_seconds(sign * seconds).ok()
}

impl From<SystemTime> for DateTime {
    fn from(moment: SystemTime) -> Self {
        Self(Timestamp::try_from(moment).unwrap_or(Timestamp::MAX))
    }
}

impl From<UnixTime> for DateTime {
    /// Clamped to the years that the format can hold.
    fn from(moment: UnixTime) -> Self {
        let latest = Timestamp::MAX.as_second();
        let seconds = moment.seconds().clamp(ZERO_SECONDS, latest);
        Self(Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH))
    }
}

impl ToSql for DateTime {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.text().into())
    }
}

impl FromSql for DateTime {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Text(bytes) => {
                let parsed = std::str::from_utf8(bytes).ok().and_then(Self::parse);
                Ok(parsed.unwrap_or_else(|| UnixTime::from_seconds(ZERO_SECONDS).into()))
            }
            ValueRef::Integer(number) if number > LARGEST_SECONDS => {
                Timestamp::from_millisecond(number).map(Self).map_err(FromSqlError::other)
            }
            ValueRef::Integer(number) => Ok(UnixTime::from_seconds(number).into()),
            _ => Err(FromSqlError::InvalidType),
        }
    }
}

//! One connection to MySQL or MariaDB: prepared statements, kept by the driver for as long as it lives.

use super::schema::DIALECT;
use crate::sql::fault::{DatabaseError, Trouble};
use crate::sql::session::{Cell, Columns, Dialect, Session, Value};
use crate::time::DateTime;
use async_trait::async_trait;
use jiff::civil;
use jiff::tz::TimeZone;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Params, Row, Value as Raw};

pub(super) struct MySqlSession {
    connection: Conn,
    /// In which zone the columns show moments.
    zone: TimeZone,
    is_broken: bool,
}

impl MySqlSession {
    pub(super) fn new(connection: Conn, zone: TimeZone) -> Self {
        Self { connection, zone, is_broken: false }
    }

    /// A statement without values has no parameters at all, which is not an empty list of them.
    fn parameters(&self, values: &[Value<'_>]) -> Params {
        match values {
            [] => Params::Empty,
            _ => Params::Positional(values.iter().map(|value| self.raw(*value)).collect()),
        }
    }

    fn raw(&self, value: Value<'_>) -> Raw {
        match value {
            Value::Int(number) => Raw::Int(number),
            Value::Flag(flag) => Raw::Int(flag.into()),
            Value::Text(text) => Raw::Bytes(text.as_bytes().to_vec()),
            Value::Blob(bytes) => bytes.map_or(Raw::NULL, |bytes| Raw::Bytes(bytes.to_vec())),
            Value::Moment(moment) => moment.map_or(Raw::NULL, |moment| shown(moment, &self.zone)),
        }
    }

    fn checked<T>(&mut self, outcome: Result<T, Error>) -> Result<T, DatabaseError> {
        outcome.map_err(|error| {
            self.is_broken |= error.is_fatal();
            told(error)
        })
    }
}

#[async_trait]
impl Session for MySqlSession {
    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }

    fn is_broken(&self) -> bool {
        self.is_broken
    }

    async fn run(&mut self, sql: &str) -> Result<(), DatabaseError> {
        let outcome = self.connection.query_drop(sql).await;
        self.checked(outcome)
    }

    async fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, DatabaseError> {
        let parameters = self.parameters(values);
        let outcome = self.connection.exec_drop(sql, parameters).await;
        self.checked(outcome)?;
        Ok(self.connection.affected_rows())
    }

    async fn insert(&mut self, sql: &str, values: &[Value<'_>]) -> Result<i64, DatabaseError> {
        self.execute(sql, values).await?;
        let number = self.connection.last_insert_id().and_then(|number| i64::try_from(number).ok());
        number.ok_or_else(|| DatabaseError::new(Trouble::Other, "the new row has no number"))
    }

    async fn query(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Columns>, DatabaseError> {
        let parameters = self.parameters(values);
        let outcome = self.connection.exec::<Row, _, _>(sql, parameters).await;
        let rows = self.checked(outcome)?;
        let columns =
            |row: Row| Columns::new(row.unwrap().into_iter().map(|raw| cell(raw, &self.zone)).collect());
        Ok(rows.into_iter().map(columns).collect())
    }
}

fn cell(raw: Raw, zone: &TimeZone) -> Cell {
    match raw {
        Raw::NULL | Raw::Time(..) => Cell::Null,
        Raw::Bytes(bytes) => Cell::Blob(bytes),
        Raw::Int(number) => Cell::Int(number),
        Raw::UInt(number) => Cell::Int(i64::try_from(number).unwrap_or(i64::MAX)),
        Raw::Float(number) => Cell::Text(number.to_string()),
        Raw::Double(number) => Cell::Text(number.to_string()),
        Raw::Date(year, month, day, hour, minute, second, microsecond) => {
            let date = [year, month.into(), day.into()];
            let time = [hour, minute, second];
            moment(date, time, microsecond, zone).map_or(Cell::Null, Cell::Moment)
        }
    }
}

/// Nothing for the zero date that old servers put where they have none.
fn moment(
    [year, month, day]: [u16; 3],
    [hour, minute, second]: [u8; 3],
    microsecond: u32,
    zone: &TimeZone,
) -> Option<DateTime> {
    let small = |number: u8| i8::try_from(number).ok();
    let (month, day) = (i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    let nanosecond = i32::try_from(microsecond).ok()?.checked_mul(1000)?;
    let date = civil::Date::new(i16::try_from(year).ok()?, month, day).ok()?;
    let time = civil::Time::new(small(hour)?, small(minute)?, small(second)?, nanosecond).ok()?;
    DateTime::from_civil(date.to_datetime(time), zone)
}

fn shown(moment: DateTime, zone: &TimeZone) -> Raw {
    let shown = moment.civil(zone);
    let small = |number: i8| number.unsigned_abs();
    Raw::Date(
        shown.year().unsigned_abs(),
        small(shown.month()),
        small(shown.day()),
        small(shown.hour()),
        small(shown.minute()),
        small(shown.second()),
        0,
    )
}

/// Sorts an error by its number; the text is as that of SPIRE's driver.
pub(super) fn told(error: Error) -> DatabaseError {
    let Error::Server(server) = &error else {
        let trouble = if error.is_fatal() { Trouble::Lost } else { Trouble::Other };
        return DatabaseError { trouble, text: error.to_string(), source: Some(Box::new(error)) };
    };
    let trouble = match server.code {
        // A row, and a column that a migration adds.
        1062 | 1060 => Trouble::Duplicate,
        1205 | 1213 | 1020 => Trouble::Conflict,
        1290 | 1792 | 1836 => Trouble::ReadOnly,
        1021 | 1114 => Trouble::Full,
        1044 | 1045 | 1049 | 1142 | 1698 => Trouble::Denied,
        1040 | 1203 | 1226 => Trouble::Unreachable,
        // Shutting down; what was under way is rolled back.
        1053 | 1152 | 1927 | 3169 | 4031 => Trouble::Lost,
        1264 | 1366 | 1406 => Trouble::Unfit,
        _ => Trouble::Other,
    };
    let text = format!("Error {} ({}): {}", server.code, server.state, server.message);
    DatabaseError { trouble, text, source: Some(Box::new(error)) }
}

//! One connection to PostgreSQL.
//!
//! Statements are sent with the types of their values and without a name: one round trip each, and nothing
//! left on the server, which also suits poolers that stand between.

use super::schema::DIALECT;
use crate::sql::fault::{DatabaseError, Trouble};
use crate::sql::session::{Cell, Columns, Dialect, Session, Value};
use crate::time::DateTime;
use async_trait::async_trait;
use bytes::BytesMut;
use std::error::Error;
use std::fmt::Write;
use std::time::SystemTime;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Row};

pub(super) struct PostgresSession {
    client: Client,
}

impl PostgresSession {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }
}

#[async_trait]
impl Session for PostgresSession {
    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }

    fn is_broken(&self) -> bool {
        self.client.is_closed()
    }

    async fn run(&mut self, sql: &str) -> Result<(), DatabaseError> {
        self.client.batch_execute(sql).await.map_err(told)
    }

    async fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, DatabaseError> {
        let bound: Vec<_> = values.iter().map(|value| Bound(*value)).collect();
        self.client.execute_typed(&numbered(sql), &typed(&bound)).await.map_err(told)
    }

    async fn insert(&mut self, _: &str, _: &[Value<'_>]) -> Result<i64, DatabaseError> {
        Err(DatabaseError::new(Trouble::Other, "PostgreSQL gives new rows by RETURNING"))
    }

    async fn query(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Columns>, DatabaseError> {
        let bound: Vec<_> = values.iter().map(|value| Bound(*value)).collect();
        let rows = self.client.query_typed(&numbered(sql), &typed(&bound)).await.map_err(told)?;
        rows.iter().map(columns).collect()
    }
}

/// `$1`, `$2` … for `?`; no statement has a question mark in a text.
fn numbered(sql: &str) -> String {
    let mut numbered = String::with_capacity(sql.len() + 64);
    let mut parts = sql.split('?');
    numbered.extend(parts.next());
    for (before, part) in parts.enumerate() {
        // Writing to a String does not fail.
        let _ = write!(numbered, "${}{part}", before + 1);
    }
    numbered
}

fn typed<'a>(bound: &'a [Bound<'_>]) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    bound.iter().map(|bound| (bound as &(dyn ToSql + Sync), bound.declared())).collect()
}

/// A value on its way to the server.
#[derive(Debug)]
struct Bound<'a>(Value<'a>);

impl Bound<'_> {
    fn declared(&self) -> Type {
        match self.0 {
            Value::Int(_) => Type::INT8,
            Value::Flag(_) => Type::BOOL,
            Value::Text(_) => Type::TEXT,
            Value::Blob(_) => Type::BYTEA,
            Value::Moment(_) => Type::TIMESTAMPTZ,
        }
    }
}

impl ToSql for Bound<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self.0 {
            Value::Int(number) => number.to_sql(kind, out),
            Value::Flag(flag) => flag.to_sql(kind, out),
            Value::Text(text) => text.to_sql(kind, out),
            Value::Blob(bytes) => bytes.to_sql(kind, out),
            Value::Moment(moment) => moment.map(DateTime::system_time).to_sql(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn columns(row: &Row) -> Result<Columns, DatabaseError> {
    let cells = (0..row.len()).map(|at| cell(row, at)).collect::<Result<_, _>>().map_err(told)?;
    Ok(Columns::new(cells))
}

fn cell(row: &Row, at: usize) -> Result<Cell, tokio_postgres::Error> {
    let or_null = |cell: Option<Cell>| cell.unwrap_or(Cell::Null);
    Ok(match *row.columns()[at].type_() {
        Type::INT4 => or_null(row.try_get::<_, Option<i32>>(at)?.map(|number| Cell::Int(number.into()))),
        Type::INT8 => or_null(row.try_get::<_, Option<i64>>(at)?.map(Cell::Int)),
        Type::BOOL => or_null(row.try_get::<_, Option<bool>>(at)?.map(|flag| Cell::Int(flag.into()))),
        Type::BYTEA => or_null(row.try_get::<_, Option<Vec<u8>>>(at)?.map(Cell::Blob)),
        Type::TIMESTAMPTZ => {
            let moment = row.try_get::<_, Option<SystemTime>>(at)?;
            or_null(moment.map(|moment| Cell::Moment(moment.into())))
        }
        // A function without a result, such as one that takes a lock.
        Type::VOID => Cell::Null,
        _ => or_null(row.try_get::<_, Option<String>>(at)?.map(Cell::Text)),
    })
}

/// Sorts an error by its SQLSTATE; the text begins as that of SPIRE's driver.
pub(super) fn told(error: tokio_postgres::Error) -> DatabaseError {
    let Some(database) = error.as_db_error() else {
        let trouble = if error.is_closed() || is_io(&error) { Trouble::Lost } else { Trouble::Other };
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        return DatabaseError { trouble, text: format!("{error}{cause}"), source: Some(Box::new(error)) };
    };
    let code = database.code().code();
    let trouble = match (code.get(..2).unwrap_or_default(), code) {
        ("23", _) => Trouble::Duplicate,
        (_, "40001" | "40P01" | "55P03") => Trouble::Conflict,
        (_, "25006") => Trouble::ReadOnly,
        (_, "53100") => Trouble::Full,
        ("53" | "08", _) => Trouble::Unreachable,
        // Shutting down or starting up; what was under way is rolled back.
        (_, "57P01" | "57P02" | "57P05") => Trouble::Lost,
        (_, "57P03") => Trouble::Unreachable,
        ("28", _) | (_, "3D000" | "42501") => Trouble::Denied,
        ("22", _) => Trouble::Unfit,
        _ => Trouble::Other,
    };
    DatabaseError { trouble, text: format!("pq: {}", database.message()), source: Some(Box::new(error)) }
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    error.source().is_some_and(|cause| cause.is::<std::io::Error>())
}

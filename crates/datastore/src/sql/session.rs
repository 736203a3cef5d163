//! One connection to a database server, as the roles see it: statements with `?`, values in, cells out.
//!
//! Each database implements [`Session`] and [`Connector`]; everything else in `sql` is written once. What
//! differs in the language itself is data, in [`Dialect`].

use super::fault::{DatabaseError, Fault};
use crate::time::DateTime;
use async_trait::async_trait;
use tokio::sync::watch;

/// An argument of a statement.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    Int(i64),
    Flag(bool),
    Text(&'a str),
    Blob(Option<&'a [u8]>),
    Moment(Option<DateTime>),
}

/// A column of a row, whatever its exact type in the database is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
    Moment(DateTime),
}

/// The columns of a row, taken one after the other.
#[derive(Debug)]
pub(crate) struct Columns(std::vec::IntoIter<Cell>);

impl Columns {
    pub(crate) fn new(cells: Vec<Cell>) -> Self {
        Self(cells.into_iter())
    }

    /// The next column, a whole number or a truth value; absent is 0.
    pub(crate) fn int(&mut self) -> Result<i64, Fault> {
        match self.0.next() {
            Some(Cell::Int(number)) => Ok(number),
            Some(Cell::Null) => Ok(0),
            other => Err(Fault::shape("a number", other.as_ref())),
        }
    }

    /// The next column, a number of seconds that SPIRE keeps in 32 bits.
    pub(crate) fn int32(&mut self) -> Result<i32, Fault> {
        Ok(i32::try_from(self.int()?).unwrap_or(i32::MAX))
    }

    /// The next column, a truth value; absent is false.
    pub(crate) fn flag(&mut self) -> Result<bool, Fault> {
        Ok(self.int()? != 0)
    }

    /// The next column, a text.
    pub(crate) fn optional_text(&mut self) -> Result<Option<String>, Fault> {
        match self.0.next() {
            Some(Cell::Text(text)) => Ok(Some(text)),
            // A driver need not know which bytes are a text.
            Some(Cell::Blob(bytes)) => match String::from_utf8(bytes) {
                Ok(text) => Ok(Some(text)),
                Err(bytes) => Err(Fault::shape("a text", Some(&Cell::Blob(bytes.into_bytes())))),
            },
            Some(Cell::Null) => Ok(None),
            other => Err(Fault::shape("a text", other.as_ref())),
        }
    }

    /// The next column, a text; absent is empty.
    pub(crate) fn text(&mut self) -> Result<String, Fault> {
        Ok(self.optional_text()?.unwrap_or_default())
    }

    /// The next column, bytes.
    pub(crate) fn optional_blob(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        match self.0.next() {
            Some(Cell::Blob(bytes)) => Ok(Some(bytes)),
            Some(Cell::Text(text)) => Ok(Some(text.into_bytes())),
            Some(Cell::Null) => Ok(None),
            other => Err(Fault::shape("bytes", other.as_ref())),
        }
    }

    /// The next column, bytes; absent is empty.
    pub(crate) fn blob(&mut self) -> Result<Vec<u8>, Fault> {
        Ok(self.optional_blob()?.unwrap_or_default())
    }

    /// The next column, a moment.
    pub(crate) fn moment(&mut self) -> Result<Option<DateTime>, Fault> {
        match self.0.next() {
            Some(Cell::Moment(moment)) => Ok(Some(moment)),
            Some(Cell::Null) => Ok(None),
            other => Err(Fault::shape("a moment", other.as_ref())),
        }
    }
}

/// What differs between databases in the text of statements and in what they keep.
#[derive(Debug)]
pub(crate) struct Dialect {
    /// SPIRE's name of the database.
    pub(crate) name: &'static str,
    /// Begins a transaction that sees what others have committed before each of its statements.
    pub(crate) begin: &'static str,
    /// Asks for the version of the server.
    pub(crate) version: &'static str,
    /// Counts the tables named `migrations`.
    pub(crate) has_schema: &'static str,
    /// Held by whoever makes or migrates the schema; a statement of one row.
    pub(crate) schema_lock: &'static str,
    /// Gives that back, where the end of the transaction does not.
    pub(crate) schema_unlock: Option<&'static str>,
    /// Held by whoever admits entries, until its transaction ends; a statement of rows.
    pub(crate) admission_lock: &'static str,
    /// What makes an insertion of a row that is there already do nothing; goes at its end.
    pub(crate) keep_first: &'static str,
    /// Whether `INSERT … RETURNING` gives the new rows.
    pub(crate) returning: bool,
    /// Tells other servers that something changed, after it did; nothing where they cannot be told.
    pub(crate) notify: Option<&'static str>,
    /// Everything that a new database has.
    pub(crate) tables: &'static [&'static str],
    /// What schema 24 added.
    pub(crate) to_24: &'static str,
    /// What schema 25 added.
    pub(crate) to_25: &'static str,
    /// How exactly a moment is kept.
    pub(crate) keeps: fn(DateTime) -> DateTime,
}

/// One connection.
#[async_trait]
pub(crate) trait Session: Send {
    /// What it speaks.
    fn dialect(&self) -> &'static Dialect;

    /// Whether it can be used no longer.
    fn is_broken(&self) -> bool;

    /// Runs a statement without arguments.
    async fn run(&mut self, sql: &str) -> Result<(), DatabaseError>;

    /// Runs a statement; gives the number of rows that it found.
    async fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, DatabaseError>;

    /// Runs an insertion of one row where `RETURNING` is not to be had; gives the number of the row.
    async fn insert(&mut self, sql: &str, values: &[Value<'_>]) -> Result<i64, DatabaseError>;

    /// Runs a query.
    async fn query(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Columns>, DatabaseError>;
}

/// The way to a database server.
#[async_trait]
pub(crate) trait Connector: Send + Sync {
    /// What is spoken there.
    fn dialect(&self) -> &'static Dialect;

    /// Server and database, for people: without any secret.
    fn target(&self) -> &str;

    /// Opens a connection.
    async fn connect(&self) -> Result<Box<dyn Session>, DatabaseError>;

    /// Starts to listen to what servers tell by [`Dialect::notify`]; nothing where that is not to be had.
    fn listen(&self) -> Option<watch::Receiver<u64>> {
        None
    }
}

/// The one row of a query, if there is one.
pub(crate) async fn first(
    db: &mut dyn Session,
    sql: &str,
    values: &[Value<'_>],
) -> Result<Option<Columns>, Fault> {
    Ok(db.query(sql, values).await?.into_iter().next())
}

/// `(?, ?), (?, ?)`: so many rows of so many values.
pub(crate) fn tuples(rows: usize, width: usize) -> String {
    let row = format!("({})", vec!["?"; width].join(", "));
    vec![row; rows].join(", ")
}

/// `(?, ?, ?)`: a list of so many values.
pub(crate) fn list(values: usize) -> String {
    tuples(1, values)
}

/// Most rows or keys in one statement, well below what any database takes.
pub(crate) const CHUNK: usize = 500;

/// Inserts rows, many with one statement; `insert` ends with `VALUES `.
pub(crate) async fn insert_rows(
    db: &mut dyn Session,
    insert: &str,
    suffix: &str,
    rows: &[Vec<Value<'_>>],
) -> Result<(), Fault> {
    for chunk in rows.chunks(CHUNK) {
        let sql = format!("{insert}{}{suffix}", tuples(chunk.len(), chunk[0].len()));
        db.execute(&sql, &chunk.concat()).await?;
    }
    Ok(())
}

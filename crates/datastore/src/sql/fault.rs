//! What goes wrong in a database server, sorted and told so that an operator knows which one and what to do.

use super::session::Cell;
use crate::codec::CodecError;
use finial_identity::Code;
use finial_plugin::datastore::StoreError;
use std::error::Error;

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// A row that must be there once is there already.
    Duplicate,
    /// Two transactions stood in each other's way; the same again will succeed.
    Conflict,
    /// The connection is gone, and with it the transaction.
    Lost,
    /// There is no connection to be had.
    Unreachable,
    /// It cannot be written here, now.
    ReadOnly,
    /// No room.
    Full,
    /// Name or password.
    Denied,
    /// What was to be written does not fit the column.
    Unfit,
    /// Anything else.
    Other,
}

/// A database's own error.
#[derive(Debug)]
pub(crate) struct DatabaseError {
    pub(crate) trouble: Trouble,
    /// In the words of the database.
    pub(crate) text: String,
    pub(crate) source: Option<Box<dyn Error + Send + Sync>>,
}

impl DatabaseError {
    pub(crate) fn new(trouble: Trouble, text: impl Into<String>) -> Self {
        Self { trouble, text: text.into(), source: None }
    }

    fn told(self, target: &str) -> StoreError {
        let (code, advice) = match self.trouble {
            Trouble::Duplicate => (Code::AlreadyExists, String::new()),
            Trouble::Unfit => (Code::InvalidArgument, String::new()),
            Trouble::Other => (Code::Internal, String::new()),
            Trouble::Conflict => (
                Code::Unavailable,
                format!(
                    ": too many writers stood in each other's way at {target}; nothing was changed, try again"
                ),
            ),
            Trouble::Lost => (Code::Unavailable, format!(": the connection to {target} was lost")),
            Trouble::Unreachable => (
                Code::Unavailable,
                format!(": {target} cannot be reached; is it running, and is connection_string right?"),
            ),
            Trouble::ReadOnly => (
                Code::Unavailable,
                format!(
                    ": {target} takes no changes; connection_string must lead to the primary, not to a standby"
                ),
            ),
            Trouble::Full => (
                Code::Unavailable,
                format!(": {target} has no room left; free or add space there, nothing was changed"),
            ),
            Trouble::Denied => (
                Code::Unavailable,
                format!(
                    ": {target} does not let this user in; check user, password and database in connection_string"
                ),
            ),
        };
        StoreError { code, message: format!("datastore-sql: {}{advice}", self.text), source: self.source }
    }
}

/// A failure inside a transaction, before it is known to which database it belongs.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The database's own.
    Database(DatabaseError),
    /// Ours, told already.
    Store(StoreError),
}

impl From<DatabaseError> for Fault {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<CodecError> for Fault {
    fn from(error: CodecError) -> Self {
        let message = format!("datastore-sql: {error}");
        Self::Store(StoreError { code: Code::Internal, message, source: Some(Box::new(error)) })
    }
}

impl Fault {
    /// The row asked for is not there; SPIRE's text.
    pub(crate) fn not_found() -> Self {
        StoreError::new(Code::NotFound, "datastore-sql: record not found").into()
    }

    /// A column holds something else than SPIRE's schema says.
    pub(crate) fn shape(wanted: &str, found: Option<&Cell>) -> Self {
        let found = match found {
            None => "nothing",
            Some(Cell::Null) => "NULL",
            Some(Cell::Int(_)) => "a number",
            Some(Cell::Text(_)) => "a text",
            Some(Cell::Blob(_)) => "bytes",
            Some(Cell::Moment(_)) => "a moment",
        };
        StoreError::new(Code::Internal, format!("datastore-sql: a column holds {found}, not {wanted}")).into()
    }

    /// The kind of a database's own failure.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        match self {
            Self::Database(error) => Some(error.trouble),
            Self::Store(_) => None,
        }
    }

    /// A duplicate that only a concurrent writer can have made: the same again will find it.
    pub(crate) fn duplicate_is_conflict(self) -> Self {
        match self {
            Self::Database(error) if error.trouble == Trouble::Duplicate => {
                Self::Database(DatabaseError { trouble: Trouble::Conflict, ..error })
            }
            other => other,
        }
    }

    /// The error as callers see it; `target` is the database.
    pub(crate) fn told(self, target: &str) -> StoreError {
        match self {
            Self::Store(error) => error,
            Self::Database(error) => error.told(target),
        }
    }
}

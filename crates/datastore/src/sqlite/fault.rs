//! What goes wrong in SQLite, sorted and told so that an operator knows which file and what to do.

use crate::codec::CodecError;
use finial_identity::Code;
use finial_plugin::datastore::StoreError;
use rusqlite::ErrorCode;

/// A failure inside a transaction, before it is known to which file it belongs.
#[derive(Debug)]
pub(crate) enum Fault {
    /// SQLite's own.
    Sql(rusqlite::Error),
    /// Ours, told already.
    Store(StoreError),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<CodecError> for Fault {
    fn from(error: CodecError) -> Self {
        Self::Store(StoreError {
            code: Code::Internal,
            message: format!("datastore-sql: {error}"),
            source: Some(Box::new(error)),
        })
    }
}

impl Fault {
    /// The row asked for is not there; SPIRE's text.
    pub(crate) fn not_found() -> Self {
        StoreError::new(Code::NotFound, "datastore-sql: record not found").into()
    }

    /// The error as callers see it; `file` is the database.
    pub(crate) fn told(self, file: &str) -> StoreError {
        match self {
            Self::Store(error) => error,
            Self::Sql(error) => tell(error, file),
        }
    }

    /// The same failure for another operation that shared the transaction.
    pub(crate) fn copy_told(&self, file: &str) -> StoreError {
        match self {
            Self::Store(error) => StoreError::new(error.code, error.message.clone()),
            Self::Sql(error) => {
                let (code, text) = classify(error, file);
                StoreError::new(code, text)
            }
        }
    }
}

fn tell(error: rusqlite::Error, file: &str) -> StoreError {
    let (code, message) = classify(&error, file);
    StoreError { code, message, source: Some(Box::new(error)) }
}

fn classify(error: &rusqlite::Error, file: &str) -> (Code, String) {
    let advised = |code, advice: String| (code, format!("datastore-sql: {error}: {advice}"));
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => (Code::AlreadyExists, format!("datastore-sql: {error}")),
        Some(ErrorCode::DiskFull) => advised(
            Code::Unavailable,
            format!("no room to write {file:?}; free space on its file system, nothing was changed"),
        ),
        Some(ErrorCode::ReadOnly) => advised(
            Code::Unavailable,
            format!(
                "{file:?} cannot be written; this user needs write permission for the file and for its \
                 directory, where SQLite keeps the files ending in -wal and -shm"
            ),
        ),
        Some(ErrorCode::CannotOpen) => advised(
            Code::Unavailable,
            format!(
                "{file:?} cannot be opened or created; its directory must exist and be readable and \
                 writable for this user (it is not created)"
            ),
        ),
        Some(ErrorCode::PermissionDenied) => {
            advised(Code::Unavailable, format!("permission denied for {file:?}"))
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => advised(
            Code::Unavailable,
            format!("another process holds {file:?}; is a second server or a backup using it?"),
        ),
        Some(ErrorCode::SystemIoFailure) => advised(
            Code::Unavailable,
            format!("the file system failed under {file:?}; see the kernel log of this host"),
        ),
        Some(ErrorCode::DatabaseCorrupt) => advised(
            Code::Internal,
            format!(
                "{file:?} is damaged; restore it from a backup, or rescue it with `sqlite3 {file} .recover`"
            ),
        ),
        Some(ErrorCode::NotADatabase) => advised(
            Code::Internal,
            format!("{file:?} is not an SQLite database; check connection_string, or move the file away"),
        ),
        _ => (Code::Internal, format!("datastore-sql: {error}")),
    }
}

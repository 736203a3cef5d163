//! The store on SQLite: one writing connection with group commit, a few reading ones, the roles.

mod bundles;
mod entries;
mod entry_rows;
mod events;
mod fault;
mod federation;
mod journals;
mod location;
mod nodes;
mod readers;
mod schema;
mod similar;
mod tokens;
mod writer;

#[cfg(test)]
mod tests;

use crate::version::MigrationPolicy;
use fault::Fault;
use finial_plugin::datastore::{ChangeNotifications, StoreResult};
use location::Location;
use readers::Readers;
use rusqlite::Connection;
use std::sync::Arc;
use std::time::SystemTime;
use writer::Writer;

/// What an operator says of the database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SqliteConfig {
    /// SPIRE's `connection_string`: a path or a `file:` URI, with the query parameters of SQLite and those
    /// of SPIRE's driver; `:memory:`, `file::memory:` and `mode=memory` keep everything in this process.
    pub connection_string: String,
    /// SPIRE's `disable_migration`.
    pub migration: MigrationPolicy,
}

impl SqliteConfig {
    /// A database that is migrated if need be.
    pub fn new(connection_string: impl Into<String>) -> Self {
        Self { connection_string: connection_string.into(), migration: MigrationPolicy::Migrate }
    }
}

/// The data store on SQLite. Needs a tokio runtime for its operations, not for opening.
///
/// Dropping it closes the connections and so folds the write-ahead log into the file.
pub struct SqliteStore {
    file: Arc<str>,
    writer: Writer,
    /// None for a database in memory, which has only one connection.
    readers: Option<Readers>,
}

/// Whoever else writes to the file is not heard.
impl ChangeNotifications for SqliteStore {}

impl SqliteStore {
    /// Opens the database, makes it if it is not there, and brings its schema up to date. The file's
    /// directory must exist. Blocks; errors name the file and say what to do.
    pub fn open(config: SqliteConfig) -> StoreResult<Self> {
        tracing::info!(db_type = "sqlite3", "Opening SQL database");
        let location = Location::parse(&config.connection_string)
            .map_err(|fault| fault.told(&config.connection_string))?;
        let told = |fault: Fault| fault.told(&location.file);
        let mut connection = location.open_writer().map_err(told)?;
        schema::prepare(&mut connection, config.migration, SystemTime::now()).map_err(told)?;
        tracing::info!(
            r#type = "sqlite3",
            version = rusqlite::version(),
            read_only = false,
            "Connected to SQL database"
        );
        let file: Arc<str> = location.file.as_str().into();
        let writer = Writer::new(connection, file.clone());
        let readers = (!location.in_memory).then(|| Readers::new(Arc::new(location)));
        Ok(Self { file, writer, readers })
    }

    /// The database file, for error texts.
    fn file(&self) -> Arc<str> {
        self.file.clone()
    }

    /// One transaction that changes something.
    async fn write<T, F>(&self, operation: F) -> StoreResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        self.writer.write(operation).await
    }

    /// One transaction that only reads.
    async fn read<T, F>(&self, operation: F) -> StoreResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        match &self.readers {
            Some(readers) => readers.read(operation).await,
            None => self.writer.write(operation).await,
        }
    }
}

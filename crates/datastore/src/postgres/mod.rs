//! PostgreSQL: what a connection string means, how a connection is opened, what is spoken on it.

mod listen;
mod location;
mod schema;
mod session;
mod tls;

use crate::sql::fault::{DatabaseError, Trouble};
use crate::sql::session::{Connector, Dialect, Session};
use crate::sql::{SqlOptions, SqlStore};
use async_trait::async_trait;
use finial_plugin::datastore::StoreResult;
use location::Location;
use std::fmt;
use std::sync::Arc;
use tls::MakeTls;
use tokio::sync::watch;

/// What an operator says of a PostgreSQL database.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct PostgresConfig {
    /// SPIRE's `connection_string`, as its driver reads it: `dbname=… host=…` or `postgres://…`.
    pub connection_string: String,
    /// SPIRE's `ro_connection_string`.
    pub ro_connection_string: Option<String>,
    /// The rest.
    pub options: SqlOptions,
}

impl fmt::Debug for PostgresConfig {
    /// Without the connection strings, which have passwords in them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConfig").field("options", &self.options).finish_non_exhaustive()
    }
}

impl PostgresConfig {
    /// Whether the connection strings can be understood; nothing is connected.
    pub fn validate(&self) -> StoreResult<()> {
        Location::parse(&self.connection_string)?;
        self.ro_connection_string.as_deref().map(Location::parse).transpose().map(drop)
    }
}

impl SqlStore {
    /// Opens a PostgreSQL database; makes its schema or brings it up to date.
    pub async fn open_postgres(config: PostgresConfig) -> StoreResult<Self> {
        let primary = Box::new(PostgresConnector::new(&config.connection_string)?);
        let replica = match config.ro_connection_string.as_deref() {
            Some(text) if !text.is_empty() => {
                Some(Box::new(PostgresConnector::new(text)?) as Box<dyn Connector>)
            }
            _ => None,
        };
        Self::open(primary, replica, config.options).await
    }
}

/// The way to a PostgreSQL server.
#[derive(Clone)]
struct PostgresConnector {
    target: String,
    config: Arc<tokio_postgres::Config>,
    tls: MakeTls,
}

impl PostgresConnector {
    fn new(connection_string: &str) -> StoreResult<Self> {
        let location = Location::parse(connection_string)?;
        let tls = MakeTls::new(&location.tls)?;
        Ok(Self { target: location.target(), config: Arc::new(location.config), tls })
    }
}

#[async_trait]
impl Connector for PostgresConnector {
    fn dialect(&self) -> &'static Dialect {
        &schema::DIALECT
    }

    fn target(&self) -> &str {
        &self.target
    }

    async fn connect(&self) -> Result<Box<dyn Session>, DatabaseError> {
        let (client, connection) = self.config.connect(self.tls.clone()).await.map_err(connecting)?;
        // It ends when the client is dropped; what it fails with the client's callers are told.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Box::new(session::PostgresSession::new(client)))
    }

    fn listen(&self) -> Option<watch::Receiver<u64>> {
        Some(listen::listen(self.clone()))
    }
}

/// What goes wrong while connecting and is not the server's own word means that it cannot be reached.
fn connecting(error: tokio_postgres::Error) -> DatabaseError {
    let error = session::told(error);
    match error.trouble {
        Trouble::Lost | Trouble::Other => DatabaseError { trouble: Trouble::Unreachable, ..error },
        _ => error,
    }
}

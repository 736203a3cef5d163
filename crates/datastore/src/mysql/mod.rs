//! MySQL and MariaDB: what a connection string means, how a connection is opened, what is spoken on it.

mod location;
mod schema;
mod session;
mod tls;

use crate::sql::fault::{DatabaseError, Trouble};
use crate::sql::session::{Connector, Dialect, Session};
use crate::sql::{SqlOptions, SqlStore};
use async_trait::async_trait;
use finial_plugin::datastore::StoreResult;
use jiff::tz::TimeZone;
use location::{Location, TlsMode};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, DriverError, Error, Opts, OptsBuilder};
use std::fmt;
use std::path::PathBuf;

/// Not where the binary log holds statements: then the server refuses changes at this level.
const ISOLATION: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";
const LOGS_STATEMENTS: &str = "SELECT @@GLOBAL.log_bin = 1 AND @@SESSION.binlog_format = 'STATEMENT'";
/// What does not fit a column is refused, never cut.
const STRICT: &str = "SET SESSION sql_mode = CONCAT(@@SESSION.sql_mode, ',STRICT_TRANS_TABLES')";

/// What an operator says of a MySQL database.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct MySqlConfig {
    /// SPIRE's `connection_string`, as its driver reads it: `user:password@tcp(host:port)/name?parseTime=true`.
    pub connection_string: String,
    /// SPIRE's `ro_connection_string`.
    pub ro_connection_string: Option<String>,
    /// `root_ca_path`: the authorities that may have issued the server's certificate.
    pub root_ca_path: Option<PathBuf>,
    /// `client_cert_path`; counts only together with the key.
    pub client_cert_path: Option<PathBuf>,
    /// `client_key_path`.
    pub client_key_path: Option<PathBuf>,
    /// The rest.
    pub options: SqlOptions,
}

impl fmt::Debug for MySqlConfig {
    /// Without the connection strings, which have passwords in them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MySqlConfig")
            .field("root_ca_path", &self.root_ca_path)
            .field("client_cert_path", &self.client_cert_path)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl MySqlConfig {
    /// Whether the connection strings can be understood; nothing is connected.
    pub fn validate(&self) -> StoreResult<()> {
        Location::parse(&self.connection_string)?;
        self.ro_connection_string.as_deref().map(Location::parse).transpose().map(drop)
    }
}

impl SqlStore {
    /// Opens a MySQL or MariaDB database; makes its schema or brings it up to date.
    pub async fn open_mysql(config: MySqlConfig) -> StoreResult<Self> {
        let primary = Box::new(MySqlConnector::new(&config, &config.connection_string)?);
        let replica = match config.ro_connection_string.as_deref() {
            Some(text) if !text.is_empty() => {
                Some(Box::new(MySqlConnector::new(&config, text)?) as Box<dyn Connector>)
            }
            _ => None,
        };
        Self::open(primary, replica, config.options).await
    }
}

/// The way to a MySQL server.
struct MySqlConnector {
    target: String,
    options: Opts,
    /// How to connect where the server has no TLS and need not have it.
    plain: Option<Opts>,
    settings: Vec<(String, String)>,
    zone: TimeZone,
}

impl MySqlConnector {
    fn new(config: &MySqlConfig, connection_string: &str) -> StoreResult<Self> {
        let location = Location::parse(connection_string)?;
        let target = location.target();
        let builder = options(&location);
        let tls = tls::options(config, location.tls)?;
        let may_be_plain = location.plain_fallback || location.tls == TlsMode::Preferred;
        let plain = (tls.is_some() && may_be_plain).then(|| builder.clone().into());
        let Location { settings, zone, .. } = location;
        Ok(Self { target, options: builder.ssl_opts(tls).into(), plain, settings, zone })
    }

    async fn open(&self) -> Result<Conn, Error> {
        match Conn::new(self.options.clone()).await {
            Err(Error::Driver(DriverError::NoClientSslFlagFromServer)) if self.plain.is_some() => {
                Conn::new(self.plain.clone().unwrap_or_default()).await
            }
            outcome => outcome,
        }
    }

    /// Sets the session up as statements here expect it.
    async fn prepare(&self, connection: &mut Conn) -> Result<(), Error> {
        let logs_statements = connection.query_first::<Option<i64>, _>(LOGS_STATEMENTS).await;
        if !matches!(logs_statements, Ok(Some(Some(1)))) {
            connection.query_drop(ISOLATION).await?;
        }
        connection.query_drop(STRICT).await?;
        for (name, value) in &self.settings {
            connection.query_drop(format!("SET {name} = {value}")).await?;
        }
        Ok(())
    }
}

fn options(location: &Location) -> OptsBuilder {
    let builder = OptsBuilder::default()
        .user(Some(location.user.as_str()).filter(|user| !user.is_empty()))
        .pass(Some(location.password.as_str()).filter(|password| !password.is_empty()))
        .db_name(Some(location.database.as_str()).filter(|name| !name.is_empty()))
        .enable_cleartext_plugin(location.cleartext)
        // An update that changes nothing still found its row.
        .client_found_rows(true)
        .prefer_socket(false);
    match &location.socket {
        Some(path) => builder.socket(Some(path.as_str())),
        None => builder.ip_or_hostname(location.host.as_str()).tcp_port(location.port),
    }
}

#[async_trait]
impl Connector for MySqlConnector {
    fn dialect(&self) -> &'static Dialect {
        &schema::DIALECT
    }

    fn target(&self) -> &str {
        &self.target
    }

    async fn connect(&self) -> Result<Box<dyn Session>, DatabaseError> {
        let mut connection = self.open().await.map_err(connecting)?;
        self.prepare(&mut connection).await.map_err(connecting)?;
        Ok(Box::new(session::MySqlSession::new(connection, self.zone.clone())))
    }
}

/// What goes wrong while connecting and is not the server's own word means that it cannot be reached.
fn connecting(error: Error) -> DatabaseError {
    let error = session::told(error);
    match error.trouble {
        Trouble::Lost | Trouble::Other => DatabaseError { trouble: Trouble::Unreachable, ..error },
        _ => error,
    }
}

//! `DataStore "sql"`: which database, where, and how many connections to it.

use super::{Declared, OpenPluginError};
use crate::config::reader::{Flag, Reader, Setting, Visibility};
use finial_datastore::{
    MigrationPolicy, MySqlConfig, PoolConfig, PostgresConfig, SqlOptions, SqlStore, SqliteConfig, SqliteStore,
};
use finial_plugin::datastore::{DataStore, StoreResult};
use std::path::PathBuf;
use std::sync::Arc;
use tracing::Instrument;

const ONE_DATABASE: &str = "there is one connection that writes and a few that read, as SQLite likes it";
const OTHER_DATABASES: &str = "it is for other databases than sqlite3";
const OWN_SETTINGS: &str =
    "its own TLS settings are in connection_string: sslmode, sslrootcert, sslcert and sslkey";

/// A database, not connected yet.
#[derive(Debug, Clone)]
pub(super) enum StoreChoice {
    Sqlite(SqliteConfig),
    Postgres(PostgresConfig),
    MySql(MySqlConfig),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DatabaseType {
    Sqlite,
    Postgres,
    MySql,
}

pub(super) fn read(plugin: &mut Declared<'_>) -> StoreChoice {
    plugin.with_data(|data| {
        let kind = read_database_type(data);
        // Most databases have passwords in theirs.
        let location = data.text_seen_by(Visibility::Secret, "connection_string", Flag::NONE, "");
        if location.value.is_empty() {
            data.problem(&location, "datastore-sql: connection_string must be set");
        }
        match kind {
            Some(DatabaseType::Postgres) => read_postgres(data, location),
            Some(DatabaseType::MySql) => read_mysql(data, location),
            // What is wrong with the type is told already.
            Some(DatabaseType::Sqlite) | None => read_sqlite(data, location, kind.is_some()),
        }
    })
}

fn read_database_type(data: &mut Reader<'_>) -> Option<DatabaseType> {
    if data.is_block("database_type") {
        data.problem_at(
            "database_type",
            "datastore-sql: aws_postgres and aws_mysql, with IAM instead of a password, are not available in this \
             version; available are sqlite3, postgres and mysql, the latter two with a password in \
             connection_string",
        );
        data.accept(&["database_type"]);
        return None;
    }
    let kind = data.text("database_type", Flag::NONE, "");
    match kind.value.as_str() {
        "sqlite3" => return Some(DatabaseType::Sqlite),
        "postgres" => return Some(DatabaseType::Postgres),
        "mysql" => return Some(DatabaseType::MySql),
        "" => data.problem(&kind, "datastore-sql: database_type must be set"),
        other => data.problem(&kind, format!("datastore-sql: unsupported database_type: {other}")),
    }
    None
}

fn read_migration(data: &mut Reader<'_>) -> MigrationPolicy {
    match data.is_set("disable_migration", false) {
        true => MigrationPolicy::Refuse,
        false => MigrationPolicy::Migrate,
    }
}

/// `warn` of what other databases have, if it is known that this is meant.
fn read_sqlite(data: &mut Reader<'_>, location: Setting<String>, warn: bool) -> StoreChoice {
    let migration = read_migration(data);
    let pool = ["max_open_conns", "max_idle_conns", "conn_max_lifetime"];
    let others = ["ro_connection_string", "root_ca_path", "client_cert_path", "client_key_path"];
    if warn {
        data.without_effect(&pool, ONE_DATABASE);
        data.without_effect(&["log_sql"], "statements are not logged");
        data.without_effect(&others, OTHER_DATABASES);
    } else {
        data.accept(&pool);
        data.accept(&["log_sql"]);
        data.accept(&others);
    }
    StoreChoice::Sqlite(SqliteConfig { connection_string: location.value, migration })
}

fn read_options(data: &mut Reader<'_>) -> SqlOptions {
    // As in Go: no limit for 0 and less, and no idle connections for 0 and less.
    let number = |number: Option<i64>, default: u32| match number {
        Some(number) => u32::try_from(number.max(0)).unwrap_or(u32::MAX),
        None => default,
    };
    let usual = PoolConfig::default();
    let pool = PoolConfig {
        open: number(data.optional_number("max_open_conns"), usual.open),
        idle: number(data.optional_number("max_idle_conns"), usual.idle),
        lifetime: data
            .duration("conn_max_lifetime", Flag::NONE, "conn_max_lifetime {}")
            .filter(|lifetime| !lifetime.is_zero()),
    };
    SqlOptions { migration: read_migration(data), pool, log_sql: data.is_set("log_sql", false) }
}

fn read_postgres(data: &mut Reader<'_>, location: Setting<String>) -> StoreChoice {
    let read_only = data.text_seen_by(Visibility::Secret, "ro_connection_string", Flag::NONE, "");
    data.without_effect(&["root_ca_path", "client_cert_path", "client_key_path"], OWN_SETTINGS);
    let check = |text: &str| {
        PostgresConfig { connection_string: text.to_owned(), ..PostgresConfig::default() }.validate()
    };
    check_locations(data, &location, &read_only, check);
    StoreChoice::Postgres(PostgresConfig {
        connection_string: location.value,
        ro_connection_string: Some(read_only.value).filter(|text| !text.is_empty()),
        options: read_options(data),
    })
}

fn read_mysql(data: &mut Reader<'_>, location: Setting<String>) -> StoreChoice {
    let read_only = data.text_seen_by(Visibility::Secret, "ro_connection_string", Flag::NONE, "");
    let check =
        |text: &str| MySqlConfig { connection_string: text.to_owned(), ..MySqlConfig::default() }.validate();
    check_locations(data, &location, &read_only, check);
    let mut path = |key| data.optional_text(key).map(|setting| PathBuf::from(setting.value));
    let (root_ca_path, client_cert_path) = (path("root_ca_path"), path("client_cert_path"));
    StoreChoice::MySql(MySqlConfig {
        connection_string: location.value,
        ro_connection_string: Some(read_only.value).filter(|text| !text.is_empty()),
        root_ca_path,
        client_cert_path,
        client_key_path: path("client_key_path"),
        options: read_options(data),
    })
}

/// Reports connection strings that cannot be understood; the texts show no secret.
fn check_locations(
    data: &Reader<'_>,
    location: &Setting<String>,
    read_only: &Setting<String>,
    check: impl Fn(&str) -> StoreResult<()>,
) {
    for setting in [location, read_only] {
        if !setting.value.is_empty()
            && let Err(error) = check(&setting.value)
        {
            data.problem(setting, error.to_string());
        }
    }
}

impl StoreChoice {
    /// Opens the database.
    pub(super) async fn open(self) -> Result<Arc<dyn DataStore>, OpenPluginError> {
        let log = tracing::error_span!("part", subsystem_name = "sql");
        let opened: StoreResult<Arc<dyn DataStore>> = match self {
            // A file blocks whoever opens it.
            Self::Sqlite(config) => {
                let open = move || log.in_scope(|| SqliteStore::open(config));
                match tokio::task::spawn_blocking(open).await {
                    Ok(opened) => opened.map(|store| Arc::new(store) as _),
                    Err(error) => return Err(OpenPluginError::of("DataStore", "sql")(error)),
                }
            }
            Self::Postgres(config) => {
                SqlStore::open_postgres(config).instrument(log).await.map(|store| Arc::new(store) as _)
            }
            Self::MySql(config) => {
                SqlStore::open_mysql(config).instrument(log).await.map(|store| Arc::new(store) as _)
            }
        };
        let store = opened.map_err(OpenPluginError::of("DataStore", "sql"))?;
        tracing::info!(reconfigurable = false, subsystem_name = "catalog", "Configured DataStore");
        Ok(store)
    }
}

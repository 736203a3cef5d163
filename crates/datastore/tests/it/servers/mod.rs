//! The same store on real database servers.

mod mysql;
mod postgres;
mod replication;
mod scenario;
mod tls;
mod two_stores;

use finial_datastore::{MySqlConfig, PostgresConfig, SqlStore};
use finial_plugin::datastore::StoreResult;
use finial_testkit::{DatabaseServer, Engine, skip};

/// A server for one test, or nothing, told, where the machine has none.
fn server(test: &str, engine: Engine, settings: &[&str]) -> Option<DatabaseServer> {
    if let Some(missing) = engine.missing() {
        skip(test, missing);
        return None;
    }
    Some(DatabaseServer::start(engine, settings).unwrap())
}

/// Opens a database of a server.
async fn open(engine: Engine, connection_string: String) -> SqlStore {
    try_open(engine, connection_string).await.unwrap()
}

async fn try_open(engine: Engine, connection_string: String) -> StoreResult<SqlStore> {
    match engine {
        Engine::Postgres => SqlStore::open_postgres(postgres_config(connection_string)).await,
        Engine::MariaDb => SqlStore::open_mysql(mysql_config(connection_string)).await,
    }
}

fn postgres_config(connection_string: String) -> PostgresConfig {
    PostgresConfig { connection_string, ..PostgresConfig::default() }
}

fn mysql_config(connection_string: String) -> MySqlConfig {
    MySqlConfig { connection_string, ..MySqlConfig::default() }
}

//! PostgreSQL.

use super::{postgres_config, scenario, server};
use finial_datastore::SqlStore;
use finial_identity::Code;
use finial_testkit::Engine::Postgres;

/// A database that SPIRE 1.16 made, as `pg_dump -s` tells it.
const SPIRE_SCHEMA: &str = include_str!("../spire_1_16_postgres.sql");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn datastore_postgres() {
    let Some(server) = server("datastore::datastore_postgres", Postgres, &[]) else { return };
    scenario::everything(Postgres, server, SPIRE_SCHEMA).await;
}

#[tokio::test]
async fn refusals_name_the_server_and_no_secret() {
    let nowhere = "host=/nonexistent user=u password=s3cret dbname=d".to_owned();
    let error = SqlStore::open_postgres(postgres_config(nowhere)).await.err().unwrap();
    assert_eq!(error.code, Code::Unavailable);
    assert!(error.message.starts_with("datastore-sql: "), "{error}");
    assert!(error.message.contains("/nonexistent") && error.message.contains("cannot be reached"), "{error}");
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");

    let Some(server) = server("datastore::refusals_postgres", Postgres, &[]) else { return };
    let missing = SqlStore::open_postgres(postgres_config(server.connection_string("nobody"))).await;
    let error = missing.err().unwrap();
    assert_eq!(error.code, Code::Unavailable);
    assert!(error.message.contains("database \"nobody\" does not exist"), "{error}");
    let name = server.create_database().unwrap();
    server.execute(&name, "ALTER DATABASE spire0 SET default_transaction_read_only = on").unwrap();
    let error =
        SqlStore::open_postgres(postgres_config(server.connection_string(&name))).await.err().unwrap();
    assert_eq!(error.code, Code::Unavailable, "{error}");
    assert!(error.message.contains("must lead to the primary"), "{error}");
}

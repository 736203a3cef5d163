//! MySQL, as MariaDB speaks it.

use super::{mysql_config, scenario, server};
use finial_datastore::SqlStore;
use finial_identity::Code;
use finial_testkit::Engine::MariaDb;

/// A database that SPIRE 1.16 made, as `mariadb-dump -d` tells it.
const SPIRE_SCHEMA: &str = include_str!("../spire_1_16_mysql.sql");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn datastore_mysql() {
    let Some(server) = server("datastore::datastore_mysql", MariaDb, &[]) else { return };
    scenario::everything(MariaDb, server, SPIRE_SCHEMA).await;
}

#[tokio::test]
async fn refusals_name_the_server_and_no_secret() {
    let nowhere = "u:s3cret@unix(/nonexistent)/d?parseTime=true".to_owned();
    let error = SqlStore::open_mysql(mysql_config(nowhere)).await.err().unwrap();
    assert_eq!(error.code, Code::Unavailable);
    assert!(error.message.starts_with("datastore-sql: "), "{error}");
    assert!(error.message.contains("/nonexistent") && error.message.contains("cannot be reached"), "{error}");
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
}

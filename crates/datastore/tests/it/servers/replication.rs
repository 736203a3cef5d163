//! A primary and a copy that follows it.

use super::{postgres_config, server};
use crate::numbered;
use finial_datastore::{PostgresConfig, SqlStore};
use finial_plugin::datastore::EntryStore;
use finial_testkit::{DatabaseServer, Engine};
use std::time::SystemTime;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn datastore_postgres_replication() {
    let Some(mut primary) = server("datastore::datastore_postgres_replication", Engine::Postgres, &[]) else {
        return;
    };
    let name = primary.create_database().unwrap();
    let string = primary.connection_string(&name);
    drop(SqlStore::open_postgres(postgres_config(string.clone())).await.unwrap());
    let mut standby = DatabaseServer::standby_of(&primary).unwrap();
    let config = PostgresConfig {
        ro_connection_string: Some(standby.connection_string(&name)),
        ..postgres_config(string.clone())
    };
    let store = SqlStore::open_postgres(config).await.unwrap();

    // What was written is read at once, whether the standby has it already or not.
    standby.execute("", "SELECT pg_wal_replay_pause()").unwrap();
    for number in 0..20 {
        store.entry_create_or_get(numbered(number), SystemTime::now()).await.unwrap();
        assert_eq!(store.entry_page(0, 100).await.unwrap().len(), number + 1, "the standby stands still");
    }
    standby.execute("", "SELECT pg_wal_replay_resume()").unwrap();
    let read_from_standby = || {
        let count = "SELECT COALESCE(SUM(tup_fetched + tup_returned), 0) FROM pg_stat_database \
             WHERE datname LIKE 'spire%'";
        standby.execute("", count).unwrap().trim().parse::<i64>().unwrap()
    };
    let before = read_from_standby();
    let deadline = std::time::Instant::now() + finial_testkit::PATIENCE;
    while read_from_standby() < before + 1000 {
        assert_eq!(store.entry_page(0, 100).await.unwrap().len(), 20);
        assert!(std::time::Instant::now() < deadline, "pages come from the standby when it is level");
    }

    // Without the standby everything goes on.
    standby.stop();
    assert_eq!(store.entry_page(0, 100).await.unwrap().len(), 20);

    // A standby takes no changes, and says so.
    standby.restart().unwrap();
    let error = SqlStore::open_postgres(postgres_config(standby.connection_string(&name))).await;
    if let Ok(store) = error {
        let error = store.entry_create_or_get(numbered(99), SystemTime::now()).await.unwrap_err();
        assert!(error.message.contains("must lead to the primary"), "{error}");
    }
    primary.stop();
}

//! A primary and a copy that follows it: reads may come from the copy, what was written is always seen.

use super::{mysql_config, postgres_config, server, try_open};
use crate::numbered;
use finial_datastore::{MySqlConfig, PostgresConfig, SqlStore};
use finial_plugin::datastore::EntryStore;
use finial_testkit::{DatabaseServer, Engine, PATIENCE, free_port};
use std::time::{Instant, SystemTime};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn datastore_postgres_replication() {
    let test = "datastore::datastore_postgres_replication";
    let Some(primary) = server(test, Engine::Postgres, &[]) else { return };
    let name = primary.create_database().unwrap();
    drop(try_open(Engine::Postgres, primary.connection_string(&name)).await.unwrap());
    let standby = DatabaseServer::standby_of(&primary).unwrap();
    let store = SqlStore::open_postgres(PostgresConfig {
        ro_connection_string: Some(standby.connection_string(&name)),
        ..postgres_config(primary.connection_string(&name))
    });
    let copy = Copy {
        server: standby,
        name,
        pause: "SELECT pg_wal_replay_pause()",
        resume: "SELECT pg_wal_replay_resume()",
        reads: "SELECT SUM(tup_fetched + tup_returned) FROM pg_stat_database WHERE datname LIKE 'spire%'",
    };
    follow(store.await.unwrap(), copy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn datastore_mysql_replication() {
    let test = "datastore::datastore_mysql_replication";
    let port = free_port().unwrap();
    let networking = [
        "--skip-networking=0",
        "--bind-address=127.0.0.1",
        &format!("--port={port}"),
        "--log-bin=bin",
        "--server-id=1",
    ];
    let Some(primary) = server(test, Engine::MariaDb, &networking) else { return };
    primary.execute("", "CREATE USER copy@localhost IDENTIFIED BY 'copy'").unwrap();
    primary.execute("", "GRANT REPLICATION SLAVE ON *.* TO copy@localhost").unwrap();
    let copy = server(test, Engine::MariaDb, &["--server-id=2", "--read-only=1"]).unwrap();
    let from = format!(
        "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={port}, MASTER_USER='copy', \
         MASTER_PASSWORD='copy', MASTER_USE_GTID=slave_pos"
    );
    copy.execute("", &from).unwrap();
    copy.execute("", "START SLAVE").unwrap();
    let name = primary.create_database().unwrap();
    drop(try_open(Engine::MariaDb, primary.connection_string(&name)).await.unwrap());
    let store = SqlStore::open_mysql(MySqlConfig {
        ro_connection_string: Some(copy.connection_string(&name)),
        ..mysql_config(primary.connection_string(&name))
    });
    let copy = Copy {
        server: copy,
        name,
        pause: "STOP SLAVE SQL_THREAD",
        resume: "START SLAVE SQL_THREAD",
        reads: "SELECT SUM(variable_value) FROM information_schema.global_status \
             WHERE variable_name LIKE 'Handler_read%'",
    };
    follow(store.await.unwrap(), copy).await;
}

/// A server that follows another one, and how to see what it does.
struct Copy {
    server: DatabaseServer,
    name: String,
    pause: &'static str,
    resume: &'static str,
    /// How many rows it has read for anybody.
    reads: &'static str,
}

impl Copy {
    fn state(&self) -> String {
        let newest = self.server.execute(&self.name, "SELECT MAX(id) FROM registered_entries_events");
        let replication = self.server.execute("", "SHOW SLAVE STATUS");
        format!("{newest:?} {replication:?} {}", self.reads())
    }

    fn reads(&self) -> f64 {
        self.server.execute("", self.reads).unwrap().trim().parse().unwrap()
    }
}

async fn follow(store: SqlStore, mut copy: Copy) {
    copy.server.execute("", copy.pause).unwrap();
    for number in 0..20 {
        store.entry_create_or_get(numbered(number), SystemTime::now()).await.unwrap();
        assert_eq!(store.entry_page(0, 100).await.unwrap().len(), number + 1, "the copy stands still");
    }
    copy.server.execute("", copy.resume).unwrap();

    // Looking costs the copy a few hundred rows each time; these pages cost it much more.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let before = copy.reads();
        let looking = copy.reads() - before;
        for _ in 0..200 {
            assert_eq!(store.entry_page(0, 100).await.unwrap().len(), 20);
        }
        if copy.reads() - before > looking * 3.0 + 5_000.0 {
            break;
        }
        assert!(Instant::now() < deadline, "pages come from the copy when it is level: {}", copy.state());
    }

    // Without the copy everything goes on.
    copy.server.stop();
    assert_eq!(store.entry_page(0, 100).await.unwrap().len(), 20);
    store.entry_create_or_get(numbered(20), SystemTime::now()).await.unwrap();

    // As a primary it is refused, at the latest with the first change.
    copy.server.restart().unwrap();
    let is_postgres = copy.server.connection_string("").starts_with("dbname");
    let engine = if is_postgres { Engine::Postgres } else { Engine::MariaDb };
    if !is_postgres {
        // Read-only does not hold for the administrator.
        return;
    }
    let store = try_open(engine, copy.server.connection_string(&copy.name)).await.unwrap();
    let error = store.entry_create_or_get(numbered(99), SystemTime::now()).await.unwrap_err();
    assert!(error.message.contains("must lead to the primary"), "{error}");
}

//! What every database server must do, besides the contract: SPIRE's schema, two servers at once, a client
//! that is killed, a server that goes away.

use super::open;
use super::two_stores::two_stores;
use crate::{numbered, write_and_acknowledge};
use finial_datastore::SqlStore;
use finial_identity::Code;
use finial_plugin::conformance::datastore;
use finial_plugin::datastore::{Admission, EntryStore};
use finial_testkit::{DatabaseServer, Engine};
use futures_util::future::join_all;
use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::SystemTime;

/// Runs it all on one server; `spire_schema` is that of a database which SPIRE made.
pub(super) async fn everything(engine: Engine, mut server: DatabaseServer, spire_schema: &str) {
    contract(engine, &server).await;
    schema(engine, &server, spire_schema).await;
    several_open_at_once(engine, &server).await;
    two_stores(engine, &server).await;
    killed_clients(engine, &server).await;
    server_goes_away(engine, &mut server).await;
}

async fn contract(engine: Engine, server: &DatabaseServer) {
    datastore::check(async || fresh(engine, server).await).await;
}

async fn fresh(engine: Engine, server: &DatabaseServer) -> SqlStore {
    open(engine, server.connection_string(&server.create_database().unwrap())).await
}

/// Lines that say something, in an order of their own.
fn statements(dump: &str) -> Vec<String> {
    let says = |line: &&str| {
        !(line.is_empty()
            || line.starts_with("--")
            || line.starts_with("\\")
            || line.starts_with("/*")
            || line.starts_with("SET "))
    };
    let without_counter = |line: &str| {
        let words = line.split(' ').filter(|word| !word.starts_with("AUTO_INCREMENT="));
        words.collect::<Vec<_>>().join(" ")
    };
    dump.lines().filter(says).map(without_counter).collect()
}

async fn schema(engine: Engine, server: &DatabaseServer, spire_schema: &str) {
    let name = server.create_database().unwrap();
    let store = open(engine, server.connection_string(&name)).await;
    store.ping().await.unwrap();
    drop(store);
    let made_here = statements(&server.dump_schema(&name).unwrap());
    assert_eq!(made_here, statements(spire_schema), "a new database is like one of SPIRE");
    assert_eq!(
        server.execute(&name, "SELECT version, code_version FROM migrations").unwrap().trim(),
        match engine {
            Engine::Postgres => "25|1.16.0",
            Engine::MariaDb => "25\t1.16.0",
        }
    );

    // Made by SPIRE, at an older schema.
    for schema in [25, 24, 23] {
        let name = server.create_database().unwrap();
        server.load(&name, spire_schema).unwrap();
        let mut changes =
            format!("INSERT INTO migrations (version, code_version) VALUES ({schema}, '1.14.0');");
        if schema < 25 {
            changes.push_str("ALTER TABLE registered_entries DROP COLUMN additional_attributes;");
        }
        if schema < 24 {
            changes.push_str("ALTER TABLE attested_node_entries DROP COLUMN agent_version;");
        }
        server.execute(&name, &changes).unwrap();
        let store = open(engine, server.connection_string(&name)).await;
        store.entry_create_or_get(numbered(1), SystemTime::now()).await.unwrap();
        drop(store);
        assert_eq!(statements(&server.dump_schema(&name).unwrap()), made_here, "from schema {schema}");
    }
    let name = server.create_database().unwrap();
    server.load(&name, spire_schema).unwrap();
    server.execute(&name, "INSERT INTO migrations (version, code_version) VALUES (22, '1.7.0')").unwrap();
    let error = super::try_open(engine, server.connection_string(&name)).await.err().unwrap();
    assert_eq!(error.code, Code::FailedPrecondition);
    assert!(error.message.contains("requires a previous SPIRE release"), "{error}");
}

async fn several_open_at_once(engine: Engine, server: &DatabaseServer) {
    let string = server.connection_string(&server.create_database().unwrap());
    let stores = join_all((0..4).map(|_| open(engine, string.clone()))).await;
    for store in &stores {
        assert!(store.entry_page(0, 9).await.unwrap().is_empty());
    }
}

const DATABASE: &str = "FINIAL_KILL_TEST_DATABASE";

/// Clients that are killed while they write: what they were told is there, and nothing is half there.
async fn killed_clients(engine: Engine, server: &DatabaseServer) {
    let string = server.connection_string(&server.create_database().unwrap());
    drop(open(engine, string.clone()).await);
    let mut acknowledged = HashSet::new();
    for round in 0..5_usize {
        acknowledged.extend(run_and_kill(engine, &string, round * 10_000, (round * round * 7) % 97));
    }
    let store = open(engine, string).await;
    let stored = store.entry_page(0, 100_000).await.unwrap();
    let told = store.entry_events(0, 100_000).await.unwrap();
    assert!(stored.iter().all(|row| row.value.spec.selectors.len() == 2), "no entry is half there");
    let stored: HashSet<_> = stored.into_iter().map(|row| row.value.id.to_string()).collect();
    let told: HashSet<_> = told.into_iter().map(|event| event.subject.to_string()).collect();
    assert_eq!(stored, told, "every entry has its event and the other way round");
    assert!(acknowledged.len() > 5 && acknowledged.is_subset(&stored));
    store.entry_create_or_get(numbered(900_000), SystemTime::now()).await.unwrap();
}

fn run_and_kill(engine: Engine, string: &str, first: usize, enough: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "servers::scenario::child_that_writes", "--ignored", "--nocapture"])
        .env(DATABASE, format!("{engine:?}:{first}:{string}"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = Vec::new();
    while acknowledged.len() < enough {
        let line = lines.next().expect("the child writes until it is killed").unwrap();
        acknowledged.extend(line.strip_prefix("acknowledged ").map(str::to_owned));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let rest = lines.map_while(Result::ok);
    acknowledged.extend(rest.filter_map(|line| line.strip_prefix("acknowledged ").map(str::to_owned)));
    acknowledged
}

/// The child of the test above; alone it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by killed_clients"]
async fn child_that_writes() {
    let Ok(target) = std::env::var(DATABASE) else { return };
    let mut parts = target.splitn(3, ':');
    let engine = if parts.next() == Some("Postgres") { Engine::Postgres } else { Engine::MariaDb };
    let first: usize = parts.next().unwrap().parse().unwrap();
    let store = Arc::new(open(engine, parts.next().unwrap().to_owned()).await);
    write_and_acknowledge(store, first).await;
}

/// The server is restarted under load: callers are told `Unavailable`, what was acknowledged is there, and
/// the store works again by itself.
async fn server_goes_away(engine: Engine, server: &mut DatabaseServer) {
    let string = server.connection_string(&server.create_database().unwrap());
    let store = Arc::new(open(engine, string).await);
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for step in 0..200_usize {
                    let draft = numbered(step * 4 + writer);
                    match store.entry_create_or_get(draft, SystemTime::now()).await {
                        Ok(Admission::Created(row)) => acknowledged.push(row.value.id.to_string()),
                        Ok(Admission::Similar(row)) => panic!("{row:?}"),
                        Err(error) => assert_eq!(error.code, Code::Unavailable, "{error}"),
                    }
                }
                acknowledged
            })
        })
        .collect();
    while store.entry_event_newest().await.unwrap() < 50 {
        tokio::task::yield_now().await;
    }
    server.stop();
    let error = store.ping().await.unwrap_err();
    assert_eq!(error.code, Code::Unavailable, "{error}");
    server.restart().unwrap();
    let mut acknowledged = HashSet::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    store.ping().await.unwrap();
    let stored = store.entry_page(0, 10_000).await.unwrap();
    let stored: HashSet<_> = stored.into_iter().map(|row| row.value.id.to_string()).collect();
    assert!(acknowledged.len() >= 50 && acknowledged.is_subset(&stored));
}

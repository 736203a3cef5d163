//! The schema: equal to SPIRE's, migrated from what SPIRE had, refused when it is out of reach.

use super::{config, open};
use finial_datastore::{MigrationPolicy, SqliteConfig, SqliteStore};
use finial_identity::Code;
use finial_plugin::datastore::{EntryStore, NodeStore};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::Path;

/// A database that SPIRE 1.16 wrote.
pub(crate) const SPIRE_1_16: &str = include_str!("spire_1_16.sql");

/// Every statement of `sqlite_master` by the name of its table or index, without white space: columns
/// that `ALTER TABLE` added are set differently.
pub(crate) fn statements(connection: &Connection) -> BTreeMap<String, String> {
    let mut statement = connection
        .prepare("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'sqlite_sequence'")
        .unwrap();
    let bare = |text: String| text.split_whitespace().collect::<String>();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, bare(row.get(1)?)))).unwrap();
    rows.collect::<rusqlite::Result<_>>().unwrap()
}

fn in_memory(sql: &str) -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(sql).unwrap();
    connection
}

#[test]
fn a_new_database_is_like_one_of_spire() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    drop(open(&path));
    let ours = Connection::open(&path).unwrap();
    assert_eq!(statements(&ours), statements(&in_memory(SPIRE_1_16)));
    let mode: String = ours.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
    assert_eq!(version(&ours), (25, "1.16.0".to_owned()));
    let text: String =
        ours.query_row("SELECT created_at || '' FROM migrations", [], |row| row.get(0)).unwrap();
    assert!(text.ends_with("+00:00") && text.len() > "2026-11-23 20:25:08+00:00".len(), "{text}");
    drop(ours);
    drop(open(&path));
}

fn version(connection: &Connection) -> (i64, String) {
    let sql = "SELECT version, code_version FROM migrations";
    connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

/// Makes a database at an older or newer schema out of SPIRE's.
fn at_version(path: &Path, schema: i64, code: &str) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(SPIRE_1_16).unwrap();
    if schema < 25 {
        connection.execute_batch("ALTER TABLE registered_entries DROP COLUMN additional_attributes").unwrap();
    }
    if schema < 24 {
        connection.execute_batch("ALTER TABLE attested_node_entries DROP COLUMN agent_version").unwrap();
    }
    connection.execute("UPDATE migrations SET version = ?1, code_version = ?2", (schema, code)).unwrap();
}

#[tokio::test]
async fn older_schemas_are_migrated() {
    for (schema, code) in [(23, "1.8.0-dev-unk"), (24, "1.14.2-dev-27d2083")] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        at_version(&path, schema, code);
        let store = open(&path);
        assert!(!store.entry_page(0, 100).await.unwrap().is_empty());
        assert!(!store.node_page(0, 100).await.unwrap().is_empty());
        drop(store);
        let migrated = Connection::open(&path).unwrap();
        assert_eq!(statements(&migrated), statements(&in_memory(SPIRE_1_16)));
        assert_eq!(version(&migrated), (25, "1.16.0".to_owned()));
    }
}

fn refusal(config: SqliteConfig) -> String {
    let error = SqliteStore::open(config).err().unwrap();
    assert_eq!(error.code, Code::FailedPrecondition);
    error.message
}

#[test]
fn what_is_out_of_reach_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let case = |schema: i64, code: &str| {
        let path = folder.path().join(format!("{schema}-{code}"));
        at_version(&path, schema, code);
        path
    };
    let old = refusal(config(&case(22, "1.7.6")));
    assert!(
        old.starts_with("datastore-sql: migrating from schema version 22 requires a previous SPIRE release"),
        "{old}"
    );
    assert!(old.contains("let SPIRE upgrade this database to schema version 23"), "{old}");
    refusal(config(&case(0, "")));

    let new = refusal(config(&case(27, "1.18.0")));
    assert!(new.starts_with("datastore-sql: incompatible DB schema and code version"), "{new}");
    assert!(new.contains("27") && new.contains("1.18.0"), "{new}");
    refusal(config(&case(26, "2.16.0")));
    refusal(config(&case(26, "")));
    refusal(config(&case(26, "what")));

    let disabled = SqliteConfig { migration: MigrationPolicy::Refuse, ..config(&case(24, "1.14.0")) };
    assert_eq!(refusal(disabled), "datastore-sql: auto-migration must be enabled for current DB");

    // What was refused is as it was.
    let path = folder.path().join("24-1.14.0");
    assert_eq!(version(&Connection::open(path).unwrap()), (24, "1.14.0".to_owned()));
}

#[tokio::test]
async fn one_minor_release_ahead_is_tolerated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    at_version(&path, 26, "1.17.3");
    let newer = Connection::open(&path).unwrap();
    newer.execute_batch("ALTER TABLE registered_entries ADD \"something_new\" varchar(255)").unwrap();
    drop(newer);
    let store = open(&path);
    store.entry_create_or_get(super::numbered(1), std::time::SystemTime::now()).await.unwrap();
    drop(store);
    assert_eq!(version(&Connection::open(&path).unwrap()), (26, "1.17.3".to_owned()));
}

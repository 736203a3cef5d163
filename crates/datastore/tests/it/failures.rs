//! What operators see when the file or its disk fails them.

use super::{config, numbered, open};
use finial_datastore::{SqliteConfig, SqliteStore};
use finial_identity::Code;
use finial_plugin::datastore::{EntryStore, StoreError};
use rusqlite::Connection;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::SystemTime;

fn refusal(path: &Path) -> StoreError {
    let error = SqliteStore::open(config(path)).err().unwrap();
    assert!(error.message.starts_with("datastore-sql: "), "{error}");
    assert!(error.message.contains(path.to_str().unwrap()), "the file is named: {error}");
    assert!(error.source.is_some());
    error
}

#[test]
fn no_directory() {
    let folder = tempfile::tempdir().unwrap();
    let error = refusal(&folder.path().join("nowhere/db"));
    assert_eq!(error.code, Code::Unavailable);
    assert!(error.message.contains("its directory must exist"), "{error}");
    assert!(!folder.path().join("nowhere").exists(), "a directory is not made");
}

#[test]
fn not_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    std::fs::write(&path, "# Something else altogether\n".repeat(100)).unwrap();
    let error = refusal(&path);
    assert_eq!(error.code, Code::Internal);
    assert!(error.message.contains("is not an SQLite database"), "{error}");
}

#[test]
fn damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    drop(open(&path));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100..4096].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let error = refusal(&path);
    assert_eq!(error.code, Code::Internal);
    assert!(error.message.contains("restore it from a backup"), "{error}");
}

#[test]
fn read_only_directory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    drop(open(&path));
    let permissions =
        |mode| std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    permissions(0o500);
    if std::fs::write(folder.path().join("probe"), "").is_ok() {
        println!("skipped: this user may write anywhere");
        return permissions(0o700);
    }
    let error = refusal(&path);
    permissions(0o700);
    assert_eq!(error.code, Code::Unavailable);
}

#[tokio::test]
async fn opened_for_reading_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    drop(open(&path));
    let read_only = SqliteConfig::new(format!("file:{}?mode=ro", path.display()));
    let error = match SqliteStore::open(read_only) {
        Ok(store) => store.entry_create_or_get(numbered(1), SystemTime::now()).await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.code, Code::Unavailable);
    assert!(error.message.contains("needs write permission"), "{error}");
}

#[tokio::test]
async fn busy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let store = SqliteStore::open(SqliteConfig::new(format!("{}?_busy_timeout=20", path.display()))).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.entry_create_or_get(numbered(1), SystemTime::now()).await.unwrap_err();
    assert_eq!(error.code, Code::Unavailable);
    assert!(error.message.contains("another process holds"), "{error}");
    assert!(store.entry_page(0, 9).await.unwrap().is_empty(), "reads go on");
    other.execute_batch("ROLLBACK").unwrap();
    store.entry_create_or_get(numbered(1), SystemTime::now()).await.unwrap();
}

/// A full disk for real, where this test may mount one.
#[tokio::test]
async fn disk_full() {
    let folder = tempfile::tempdir().unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(folder.path())
        .output()
        .is_ok_and(|output| output.status.success());
    if !mounted {
        println!("skipped: this user may not mount a file system");
        return;
    }
    let path = folder.path().join("db");
    let told = tokio::spawn(async move {
        let store = open(&path);
        write_until_full(&store).await
    })
    .await;
    let unmounted = std::process::Command::new("umount").arg(folder.path()).status();
    assert!(unmounted.unwrap().success());
    assert!(told.unwrap() > 0);
}

/// Writes until the disk is full; what was acknowledged is there, what was refused is not.
async fn write_until_full(store: &SqliteStore) -> usize {
    let mut written = 0;
    let error = loop {
        match store.entry_create_or_get(numbered(written), SystemTime::now()).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 9_000, "never full");
    };
    assert_eq!(error.code, Code::Unavailable);
    assert!(error.message.contains("no room to write"), "{error}");
    assert!(error.message.contains("full"), "{error}");
    let drafts = (written..written + 3).map(numbered).collect();
    let error = store.entry_create_batch(drafts, SystemTime::now()).await.unwrap_err();
    assert_eq!(error.code, Code::Unavailable, "a batch fails as a whole: {error}");
    assert_eq!(store.entry_page(0, 10_000).await.unwrap().len(), written);
    assert_eq!(store.entry_events(0, 10_000).await.unwrap().len(), written);
    written
}

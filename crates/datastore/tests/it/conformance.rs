//! The contract, on disk and in memory.

use finial_datastore::{SqliteConfig, SqliteStore};
use finial_plugin::conformance::datastore;

#[tokio::test]
async fn on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    datastore::check(async || {
        count.set(count.get() + 1);
        super::open(&folder.path().join(format!("{}.sqlite3", count.get())))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_memory() {
    for text in [":memory:", "file::memory:?cache=shared", "file:conformance?mode=memory"] {
        datastore::check(async || SqliteStore::open(SqliteConfig::new(text)).unwrap()).await;
    }
}

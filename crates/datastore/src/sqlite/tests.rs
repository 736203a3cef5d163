//! What only the inside can see: the plans of queries, and SQLite's own limit standing in for a full disk.

use super::*;
use finial_identity::{Code, EntryDraft, EntrySpec, Selector, SpiffeId};
use finial_plugin::datastore::EntryStore;

fn store(folder: &tempfile::TempDir) -> SqliteStore {
    SqliteStore::open(SqliteConfig::new(folder.path().join("db").to_str().unwrap())).unwrap()
}

/// The plan of a query on an empty database, one step a line.
async fn plan(store: &SqliteStore, sql: &'static str) -> String {
    let explain = move |db: &Connection| {
        let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
        let nulls = vec![rusqlite::types::Null; statement.parameter_count()];
        let rows = statement.query_map(rusqlite::params_from_iter(nulls), |row| row.get::<_, String>(3))?;
        Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?.join("\n"))
    };
    store.read(explain).await.unwrap()
}

#[tokio::test]
async fn queries_use_indices() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let all = [entries::ALL_SQL, entry_rows::ALL_SQL, federation::ALL_SQL, nodes::ALL_SQL, similar::ALL_SQL];
    for sql in all.into_iter().flatten() {
        let plan = plan(&store, sql).await;
        let walks_all = plan.lines().any(|step| step.starts_with("SCAN") && !step.contains("CONSTANT"));
        assert!(!walks_all, "{sql}\n{plan}");
    }
    assert!(plan(&store, entries::ENDED).await.contains("idx_registered_entries_expiry"));
    assert!(plan(&store, nodes::EXPIRED).await.contains("idx_attested_node_entries_expires_at"));
}

fn numbered(number: usize) -> EntryDraft {
    let id = |path: &str| SpiffeId::parse(&format!("spiffe://example.org{path}")).unwrap();
    let spec = EntrySpec {
        spiffe_id: id(&format!("/w/{number}")),
        parent_id: id("/spire/agent/a"),
        selectors: vec![Selector::parse("unix:uid:1").unwrap()],
        x509_svid_ttl: 0,
        jwt_svid_ttl: 0,
        federates_with: Vec::new(),
        admin: false,
        downstream: false,
        expires_at: None,
        dns_names: Vec::new(),
        store_svid: false,
        hint: String::new(),
        additional: None,
    };
    EntryDraft { id: None, spec }
}

#[tokio::test]
async fn full() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let limit = |pages: u32| {
        move |db: &Connection| {
            Ok(db.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?)
        }
    };
    store.write(limit(100)).await.unwrap();
    let now = SystemTime::now();
    let mut written = 0;
    let error = loop {
        match store.entry_create_or_get(numbered(written), now).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 9_000, "never full");
    };
    assert_eq!(error.code, Code::Unavailable);
    assert!(
        error.message.starts_with("datastore-sql: database or disk is full: no room to write"),
        "{error}"
    );
    assert!(error.message.contains(folder.path().to_str().unwrap()), "{error}");

    // Several at once fail alike, and a batch fails as a whole.
    let drafts: Vec<_> = (written..written + 40).map(numbered).collect();
    let batch = store.entry_create_batch(drafts.clone(), now).await;
    assert_eq!(batch.unwrap_err().code, Code::Unavailable);
    let writes = drafts.into_iter().map(|draft| store.entry_create_or_get(draft, now));
    let answers = futures_util::future::join_all(writes).await;
    let acknowledged = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!(acknowledged < 40);
    assert!(answers.into_iter().filter_map(Result::err).all(|error| error.code == Code::Unavailable));
    assert_eq!(store.entry_page(0, 10_000).await.unwrap().len(), written + acknowledged);

    store.write(limit(1_000_000)).await.unwrap();
    store.entry_create_or_get(numbered(10_000), now).await.unwrap();
}

#[tokio::test]
async fn an_operation_that_panics_stops_the_writer_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let broken = store.write(|_| -> Result<(), Fault> { panic!("on purpose") }).await;
    assert_eq!(broken.unwrap_err().code, Code::Unavailable);
    let after = store.entry_create_or_get(numbered(1), SystemTime::now()).await.unwrap_err();
    assert!(after.message.contains("has stopped"), "{after}");
    assert!(store.entry_page(0, 9).await.unwrap().is_empty());
}

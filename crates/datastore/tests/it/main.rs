//! The store through its public door.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails panics, its helpers too")]

mod conformance;
mod crash;
mod failures;
mod group_commit;
mod history;
mod schema;
mod servers;
mod spire;

use finial_datastore::{SqliteConfig, SqliteStore};
use finial_identity::{EntryDraft, EntryId, EntrySpec, Selector, SpiffeId};
use finial_plugin::datastore::{Admission, EntryStore};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// Opens the database at this path.
fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(config(path)).unwrap()
}

fn config(path: &Path) -> SqliteConfig {
    SqliteConfig::new(path.to_str().unwrap())
}

fn spec(spiffe_id: &str, parent_id: &str, selectors: &[&str]) -> EntrySpec {
    EntrySpec {
        spiffe_id: SpiffeId::parse(spiffe_id).unwrap(),
        parent_id: SpiffeId::parse(parent_id).unwrap(),
        selectors: selectors.iter().map(|text| Selector::parse(text).unwrap()).collect(),
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
    }
}

/// An entry that differs from all with another number.
fn numbered(number: usize) -> EntryDraft {
    EntryDraft {
        id: Some(EntryId::parse(format!("entry-{number}")).unwrap()),
        spec: spec(
            &format!("spiffe://example.org/w/{number}"),
            "spiffe://example.org/spire/agent/a",
            &["unix:uid:1000", "unix:gid:1000"],
        ),
    }
}

/// Writes entries, four at a time, and says of each when it is acknowledged, until the process is killed.
async fn write_and_acknowledge(store: Arc<dyn EntryStore>, first: usize) {
    let writers = (0..4).map(|writer| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for step in 0.. {
                let draft = numbered(first + step * 4 + writer);
                let answer = store.entry_create_or_get(draft, SystemTime::now()).await.unwrap();
                let Admission::Created(row) = answer else { panic!("{answer:?}") };
                let mut out = std::io::stdout().lock();
                writeln!(out, "acknowledged {}", row.value.id).unwrap();
                out.flush().unwrap();
            }
        })
    });
    futures_util::future::join_all(writers).await;
}

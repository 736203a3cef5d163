//! A database that SPIRE wrote: read whole, changed, and still one that SPIRE can read.

use super::{open, schema};
use finial_identity::{AdditionalAttributes, EntryId, TrustDomain, UnixTime};
use finial_plugin::datastore::{
    BundleChange, BundleStore, EntryStore, JournalStore, NodeChange, NodeStore, PruneScope, TokenStore,
};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

fn spire_database(folder: &Path) -> PathBuf {
    let path = folder.join("datastore.sqlite3");
    Connection::open(&path).unwrap().execute_batch(schema::SPIRE_1_16).unwrap();
    path
}

fn id(text: &str) -> EntryId {
    EntryId::parse(text).unwrap()
}

#[tokio::test]
async fn entries() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&spire_database(folder.path()));
    let all = store.entry_page(0, 100).await.unwrap();
    assert_eq!(all.len(), 27);
    assert_eq!(store.entry_event_newest().await.unwrap(), 44);

    let full = store.entry_get(&id("e-full-2")).await.unwrap().unwrap();
    assert_eq!((full.row_id, full.value.revision), (4, 0));
    assert_eq!(full.value.created_at, UnixTime::from_seconds(1_795_465_646), "27:25.73 is rounded to 27:26");
    let spec = &full.value.spec;
    let texts: Vec<_> = spec.selectors.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["unix:uid:1000", "unix:gid:1000"]);
    assert_eq!(spec.dns_names, ["b.example.org", "a.example.org"]);
    assert_eq!(spec.federates_with, [TrustDomain::parse("federated.test").unwrap()]);
    assert_eq!((spec.x509_svid_ttl, spec.jwt_svid_ttl, spec.hint.as_str()), (3600, 300, "myhint"));
    assert_eq!((spec.admin, spec.downstream, spec.store_svid), (true, true, false));
    assert_eq!(spec.expires_at, Some(UnixTime::from_seconds(1_900_000_000)));
    let both = AdditionalAttributes { disable_x509_svid_prefetch: true, jwt_svid_include_jti: true };
    assert_eq!(spec.additional, Some(both));
    let updated = store.entry_get(&id("e-full")).await.unwrap().unwrap().value;
    assert_eq!((updated.revision, updated.spec.expires_at, updated.spec.additional), (5, None, None));
}

#[tokio::test]
async fn nodes_tokens_and_journals() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&spire_database(folder.path()));
    let nodes = store.node_page(0, 10).await.unwrap();
    let [pop, token] = &nodes[..] else { panic!("{nodes:?}") };
    assert_eq!((pop.row_id, pop.value.attestation_type.as_str()), (1, "x509pop"));
    assert_eq!(pop.value.current.serial, "7650206017753314764286006396597996950");
    assert_eq!(pop.value.current.expires_at, UnixTime::from_seconds(1_795_898_018));
    assert_eq!((pop.value.staged.clone(), pop.value.can_reattest), (None, true));
    assert_eq!((pop.value.agent_version.as_str(), pop.value.selectors.len()), ("1.16.0-dev-unk", 3));
    assert!(!token.value.can_reattest && token.value.selectors.is_empty());
    assert_eq!(store.node_event_newest().await.unwrap(), 17);

    let (_, aliases) = store.node_delete(&token.value.id, SystemTime::now()).await.unwrap();
    assert_eq!(aliases, [id("4a56caea-e7b2-4559-b174-41eec0d2c2a5")]);
    let taken = store.token_take("33dc1582-51cf-402f-82a2-2c34246fb8fd").await.unwrap().unwrap();
    assert_eq!(taken.expires_at, UnixTime::from_seconds(1_795_466_242));
    let journals = store.journal_list().await.unwrap();
    assert_eq!(journals[0].active_x509_authority_id, "fe4bc88926e6690aa897573f539bf4317b5607d3");
    assert!(journals[0].data.len() > 700);
}

#[tokio::test]
async fn bundles_are_written_back_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = spire_database(folder.path());
    let blobs = |path: &Path| -> Vec<(i64, Vec<u8>)> {
        let connection = Connection::open(path).unwrap();
        let mut statement = connection.prepare("SELECT id, data FROM bundles ORDER BY id").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.collect::<rusqlite::Result<_>>().unwrap()
    };
    let before = blobs(&path);
    let store = open(&path);
    let bundles = store.bundle_page(0, 10).await.unwrap();
    assert_eq!(bundles.len(), 3);
    let own = &bundles[0].value;
    assert_eq!(own.trust_domain.as_str(), "example.org");
    assert_eq!(own.x509_authorities[0].id().as_str(), "fe4bc88926e6690aa897573f539bf4317b5607d3");
    assert!(!own.jwt_authorities.is_empty() && own.sequence_number > 0);
    for bundle in bundles {
        let (name, same) = (bundle.value.trust_domain.clone(), bundle.value);
        store.bundle_change(&name, BundleChange::Set(same), SystemTime::now()).await.unwrap();
    }
    drop(store);
    assert_eq!(blobs(&path), before);
}

/// SPIRE writes moments in the zone of its host: what they say counts, not how the texts sort.
#[tokio::test]
async fn moments_in_other_zones() {
    let folder = tempfile::tempdir().unwrap();
    let path = spire_database(folder.path());
    let connection = Connection::open(&path).unwrap();
    let set =
        |text: &str| connection.execute("UPDATE attested_node_entries SET expires_at = ?1", [text]).unwrap();
    let store = open(&path);
    let bound = UnixTime::from_seconds(1_800_000_000); // 2027-01-15 08:00:00 UTC
    let now = SystemTime::now();
    for (text, seconds) in [
        ("2027-01-15 19:00:00+11:00", 1_800_000_000),
        ("2027-01-14 22:00:00.25-10:00", 1_800_000_000),
        ("2027-01-15T08:00:00Z", 1_800_000_000),
        ("2027-01-15 08:00:01", 1_800_000_001),
    ] {
        set(text);
        let read = store.node_page(0, 1).await.unwrap().remove(0).value.current.expires_at;
        assert_eq!(read, UnixTime::from_seconds(seconds), "{text}");
        let pruned = store.node_prune(bound, PruneScope::All, 10, now).await.unwrap();
        assert!(pruned.is_empty(), "{text} is not before");
    }
    set("2027-01-15 18:59:59+11:00");
    assert_eq!(store.node_prune(bound, PruneScope::All, 10, now).await.unwrap().len(), 2);
}

/// Everything in columns keeps the storage class and the form that SPIRE's driver writes.
#[tokio::test]
async fn what_is_written_looks_like_spires() {
    let folder = tempfile::tempdir().unwrap();
    let path = spire_database(folder.path());
    let store = open(&path);
    let node = store.node_page(0, 1).await.unwrap().remove(0).value;
    let now = SystemTime::UNIX_EPOCH + Duration::new(1_795_465_508, 476_527_060);
    let staged = finial_identity::AgentSerial {
        serial: "5".into(),
        expires_at: UnixTime::from_seconds(1_795_898_018),
    };
    store.node_change(&node.id, NodeChange::Stage(staged), now).await.unwrap();
    let mut draft = super::numbered(1);
    draft.spec.federates_with = vec![TrustDomain::parse("federated.test").unwrap()];
    draft.spec.dns_names = vec!["a.test".into()];
    store.entry_create_or_get(draft, now).await.unwrap();
    drop(store);

    let connection = Connection::open(&path).unwrap();
    let text = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(
        text("SELECT updated_at || ' ' || new_expires_at FROM attested_node_entries WHERE id = 1"),
        "2026-11-23 20:25:08.47652706+00:00 2026-11-28 20:33:38+00:00"
    );
    // The classes of our new rows are those of SPIRE's rows beside them.
    for table in [
        "registered_entries",
        "selectors",
        "dns_names",
        "registered_entries_events",
        "federated_registration_entries",
    ] {
        let columns: Vec<String> = connection
            .prepare(&format!("SELECT name FROM pragma_table_info('{table}')"))
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<rusqlite::Result<_>>()
            .unwrap();
        let classes =
            columns.iter().map(|name| format!("typeof(\"{name}\")")).collect::<Vec<_>>().join("||' '||");
        let newest = text(&format!("SELECT {classes} FROM {table} ORDER BY rowid DESC LIMIT 1"));
        let oldest = text(&format!("SELECT {classes} FROM {table} ORDER BY rowid LIMIT 1"));
        assert_eq!(newest, oldest, "{table}");
    }
}

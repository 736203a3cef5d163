//! `TokenStore` and `JournalStore`.

use super::{later, now, refused};
use crate::datastore::{DataStore, JoinToken, StoredJournal};
use finial_identity::{Code, UnixTime};

/// A token is there once, for one.
pub async fn tokens(store: &dyn DataStore) {
    let token = |value: &str| JoinToken { value: value.to_owned(), expires_at: UnixTime::from_seconds(5) };
    assert!(store.token_take("nothing").await.expect("take").is_none());
    store.token_create(token("one"), now()).await.expect("create");
    store.token_create(token("two"), now()).await.expect("create");
    let error = refused(store.token_create(token("one"), now()).await, Code::AlreadyExists);
    assert!(error.message.starts_with("datastore-sql: "), "{error}");
    refused(store.token_create(token(""), now()).await, Code::InvalidArgument);

    // An expired token is given too: its end is for the caller to judge.
    let (a, b, c) = tokio::join!(store.token_take("one"), store.token_take("one"), store.token_take("one"));
    let taken: Vec<_> = [a, b, c].into_iter().filter_map(|token| token.expect("take")).collect();
    assert_eq!(taken.len(), 1, "of many takers one gets it");
    assert!(taken[0] == token("one"));
    assert!(store.token_take("one").await.expect("take").is_none());
    assert!(store.token_take("two").await.expect("take").is_some());
    store.token_create(token("one"), now()).await.expect("a value may come again");
}

/// Journals keep their rows.
pub async fn journals(store: &dyn DataStore) {
    assert!(store.journal_list().await.expect("list").is_empty());
    let save = |row, data: &[u8], x509| store.journal_save(row, data.to_vec(), x509, "jwt", later(1));
    let first = save(None, b"\x00one", "aa").await.expect("save");
    let second = save(None, b"two", "bb").await.expect("save");
    assert_eq!(save(Some(first), b"three", "cc").await.expect("save"), first);
    let journal = |row_id, data: &[u8], x509: &str| StoredJournal {
        row_id,
        data: data.to_vec(),
        active_x509_authority_id: x509.to_owned(),
    };
    assert_eq!(
        store.journal_list().await.expect("list"),
        [journal(first, b"three", "cc"), journal(second, b"two", "bb")]
    );
    store.journal_delete(first).await.expect("delete");
    assert_eq!(store.journal_list().await.expect("list"), [journal(second, b"two", "bb")]);
    refused(store.journal_delete(first).await, Code::NotFound);
    refused(save(Some(first), b"four", "dd").await, Code::NotFound);
}

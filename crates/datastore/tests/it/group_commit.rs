//! Many writers at once: all are answered, one failure hurts nobody else, and one sync serves many.

use super::{numbered, open};
use finial_plugin::datastore::{Admission, EntryStore};
use futures_util::future::join_all;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_and_some_that_fail() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&folder.path().join("db")));
    let writers = (0..600).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut draft = numbered(number);
            if number % 7 == 0 {
                draft.spec.selectors.clear();
            }
            store.entry_create_or_get(draft, SystemTime::now()).await.map(|admission| match admission {
                Admission::Created(row) => row,
                Admission::Similar(row) => panic!("{row:?} is not similar"),
            })
        })
    });
    let mut created = Vec::new();
    for (number, answer) in join_all(writers).await.into_iter().enumerate() {
        match answer.unwrap() {
            Ok(row) => created.push(row),
            Err(error) => assert_eq!(number % 7, 0, "{error}"),
        }
    }
    created.sort_by_key(|row| row.row_id);
    assert_eq!(created.len(), 600 - 86);
    assert_eq!(store.entry_page(0, 1000).await.unwrap(), created);
    assert_eq!(store.entry_events(0, 1000).await.unwrap().len(), created.len());
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_stop_the_write() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("db"));
    let write = store.entry_create_or_get(numbered(1), SystemTime::now());
    let _ = tokio::time::timeout(Duration::ZERO, write).await;
    let last = store.entry_create_or_get(numbered(2), SystemTime::now()).await.unwrap();
    assert!(matches!(last, Admission::Created(_)));
    assert_eq!(store.entry_page(0, 9).await.unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_paused_clock_stands_still_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("db"));
    let hour = Duration::from_secs(3600);
    let work = async {
        for number in 0..20 {
            store.entry_create_or_get(numbered(number), SystemTime::now()).await.unwrap();
            store.entry_page(0, 9).await.unwrap();
        }
    };
    tokio::time::timeout(hour, work).await.unwrap();
}

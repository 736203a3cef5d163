//! A process that is killed while it writes loses nothing that it had acknowledged.

use super::{open, write_and_acknowledge};
use finial_plugin::datastore::EntryStore;
use rusqlite::Connection;
use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

const DATABASE: &str = "FINIAL_CRASH_TEST_DATABASE";
const ROUNDS: usize = 20;

#[tokio::test]
async fn nothing_acknowledged_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let mut acknowledged = HashSet::new();
    for round in 0..ROUNDS {
        // Each round dies after another number of acknowledgements, sometimes before the first.
        let told = run_and_kill(&path, round * 10_000, (round * round) % 97);
        acknowledged.extend(told);
        check(&path, &acknowledged).await;
    }
    assert!(acknowledged.len() > ROUNDS, "{} acknowledged", acknowledged.len());
}

/// Starts a writer and kills it when it has acknowledged so many; gives all that it acknowledged.
fn run_and_kill(path: &Path, first: usize, enough: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child_that_writes", "--ignored", "--nocapture"])
        .env(DATABASE, format!("{first}:{}", path.display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = Vec::new();
    let mut take = |line: String| acknowledged.extend(line.strip_prefix("acknowledged ").map(str::to_owned));
    let mut seen = 0;
    while seen < enough {
        let line = lines.next().expect("the child writes until it is killed").unwrap();
        seen += usize::from(line.starts_with("acknowledged "));
        take(line);
    }
    kill(&mut child);
    lines.map_while(Result::ok).for_each(take);
    acknowledged
}

fn kill(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

async fn check(path: &Path, acknowledged: &HashSet<String>) {
    let store = open(path);
    let stored: HashSet<_> =
        store.entry_page(0, 100_000).await.unwrap().into_iter().map(|row| row.value.id.to_string()).collect();
    let told: HashSet<_> = store
        .entry_events(0, 100_000)
        .await
        .unwrap()
        .into_iter()
        .map(|event| event.subject.to_string())
        .collect();
    assert_eq!(stored, told, "every entry has its event and the other way round");
    let lost: Vec<_> = acknowledged.difference(&stored).collect();
    assert!(lost.is_empty(), "lost {lost:?}");
    drop(store);
    let verdict: String =
        Connection::open(path).unwrap().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}

/// The child of the test above; alone it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by nothing_acknowledged_is_lost"]
async fn child_that_writes() {
    let Ok(target) = std::env::var(DATABASE) else { return };
    let (first, path) = target.split_once(':').unwrap();
    let first: usize = first.parse().unwrap();
    write_and_acknowledge(Arc::new(open(Path::new(path))), first).await;
}

//! Server and agent are killed at random points under load, twenty times in a row.

use crate::{EAGER, has_ids, own_uid, serving};
use anyhow::{Context, Result, ensure};
use finial_proto::server::entry::BatchCreateEntryRequest;
use finial_proto::server::entry::entry_client::EntryClient;
use finial_testkit::{AgentOptions, Process, Workload, X509Update, entry};
use finial_wire::channel::{ChannelOptions, UnixTarget, unix_channel};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const KILLS: u32 = 20;
const WORKLOADS: usize = 4;

/// What the load saw.
#[derive(Default)]
struct Seen {
    /// Entries that the server said it created.
    acknowledged: Mutex<BTreeSet<String>>,
    /// Certificates by serial number.
    certificates: Mutex<BTreeMap<String, Vec<u8>>>,
    fetched: AtomicU64,
}

impl Seen {
    fn note(&self, update: &X509Update) -> Result<()> {
        let mut certificates = self.certificates.lock().unwrap();
        for svid in &update.svids {
            let leaf = svid.leaf();
            let known = certificates.entry(svid.serial()).or_insert_with(|| leaf.der().to_vec());
            ensure!(known == leaf.der(), "serial {} was given out twice", svid.serial());
        }
        self.fetched.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_under_load_lose_and_tear_nothing() -> Result<()> {
    let mut deployment = serving("default_x509_svid_ttl = \"10s\"\n    agent_ttl = \"30s\"", "").await?;
    let options = AgentOptions { agent: EAGER.to_owned(), ..Default::default() };
    let (mut agent, parent) = deployment.start_agent("a", &options).await?;
    let id = "spiffe://example.org/w";
    deployment.register(&parent, id, &[&own_uid()], 10).await?;
    let workload = Workload::of(deployment.agent_socket("a"));
    has_ids(&workload, &[id]).await?;

    let seen = Arc::new(Seen::default());
    let mut load = tokio::task::JoinSet::new();
    load.spawn(create(deployment.server_socket(), parent.clone(), Arc::clone(&seen)));
    for _ in 0..WORKLOADS {
        load.spawn(fetch(workload.clone(), Arc::clone(&seen)));
    }
    for number in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(random_below(900))).await;
        let victims = random_below(3);
        if victims != 1 {
            deployment.server()?.kill().await?;
        }
        if victims != 0 {
            agent.kill().await?;
        }
        whole_files(deployment.directory())?;
        if victims != 1 {
            deployment.restart_server().await.with_context(|| format!("server after kill {number}"))?;
        }
        if victims != 0 {
            agent =
                deployment.restart_agent("a").await.with_context(|| format!("agent after kill {number}"))?;
        }
        served(&workload, &seen, &mut agent).await.with_context(|| format!("after kill {number}"))?;
        if let Some(ended) = load.try_join_next() {
            ended??;
        }
    }
    load.abort_all();
    whole_files(deployment.directory())?;
    whole_database(&deployment.path("server/datastore.sqlite3"))?;

    let stored: BTreeSet<String> = deployment.entries().await?.into_iter().map(|entry| entry.id).collect();
    let acknowledged = seen.acknowledged.lock().unwrap();
    let lost: Vec<&String> = acknowledged.difference(&stored).collect();
    ensure!(lost.is_empty(), "lost {lost:?}");
    let certificates = seen.certificates.lock().unwrap().len();
    eprintln!(
        "{KILLS} kills: {} entries acknowledged, {} fetches of {certificates} SVIDs",
        acknowledged.len(),
        seen.fetched.load(Ordering::Relaxed)
    );
    ensure!(acknowledged.len() > 20 && certificates > 5, "too little load");
    Ok(())
}

/// Creates entries for as long as it lives.
async fn create(socket: PathBuf, parent: String, seen: Arc<Seen>) -> Result<()> {
    for number in 0_u64.. {
        let mut draft = entry(&parent, &format!("spiffe://example.org/load/{number}"), &["unix:uid:54321"])?;
        draft.id = format!("load-{number}");
        let id = draft.id.clone();
        let request = BatchCreateEntryRequest { entries: vec![draft], output_mask: None };
        // A new connection each time: the server may have been another one a moment ago.
        let channel = unix_channel(UnixTarget::new(&socket), &ChannelOptions::default());
        if let Ok(answer) = EntryClient::new(channel).batch_create_entry(request).await {
            let results = answer.into_inner().results;
            let status = results.first().and_then(|result| result.status.clone()).context("no result")?;
            ensure!(status.code == 0, "{id}: {}", status.message);
            seen.acknowledged.lock().unwrap().insert(id);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Fetches for as long as it lives.
async fn fetch(workload: Workload, seen: Arc<Seen>) -> Result<()> {
    loop {
        if let Ok(update) = workload.x509().await {
            seen.note(&update)?;
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

async fn served(workload: &Workload, seen: &Seen, agent: &mut Process) -> Result<()> {
    let update = finial_testkit::eventually("an SVID", async || workload.x509().await.ok()).await;
    let update = update.with_context(|| agent.output())?;
    seen.note(&update)
}

/// State files are whole at every moment, also the one at which their writer was killed.
fn whole_files(directory: &Path) -> Result<()> {
    for file in ["server/keys.json", "a/data/keys.json", "a/data/agent-data.json"] {
        let text = std::fs::read(directory.join(file)).with_context(|| file.to_owned())?;
        serde_json::from_slice::<serde_json::Value>(&text).with_context(|| format!("{file} is torn"))?;
    }
    Ok(())
}

fn whole_database(path: &Path) -> Result<()> {
    let database = rusqlite::Connection::open(path)?;
    let verdict: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    ensure!(verdict == "ok", "{verdict}");
    Ok(())
}

fn random_below(limit: u64) -> u64 {
    RandomState::new().hash_one(limit) % limit
}

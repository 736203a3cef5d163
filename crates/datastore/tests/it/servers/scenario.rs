//! What every database server must do, besides the contract: SPIRE's schema, two servers at once, a client
//! that is killed, a server that goes away.

use super::open;
use crate::{numbered, write_and_acknowledge};
use finial_datastore::SqlStore;
use finial_identity::{Code, EntryId, TrustDomain};
use finial_plugin::conformance::datastore;
use finial_plugin::datastore::{
    Admission, BundleChange, BundleDeletion, BundleStore, ChangeNotifications, EntryStore, JoinToken,
    NodeStore, TokenStore,
};
use finial_testkit::{DatabaseServer, Engine};
use futures_util::future::join_all;
use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Runs it all on one server; `spire_schema` is that of a database which SPIRE made.
pub(super) async fn everything(engine: Engine, mut server: DatabaseServer, spire_schema: &str) {
    contract(engine, &server).await;
    schema(engine, &server, spire_schema).await;
    several_open_at_once(engine, &server).await;
    two_stores(engine, &server).await;
    killed_clients(engine, &server).await;
    server_goes_away(engine, &mut server).await;
}

async fn contract(engine: Engine, server: &DatabaseServer) {
    datastore::check(async || fresh(engine, server).await).await;
}

async fn fresh(engine: Engine, server: &DatabaseServer) -> SqlStore {
    open(engine, server.connection_string(&server.create_database().unwrap())).await
}

/// Lines that say something, in an order of their own.
fn statements(dump: &str) -> Vec<String> {
    let says = |line: &&str| {
        !(line.is_empty()
            || line.starts_with("--")
            || line.starts_with("\\")
            || line.starts_with("/*")
            || line.starts_with("SET "))
    };
    let without_counter = |line: &str| {
        let words = line.split(' ').filter(|word| !word.starts_with("AUTO_INCREMENT="));
        words.collect::<Vec<_>>().join(" ")
    };
    dump.lines().filter(says).map(without_counter).collect()
}

async fn schema(engine: Engine, server: &DatabaseServer, spire_schema: &str) {
    let name = server.create_database().unwrap();
    let store = open(engine, server.connection_string(&name)).await;
    store.ping().await.unwrap();
    drop(store);
    let made_here = statements(&server.dump_schema(&name).unwrap());
    assert_eq!(made_here, statements(spire_schema), "a new database is like one of SPIRE");
    assert_eq!(
        server.execute(&name, "SELECT version, code_version FROM migrations").unwrap().trim(),
        match engine {
            Engine::Postgres => "25|1.16.0",
            Engine::MariaDb => "25\t1.16.0",
        }
    );

    // Made by SPIRE, at an older schema.
    for schema in [25, 24, 23] {
        let name = server.create_database().unwrap();
        server.load(&name, spire_schema).unwrap();
        let mut changes =
            format!("INSERT INTO migrations (version, code_version) VALUES ({schema}, '1.14.0');");
        if schema < 25 {
            changes.push_str("ALTER TABLE registered_entries DROP COLUMN additional_attributes;");
        }
        if schema < 24 {
            changes.push_str("ALTER TABLE attested_node_entries DROP COLUMN agent_version;");
        }
        server.execute(&name, &changes).unwrap();
        let store = open(engine, server.connection_string(&name)).await;
        store.entry_create_or_get(numbered(1), SystemTime::now()).await.unwrap();
        drop(store);
        assert_eq!(statements(&server.dump_schema(&name).unwrap()), made_here, "from schema {schema}");
    }
    let name = server.create_database().unwrap();
    server.load(&name, spire_schema).unwrap();
    server.execute(&name, "INSERT INTO migrations (version, code_version) VALUES (22, '1.7.0')").unwrap();
    let error = super::try_open(engine, server.connection_string(&name)).await.err().unwrap();
    assert_eq!(error.code, Code::FailedPrecondition);
    assert!(error.message.contains("requires a previous SPIRE release"), "{error}");
}

async fn several_open_at_once(engine: Engine, server: &DatabaseServer) {
    let string = server.connection_string(&server.create_database().unwrap());
    let stores = join_all((0..4).map(|_| open(engine, string.clone()))).await;
    for store in &stores {
        assert!(store.entry_page(0, 9).await.unwrap().is_empty());
    }
}

/// Two servers write the same database at once: nothing is created twice, lost, or taken twice.
async fn two_stores(engine: Engine, server: &DatabaseServer) {
    let string = server.connection_string(&server.create_database().unwrap());
    let stores = [Arc::new(open(engine, string.clone()).await), Arc::new(open(engine, string).await)];
    let now = SystemTime::now();
    let heard = stores[1].changes();
    assert_eq!(heard.is_some(), engine == Engine::Postgres);

    let drafts: Vec<_> =
        (0..200).map(numbered).map(|draft| finial_identity::EntryDraft { id: None, ..draft }).collect();
    let writers = (0..200_usize).flat_map(|number| [(0, number), (1, number)]).map(|(at, number)| {
        let (store, draft) = (Arc::clone(&stores[at]), drafts[number].clone());
        tokio::spawn(async move { store.entry_create_or_get(draft, SystemTime::now()).await.unwrap() })
    });
    let verdicts: Vec<_> = join_all(writers).await.into_iter().map(Result::unwrap).collect();
    let created = verdicts.iter().filter(|verdict| matches!(verdict, Admission::Created(_))).count();
    assert_eq!(created, 200, "each draft was created once");
    assert_eq!(stores[0].entry_page(0, 1000).await.unwrap().len(), 200);
    assert_eq!(stores[1].entry_events(0, 1000).await.unwrap().len(), 200);

    // The same in two batches.
    let batch: Vec<_> =
        (200..300).map(numbered).map(|draft| finial_identity::EntryDraft { id: None, ..draft }).collect();
    let (one, two) = tokio::join!(
        stores[0].entry_create_batch(batch.clone(), now),
        stores[1].entry_create_batch(batch, now)
    );
    let created = one.unwrap().into_iter().chain(two.unwrap()).map(Result::unwrap);
    assert_eq!(created.filter(|verdict| matches!(verdict, Admission::Created(_))).count(), 100);

    // Updates of one entry from both sides are all counted; so are bundle changes and tokens.
    let id = EntryId::parse("shared").unwrap();
    let draft = finial_identity::EntryDraft { id: Some(id.clone()), ..numbered(999) };
    stores[0].entry_create_or_get(draft, now).await.unwrap();
    let update = |at: usize, number: usize| {
        let (store, id) = (Arc::clone(&stores[at % 2]), id.clone());
        tokio::spawn(
            async move { store.entry_update(&id, numbered(1000 + number).spec, SystemTime::now()).await },
        )
    };
    for outcome in join_all((0..40).map(|number| update(number, number))).await {
        outcome.unwrap().unwrap();
    }
    assert_eq!(stores[0].entry_get(&id).await.unwrap().unwrap().value.revision, 40);

    let example = TrustDomain::parse("example.test").unwrap();
    let keys: Vec<_> = (0..20).map(|number| jwt_authority(&format!("key-{number}"))).collect();
    let append = |number: usize| {
        let (store, name) = (Arc::clone(&stores[number % 2]), example.clone());
        let change = BundleChange::Append { x509: Vec::new(), jwt: vec![keys[number].clone()] };
        tokio::spawn(async move { store.bundle_change(&name, change, SystemTime::now()).await })
    };
    for outcome in join_all((0..20).map(append)).await {
        outcome.unwrap().unwrap();
    }
    let bundle = stores[1].bundle_get(&example).await.unwrap().unwrap();
    assert_eq!(bundle.jwt_authorities.len(), 20, "no authority is lost");

    for number in 0..20 {
        let token = JoinToken { value: format!("token-{number}"), expires_at: 5.into_time() };
        stores[0].token_create(token, now).await.unwrap();
    }
    let take = |at: usize| {
        let store = Arc::clone(&stores[at % 2]);
        tokio::spawn(async move { store.token_take(&format!("token-{}", at / 4)).await.unwrap().is_some() })
    };
    let taken =
        join_all((0..80).map(take)).await.into_iter().filter(|taken| *taken.as_ref().unwrap()).count();
    assert_eq!(taken, 20, "each token for one");

    links_and_bundles(&stores, &example).await;
    attestations(&stores).await;
    if let Some(mut heard) = heard {
        let hint = tokio::time::timeout(Duration::from_secs(10), heard.changed()).await;
        hint.expect("a hint of the other server's changes").unwrap();
    }
}

/// While entries link to a bundle it is deleted: no link is left dangling.
async fn links_and_bundles(stores: &[Arc<SqlStore>; 2], bundle: &TrustDomain) {
    let link = |number: usize| {
        let (store, mut draft) = (Arc::clone(&stores[0]), numbered(5000 + number));
        draft.spec.federates_with = vec![bundle.clone()];
        tokio::spawn(async move { store.entry_create_or_get(draft, SystemTime::now()).await })
    };
    let links = join_all((0..30).map(link));
    let delete = stores[1].bundle_delete(bundle, BundleDeletion::Dissociate, SystemTime::now());
    let (links, deleted) = tokio::join!(links, delete);
    deleted.unwrap();
    for outcome in links {
        if let Err(error) = outcome.unwrap() {
            assert!(error.message.contains("unable to find federated bundle"), "{error}");
        }
    }
    let entries = stores[0].entry_page(0, 10_000).await.unwrap();
    assert!(entries.iter().all(|row| row.value.spec.federates_with.is_empty()));
}

/// Many agents attest at once, some of them twice.
async fn attestations(stores: &[Arc<SqlStore>; 2]) {
    let attest = |number: usize| {
        let store = Arc::clone(&stores[number % 2]);
        let node = node(number / 2);
        tokio::spawn(async move { store.node_attested(node, SystemTime::now()).await })
    };
    for outcome in join_all((0..80).map(attest)).await {
        outcome.unwrap().unwrap();
    }
    let nodes = stores[0].node_page(0, 1000).await.unwrap();
    assert_eq!(nodes.len(), 40);
    assert!(nodes.iter().all(|row| row.value.selectors.len() == 2));
    assert_eq!(stores[1].node_events(0, 1000).await.unwrap().len(), 80);
}

fn node(number: usize) -> finial_identity::AttestedNode {
    let spiffe_id = format!("spiffe://example.org/spire/agent/x509pop/{number}");
    finial_identity::AttestedNode {
        id: finial_identity::SpiffeId::parse(&spiffe_id).unwrap(),
        attestation_type: "x509pop".into(),
        current: finial_identity::AgentSerial { serial: "1".into(), expires_at: 2_000_000_000.into_time() },
        staged: None,
        can_reattest: true,
        agent_version: "1.16.0".into(),
        selectors: crate::spec(&spiffe_id, &spiffe_id, &["x509pop:a:1", "x509pop:b:2"]).selectors,
    }
}

trait IntoTime {
    fn into_time(self) -> finial_identity::UnixTime;
}

impl IntoTime for i64 {
    fn into_time(self) -> finial_identity::UnixTime {
        finial_identity::UnixTime::from_seconds(self)
    }
}

fn jwt_authority(key_id: &str) -> finial_identity::JwtAuthority {
    let key = finial_identity::PrivateKey::generate(finial_identity::KeyType::EcP256).unwrap();
    finial_identity::JwtAuthority::new(key_id, key.public_key().clone())
}

const DATABASE: &str = "FINIAL_KILL_TEST_DATABASE";

/// Clients that are killed while they write: what they were told is there, and nothing is half there.
async fn killed_clients(engine: Engine, server: &DatabaseServer) {
    let string = server.connection_string(&server.create_database().unwrap());
    drop(open(engine, string.clone()).await);
    let mut acknowledged = HashSet::new();
    for round in 0..5_usize {
        acknowledged.extend(run_and_kill(engine, &string, round * 10_000, (round * round * 7) % 97));
    }
    let store = open(engine, string).await;
    let stored = store.entry_page(0, 100_000).await.unwrap();
    let told = store.entry_events(0, 100_000).await.unwrap();
    assert!(stored.iter().all(|row| row.value.spec.selectors.len() == 2), "no entry is half there");
    let stored: HashSet<_> = stored.into_iter().map(|row| row.value.id.to_string()).collect();
    let told: HashSet<_> = told.into_iter().map(|event| event.subject.to_string()).collect();
    assert_eq!(stored, told, "every entry has its event and the other way round");
    assert!(acknowledged.len() > 5 && acknowledged.is_subset(&stored));
    store.entry_create_or_get(numbered(900_000), SystemTime::now()).await.unwrap();
}

fn run_and_kill(engine: Engine, string: &str, first: usize, enough: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "servers::scenario::child_that_writes", "--ignored", "--nocapture"])
        .env(DATABASE, format!("{engine:?}:{first}:{string}"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = Vec::new();
    while acknowledged.len() < enough {
        let line = lines.next().expect("the child writes until it is killed").unwrap();
        acknowledged.extend(line.strip_prefix("acknowledged ").map(str::to_owned));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let rest = lines.map_while(Result::ok);
    acknowledged.extend(rest.filter_map(|line| line.strip_prefix("acknowledged ").map(str::to_owned)));
    acknowledged
}

/// The child of the test above; alone it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by killed_clients"]
async fn child_that_writes() {
    let Ok(target) = std::env::var(DATABASE) else { return };
    let mut parts = target.splitn(3, ':');
    let engine = if parts.next() == Some("Postgres") { Engine::Postgres } else { Engine::MariaDb };
    let first: usize = parts.next().unwrap().parse().unwrap();
    let store = Arc::new(open(engine, parts.next().unwrap().to_owned()).await);
    write_and_acknowledge(store, first).await;
}

/// The server is restarted under load: callers are told `Unavailable`, what was acknowledged is there, and
/// the store works again by itself.
async fn server_goes_away(engine: Engine, server: &mut DatabaseServer) {
    let string = server.connection_string(&server.create_database().unwrap());
    let store = Arc::new(open(engine, string).await);
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for step in 0..200_usize {
                    let draft = numbered(step * 4 + writer);
                    match store.entry_create_or_get(draft, SystemTime::now()).await {
                        Ok(Admission::Created(row)) => acknowledged.push(row.value.id.to_string()),
                        Ok(Admission::Similar(row)) => panic!("{row:?}"),
                        Err(error) => assert_eq!(error.code, Code::Unavailable, "{error}"),
                    }
                }
                acknowledged
            })
        })
        .collect();
    while store.entry_event_newest().await.unwrap() < 50 {
        tokio::task::yield_now().await;
    }
    server.stop();
    let error = store.ping().await.unwrap_err();
    assert_eq!(error.code, Code::Unavailable, "{error}");
    server.restart().unwrap();
    let mut acknowledged = HashSet::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    store.ping().await.unwrap();
    let stored = store.entry_page(0, 10_000).await.unwrap();
    let stored: HashSet<_> = stored.into_iter().map(|row| row.value.id.to_string()).collect();
    assert!(acknowledged.len() >= 50 && acknowledged.is_subset(&stored));
}

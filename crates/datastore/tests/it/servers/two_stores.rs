//! Two servers write the same database at once: nothing is created twice, lost, or taken twice.

use super::open;
use crate::numbered;
use finial_datastore::SqlStore;
use finial_identity::{
    AgentSerial, AttestedNode, EntryDraft, EntryId, JwtAuthority, KeyType, PrivateKey, SpiffeId, TrustDomain,
    UnixTime,
};
use finial_plugin::datastore::{
    Admission, BundleChange, BundleDeletion, BundleStore, ChangeNotifications, EntryStore, JoinToken,
    NodeStore, TokenStore,
};
use finial_testkit::{DatabaseServer, Engine};
use futures_util::future::join_all;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

type Stores = [Arc<SqlStore>; 2];

/// All of it, on a database of its own.
pub(super) async fn two_stores(engine: Engine, server: &DatabaseServer) {
    let string = server.connection_string(&server.create_database().unwrap());
    let stores = [Arc::new(open(engine, string.clone()).await), Arc::new(open(engine, string).await)];
    hints(engine, &stores).await;
    admissions(&stores).await;
    updates(&stores).await;
    let bundle = authorities(&stores).await;
    tokens(&stores).await;
    links_and_bundles(&stores, &bundle).await;
    attestations(&stores).await;
    capitals(&stores[0]).await;
}

fn nameless(number: usize) -> EntryDraft {
    EntryDraft { id: None, ..numbered(number) }
}

fn is_created(admission: &Admission) -> bool {
    matches!(admission, Admission::Created(_))
}

/// One store hears that the other one wrote, where the database can tell.
async fn hints(engine: Engine, stores: &Stores) {
    let heard = stores[1].changes();
    assert_eq!(heard.is_some(), engine == Engine::Postgres);
    let Some(mut heard) = heard else { return };
    let soon = Duration::from_secs(10);
    tokio::time::timeout(soon, heard.changed()).await.expect("it listens").unwrap();
    stores[0].entry_create_or_get(nameless(10_000), SystemTime::now()).await.unwrap();
    tokio::time::timeout(soon, heard.changed()).await.expect("it hears").unwrap();
}

/// Both admit the same, one by one and in batches: each is created once.
async fn admissions(stores: &Stores) {
    let before = stores[0].entry_page(0, 1000).await.unwrap().len();
    let both = (0..200_usize).flat_map(|number| [(0, number), (1, number)]);
    let writers = both.map(|(at, number)| {
        let store = Arc::clone(&stores[at]);
        tokio::spawn(async move { store.entry_create_or_get(nameless(number), SystemTime::now()).await })
    });
    let verdicts = join_all(writers).await.into_iter().map(|verdict| verdict.unwrap().unwrap());
    assert_eq!(verdicts.filter(is_created).count(), 200);
    assert_eq!(stores[0].entry_page(0, 1000).await.unwrap().len(), before + 200);
    assert_eq!(stores[1].entry_events(0, 1000).await.unwrap().len(), before + 200);

    let batch: Vec<_> = (200..300).map(nameless).collect();
    let now = SystemTime::now();
    let (one, two) = tokio::join!(
        stores[0].entry_create_batch(batch.clone(), now),
        stores[1].entry_create_batch(batch, now)
    );
    let verdicts = one.unwrap().into_iter().chain(two.unwrap()).map(Result::unwrap);
    assert_eq!(verdicts.filter(is_created).count(), 100);
}

/// Updates of one entry from both sides are all counted.
async fn updates(stores: &Stores) {
    let id = EntryId::parse("shared").unwrap();
    let draft = EntryDraft { id: Some(id.clone()), ..numbered(999) };
    stores[0].entry_create_or_get(draft, SystemTime::now()).await.unwrap();
    let update = |number: usize| {
        let (store, id, spec) = (Arc::clone(&stores[number % 2]), id.clone(), numbered(1000 + number).spec);
        tokio::spawn(async move { store.entry_update(&id, spec, SystemTime::now()).await })
    };
    for outcome in join_all((0..40).map(update)).await {
        outcome.unwrap().unwrap();
    }
    assert_eq!(stores[0].entry_get(&id).await.unwrap().unwrap().value.revision, 40);
}

/// Authorities that both append to one bundle, which was not there, are all in it.
async fn authorities(stores: &Stores) -> TrustDomain {
    let name = TrustDomain::parse("example.test").unwrap();
    let append = |number: usize| {
        let (store, name) = (Arc::clone(&stores[number % 2]), name.clone());
        let jwt = vec![jwt_authority(&format!("key-{number}"))];
        let change = BundleChange::Append { x509: Vec::new(), jwt };
        tokio::spawn(async move { store.bundle_change(&name, change, SystemTime::now()).await })
    };
    for outcome in join_all((0..20).map(append)).await {
        outcome.unwrap().unwrap();
    }
    assert_eq!(stores[1].bundle_get(&name).await.unwrap().unwrap().jwt_authorities.len(), 20);
    name
}

/// Each token is for one of four who take it.
async fn tokens(stores: &Stores) {
    for number in 0..20 {
        let token = JoinToken { value: format!("token-{number}"), expires_at: UnixTime::from_seconds(5) };
        stores[0].token_create(token, SystemTime::now()).await.unwrap();
    }
    let take = |at: usize| {
        let store = Arc::clone(&stores[at % 2]);
        tokio::spawn(async move { store.token_take(&format!("token-{}", at / 4)).await.unwrap().is_some() })
    };
    let taken = join_all((0..80).map(take)).await;
    assert_eq!(taken.into_iter().filter(|taken| *taken.as_ref().unwrap()).count(), 20);
}

/// Capitals count in every database, whatever its collation says.
async fn capitals(store: &SqlStore) {
    let now = SystemTime::now();
    let draft = |id: &str| EntryDraft { id: Some(EntryId::parse(id).unwrap()), ..numbered(7000) };
    store.entry_create_or_get(draft("Capital"), now).await.unwrap();
    let small = EntryId::parse("capital").unwrap();
    assert_eq!(store.entry_get(&small).await.unwrap(), None);
    assert!(store.entry_delete(&small, now).await.unwrap_err().is_not_found());
    let token = JoinToken { value: "Token".to_owned(), expires_at: UnixTime::from_seconds(5) };
    store.token_create(token, now).await.unwrap();
    assert!(store.token_take("token").await.unwrap().is_none());

    let mut other = node(0);
    other.id = SpiffeId::parse("spiffe://example.org/spire/agent/X509POP/0").unwrap();
    assert_eq!(store.node_get(&other.id).await.unwrap(), None);
    match store.node_attested(other.clone(), now).await {
        Ok(row) => assert_eq!(row.value.id, other.id),
        Err(error) => assert!(error.message.contains("does not tell"), "{error}"),
    }
    assert_eq!(store.node_get(&node(0).id).await.unwrap().unwrap().value, node(0), "untouched");
}

/// While entries link to a bundle it is deleted: no link is left dangling.
async fn links_and_bundles(stores: &Stores, bundle: &TrustDomain) {
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
async fn attestations(stores: &Stores) {
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

fn node(number: usize) -> AttestedNode {
    let spiffe_id = format!("spiffe://example.org/spire/agent/x509pop/{number}");
    AttestedNode {
        id: SpiffeId::parse(&spiffe_id).unwrap(),
        attestation_type: "x509pop".into(),
        current: AgentSerial { serial: "1".into(), expires_at: UnixTime::from_seconds(2_000_000_000) },
        staged: None,
        can_reattest: true,
        agent_version: "1.16.0".into(),
        selectors: crate::spec(&spiffe_id, &spiffe_id, &["x509pop:a:1", "x509pop:b:2"]).selectors,
    }
}

fn jwt_authority(key_id: &str) -> JwtAuthority {
    let key = PrivateKey::generate(KeyType::EcP256).unwrap();
    JwtAuthority::new(key_id, key.public_key().clone())
}

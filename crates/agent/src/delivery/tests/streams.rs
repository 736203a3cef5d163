//! Streams: what is pushed, what is not, and how they end.

use super::world::{Authority, Plan, World, entry, eventually, selectors, two_entries, with_header};
use crate::config::UnauthenticatedVerifiers;
use finial_identity::GrantedEntry;
use finial_identity::UnixTime;
use finial_proto::workload::{
    JwtBundlesRequest, JwtsvidRequest, X509BundlesRequest, X509svidRequest, X509svidResponse,
};
use std::time::Duration;
use tonic::{Code, Status, Streaming};

async fn x509(world: &World) -> Result<Streaming<X509svidResponse>, Status> {
    Ok(world.client().fetch_x509svid(with_header(X509svidRequest {})).await?.into_inner())
}

async fn next<T>(stream: &mut Streaming<T>) -> T {
    stream.message().await.unwrap().expect("a message")
}

/// Nothing comes for a while. A test that waits too short here passes; it does not fail by chance.
async fn is_silent<T>(stream: &mut Streaming<T>) -> bool {
    tokio::time::timeout(Duration::from_millis(50), stream.message()).await.is_err()
}

fn ids(response: &X509svidResponse) -> Vec<&str> {
    response.svids.iter().map(|svid| svid.spiffe_id.as_str()).collect()
}

#[tokio::test]
async fn the_first_message_is_the_whole_picture() {
    let world = World::new(Plan::default()).await;
    let response = next(&mut x509(&world).await.unwrap()).await;
    let root = world.own.bundle.x509_roots_der();
    assert_eq!(ids(&response), ["spiffe://example.org/myservice", "spiffe://example.org/myservice2"]);
    for svid in &response.svids {
        assert_eq!((&svid.x509_svid[..], &svid.x509_svid_key[..]), (&b"chain"[..], &b"key"[..]));
        assert_eq!(svid.bundle, root);
        assert_eq!(format!("spiffe://example.org/{}", svid.hint), svid.spiffe_id);
    }
    let federated =
        [("spiffe://example-federated.org".to_owned(), world.federated.bundle.x509_roots_der().into())];
    assert_eq!(response.federated_bundles, federated.into());
    assert!(response.crl.is_empty());
}

#[tokio::test]
async fn changes_are_pushed_and_only_those_that_are_seen() {
    let world = World::new(Plan::default()).await;
    let mut stream = x509(&world).await.unwrap();
    next(&mut stream).await;
    // A rotation.
    world.sign(&two_entries()[..1], "chain2");
    assert_eq!(next(&mut stream).await.svids[0].x509_svid, "chain2");
    // A bundle of somebody else's.
    world.set_bundles([world.own.bundle.clone(), world.federated.bundle.clone()]);
    assert!(is_silent(&mut stream).await);
    // An entry more waits for its SVID.
    let third = entry("third", &["unix:uid:0"], "");
    let mut entries = two_entries();
    entries.push(third.clone());
    world.set_entries(entries);
    assert!(is_silent(&mut stream).await);
    world.sign(&[third], "chain3");
    assert_eq!(next(&mut stream).await.svids.len(), 3);
    // A new authority.
    let mut bundle = world.own.bundle.clone();
    bundle.x509_authorities.extend(Authority::new("example.org").bundle.x509_authorities);
    let roots = bundle.x509_roots_der();
    world.set_bundles([bundle, world.federated.bundle.clone()]);
    assert_eq!(next(&mut stream).await.svids[0].bundle, roots);
}

#[tokio::test]
async fn workloads_that_see_the_same_share_the_bytes() {
    let world = World::new(Plan::default()).await;
    let (mut one, mut two) = (x509(&world).await.unwrap(), x509(&world).await.unwrap());
    assert_eq!(next(&mut one).await, next(&mut two).await);
    assert_eq!(world.connected(), 1);
    let view = world.directory.subscribe(&selectors(&["unix:gid:0", "unix:uid:0"])).view();
    assert!(view.x509_response.get().is_some(), "encoded for the first, found by the second");
    drop((one, two));
    drop(view);
    eventually(|| world.connected() == 0).await;
}

#[tokio::test]
async fn the_last_identity_takes_the_stream_with_it() {
    let world = World::new(Plan::default()).await;
    let mut streams = (
        x509(&world).await.unwrap(),
        world.client().fetch_x509_bundles(with_header(X509BundlesRequest {})).await.unwrap().into_inner(),
        world.client().fetch_jwt_bundles(with_header(JwtBundlesRequest {})).await.unwrap().into_inner(),
    );
    next(&mut streams.0).await;
    next(&mut streams.1).await;
    next(&mut streams.2).await;
    world.set_entries(vec![two_entries().remove(1)]);
    assert_eq!(ids(&next(&mut streams.0).await), ["spiffe://example.org/myservice2"]);
    assert_eq!(next(&mut streams.1).await.bundles.len(), 1, "the federated one is gone");
    assert_eq!(next(&mut streams.2).await.bundles.len(), 1);
    world.set_entries(vec![]);
    for end in [
        streams.0.message().await.map(drop),
        streams.1.message().await.map(drop),
        streams.2.message().await.map(drop),
    ] {
        let end = end.unwrap_err();
        assert_eq!((end.code(), end.message()), (Code::PermissionDenied, "no identity issued"));
    }
    eventually(|| world.connected() == 0).await;
}

#[tokio::test]
async fn bundle_streams_do_not_repeat_themselves() {
    let world = World::new(Plan::default()).await;
    let mut x509 =
        world.client().fetch_x509_bundles(with_header(X509BundlesRequest {})).await.unwrap().into_inner();
    let mut jwt =
        world.client().fetch_jwt_bundles(with_header(JwtBundlesRequest {})).await.unwrap().into_inner();
    let bundles = next(&mut x509).await.bundles;
    assert_eq!(bundles["spiffe://example.org"], world.own.bundle.x509_roots_der());
    assert_eq!(bundles["spiffe://example-federated.org"], world.federated.bundle.x509_roots_der());
    assert_eq!(bundles.len(), 2);
    let jwks = String::from_utf8(next(&mut jwt).await.bundles["spiffe://example.org"].to_vec()).unwrap();
    assert!(jwks.starts_with(
        "{\n    \"keys\": [\n        {\n            \"kty\": \"EC\",\n            \"kid\": \"kid1\""
    ));
    assert!(!jwks.contains("\"use\""));
    world.sign(&two_entries(), "chain2");
    assert!(is_silent(&mut x509).await && is_silent(&mut jwt).await);
    let mut bundle = world.own.bundle.clone();
    bundle.jwt_authorities.clear();
    world.set_bundles([bundle, world.federated.bundle.clone()]);
    assert_eq!(next(&mut jwt).await.bundles["spiffe://example.org"], "{\n    \"keys\": []\n}");
    assert!(is_silent(&mut x509).await);
}

#[tokio::test]
async fn unauthenticated_verifiers_get_the_own_bundle() {
    let plan = Plan { verifiers: UnauthenticatedVerifiers::Allow, ..Plan::stranger() };
    let world = World::new(plan).await;
    let mut client = world.client();
    let mut bundles =
        client.fetch_x509_bundles(with_header(X509BundlesRequest {})).await.unwrap().into_inner();
    assert_eq!(next(&mut bundles).await.bundles.into_keys().collect::<Vec<_>>(), ["spiffe://example.org"]);
    let mut bundles = client.fetch_jwt_bundles(with_header(JwtBundlesRequest {})).await.unwrap().into_inner();
    assert_eq!(next(&mut bundles).await.bundles.into_keys().collect::<Vec<_>>(), ["spiffe://example.org"]);
    assert_eq!(x509(&world).await.unwrap_err().code(), Code::PermissionDenied);
}

/// The older entry keeps the hint; of two of one age the one with the smaller ID.
#[tokio::test]
async fn one_identity_per_hint() {
    let aged = |id: &str, hint: &str, age: i64| GrantedEntry {
        created_at: UnixTime::from_seconds(age),
        ..entry(id, &["unix:uid:0"], hint)
    };
    let entries = vec![
        aged("a", "same", 30),
        aged("b", "same", 20),
        aged("c", "same", 20),
        aged("d", "", 40),
        aged("e", "", 10),
        aged("f", "other", 50),
    ];
    let world = World::new(Plan { entries, ..Plan::default() }).await;
    let shown = next(&mut x509(&world).await.unwrap()).await;
    let name = |id: &str| id.strip_prefix("spiffe://example.org/").unwrap().to_owned();
    let shown: Vec<String> = ids(&shown).into_iter().map(name).collect();
    assert_eq!(shown, ["b", "d", "e", "f"]);
    let request = |id: &str| JwtsvidRequest { audience: vec!["a".to_owned()], spiffe_id: id.to_owned() };
    let tokens = world.client().fetch_jwtsvid(with_header(request(""))).await.unwrap().into_inner();
    let tokens: Vec<String> = tokens.svids.iter().map(|svid| name(&svid.spiffe_id)).collect();
    assert_eq!(tokens, shown);
    // As in SPIRE, an identity that lost its hint to another one is not given by name either.
    let lost = with_header(request("spiffe://example.org/a"));
    assert_eq!(world.client().fetch_jwtsvid(lost).await.unwrap_err().code(), Code::PermissionDenied);
}

/// A workload that came before its entry: one fresh look at the server, and it is in.
#[tokio::test]
async fn an_entry_that_is_new_at_the_server_is_found_before_refusing() {
    let world = World::new(Plan { entries: vec![], ..Plan::default() }).await;
    *world.next.lock().unwrap() = Some(two_entries());
    assert_eq!(next(&mut x509(&world).await.unwrap()).await.svids.len(), 2);
}

#[tokio::test]
async fn an_svid_that_is_not_signed_yet_is_waited_for() {
    let world = World::new(Plan { entries: vec![], ..Plan::default() }).await;
    world.set_entries(two_entries());
    let opening = tokio::spawn({
        let mut client = world.client();
        async move { client.fetch_x509svid(with_header(X509svidRequest {})).await }
    });
    world.directory.sign_bell().heard().await;
    assert!(!opening.is_finished());
    world.sign(&two_entries(), "chain");
    assert_eq!(next(&mut opening.await.unwrap().unwrap().into_inner()).await.svids.len(), 2);
}

/// Some clients do not come back after a stream that merely ends.
#[tokio::test]
async fn stopping_ends_streams_with_an_error_and_at_once() {
    let mut world = World::new(Plan::default()).await;
    let mut stream = x509(&world).await.unwrap();
    next(&mut stream).await;
    world.shutdown.stop();
    assert_eq!(stream.message().await.unwrap_err().code(), Code::Unavailable);
    drop(stream);
    world.served.take().unwrap().await.unwrap();
    assert!(!world.socket.exists());
}

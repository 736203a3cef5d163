//! Relationships, polling and refusals, against endpoints in this process.

use super::config::Endpoint;
use super::{Federation, FetchLimits, Refreshed};
use crate::bundle::ForeignBundles;
use crate::federation::update::Change;
use finial_datastore::{SqliteConfig, SqliteStore};
use finial_identity::bundle::format::encode_spiffe;
use finial_identity::{
    Bundle, BundleEndpointProfile, FederationRelationship, SpiffeId, TrustDomain, UnixTime, X509Authority,
};
use finial_plugin::datastore::{BundleChange, BundleStore, DataStore, RelationshipParts};
use finial_runtime::clock::SystemClock;
use finial_runtime::logging::chain;
use finial_runtime::tasks::Shutdown;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use world::{EndpointServer, World};

mod world;

const NOT_SERVED: &str = "https://127.0.0.1:1/";

#[tokio::test]
async fn a_bundle_is_fetched_by_svid_stored_and_fetched_again() {
    let world = World::new().await;
    let server = EndpointServer::start(&world).await;
    let bundle = world.bundle(300, 1);
    server.serve(&bundle);
    world.store_bundle(&world.bundle(0, 0)).await;
    let endpoint = server.by_svid("spiffe://other.test/spire/server");

    let updated = world.federation.update_bundle(&world.other, &endpoint).await;
    assert_eq!(updated.outcome.unwrap(), Change::Replaced);
    assert_eq!(world.stored().await.as_ref(), Some(&bundle));
    assert_eq!(world.federation.poll_once(&world.other, &endpoint).await, Duration::from_secs(75));
    let again = world.federation.update_bundle(&world.other, &endpoint).await;
    assert_eq!(again.outcome.unwrap(), Change::Same);

    server.serve(&world.bundle(60, 2));
    assert_eq!(world.federation.poll_once(&world.other, &endpoint).await, Duration::from_secs(15));
    assert_eq!(world.stored().await.unwrap().sequence_number, 2);
}

#[tokio::test]
async fn an_endpoint_by_svid_must_be_whom_the_relationship_names() {
    let world = World::new().await;
    let server = EndpointServer::start(&world).await;
    server.serve(&world.bundle(300, 1));
    let why = async |endpoint: &Endpoint| {
        let updated = world.federation.update_bundle(&world.other, endpoint).await;
        chain(&updated.outcome.unwrap_err()).to_string()
    };
    let endpoint = server.by_svid("spiffe://other.test/spire/server");
    assert_eq!(why(&endpoint).await, "can't perform SPIFFE Authentication: local copy of bundle not found");
    assert_eq!(world.federation.poll_once(&world.other, &endpoint).await, Duration::from_secs(60));

    world.store_bundle(&world.bundle(0, 0)).await;
    let got = format!(
        "failed to fetch federated bundle from endpoint: failed to fetch bundle: Get {:?}: ",
        server.url
    );
    let wrong = why(&server.by_svid("spiffe://other.test/somebody/else")).await;
    assert_eq!(wrong, format!("{got}unexpected ID \"spiffe://other.test/spire/server\""));

    // Others have other roots, whatever they call themselves.
    world.store_bundle(&world.stranger_bundle()).await;
    let stranger = why(&endpoint).await;
    assert!(stranger.starts_with(&format!("{got}x509svid: could not verify leaf certificate")), "{stranger}");
    assert_eq!(world.stored().await.unwrap(), world.stranger_bundle(), "nothing was stored");

    let web = Endpoint { profile: BundleEndpointProfile::HttpsWeb, ..endpoint };
    let hint = why(&web).await;
    assert!(
        hint.starts_with(
            "failed to fetch federated bundle from endpoint: failed to authenticate bundle endpoint using web \
             authentication but the server certificate contains SPIFFE ID \"spiffe://other.test/spire/server\": maybe \
             use https_spiffe instead of https_web: Get \"https://"
        ),
        "{hint}"
    );
    assert!(hint.contains(": tls: failed to verify certificate: x509: "), "{hint}");
}

#[tokio::test]
async fn answers_that_are_no_bundle_change_nothing() {
    let world = World::new().await;
    let server = EndpointServer::start(&world).await;
    let before = world.bundle(0, 0);
    world.store_bundle(&before).await;
    let endpoint = server.by_svid("spiffe://other.test/spire/server");
    let prefix = "failed to fetch federated bundle from endpoint: ";
    let too_long = "x".repeat(finial_identity::bundle::format::DOCUMENT_MAX + 1);
    for (status, body, want) in [
        (404, "404 page not found\n", "unexpected status 404 fetching bundle: 404 page not found\n"),
        (500, "", "unexpected status 500 fetching bundle: "),
        (200, "{}", "failed to decode bundle: no authorities found"),
        (200, "<html>", "failed to decode bundle: "),
        (200, too_long.as_str(), "failed to fetch bundle: Get "),
    ] {
        server.answer(status, body);
        let updated = world.federation.update_bundle(&world.other, &endpoint).await;
        let why = chain(&updated.outcome.unwrap_err()).to_string();
        assert!(why.starts_with(&format!("{prefix}{want}")), "{why}");
        assert_eq!(updated.known.as_deref(), Some(&before));
    }
    assert_eq!(world.stored().await, Some(before));
    // Without an authority nobody of that trust domain is believed any more; that is a bundle, too.
    server.serve(&Bundle { x509_authorities: Vec::new(), ..world.bundle(300, 9) });
    let emptied = world.federation.update_bundle(&world.other, &endpoint).await;
    assert_eq!(emptied.outcome.unwrap(), Change::Replaced);
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_is_given_up() {
    let world = World::with_limit(Duration::from_millis(200)).await;
    let server = EndpointServer::start(&world).await;
    world.store_bundle(&world.bundle(300, 1)).await;
    server.hang();
    let endpoint = server.by_svid("spiffe://other.test/spire/server");
    let updated = world.federation.update_bundle(&world.other, &endpoint).await;
    let why = chain(&updated.outcome.unwrap_err()).to_string();
    assert!(why.contains("no answer within 0 seconds"), "{why}");
    assert_eq!(world.federation.poll_once(&world.other, &endpoint).await, Duration::from_secs(75));
}

#[tokio::test]
async fn relationships_are_followed_as_they_come_change_and_go() {
    let world = World::new().await;
    let server = EndpointServer::start(&world).await;
    server.serve(&world.bundle(300, 1));
    let shutdown = Shutdown::new();
    let running = tokio::spawn(Arc::clone(&world.federation).run(shutdown.clone()));

    let mut relationship = world.relationship(NOT_SERVED);
    relationship.bundle = Some(world.bundle(0, 0));
    world.federation.create(relationship.clone()).await.unwrap();
    assert_eq!(world.foreign.cached(&world.other).unwrap().sequence_number, 0, "known at once");
    // The one that works is polled at once, not when the other one would have been.
    relationship.bundle_endpoint_url = server.url.clone();
    let parts = RelationshipParts {
        bundle_endpoint_url: true,
        bundle_endpoint_profile: true,
        trust_domain_bundle: false,
    };
    world.federation.update(relationship, parts).await.unwrap();
    world.wait_for_sequence(1).await;

    server.serve(&world.bundle(300, 2));
    assert_eq!(world.federation.refresh(&world.other).await.unwrap(), Refreshed::Done);
    assert_eq!(world.stored().await.unwrap().sequence_number, 2);
    world.federation.delete(&world.other).await.unwrap();
    assert_eq!(world.federation.refresh(&world.other).await.unwrap(), Refreshed::NoRelationship);
    assert_eq!(world.stored().await.unwrap().sequence_number, 2, "the bundle stays");
    shutdown.stop();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_configuration_overrides_the_store() {
    let configured = Endpoint { url: NOT_SERVED.to_owned(), profile: BundleEndpointProfile::HttpsWeb };
    let world = World::configured(&configured).await;
    world.federation.create(world.relationship("https://elsewhere.test")).await.unwrap();
    let mut third = world.relationship("https://third.test");
    third.trust_domain = TrustDomain::parse("third.test").unwrap();
    world.federation.create(third).await.unwrap();
    let endpoints = world.federation.endpoints().await.unwrap();
    assert_eq!(endpoints.keys().map(TrustDomain::as_str).collect::<Vec<_>>(), ["other.test", "third.test"]);
    assert_eq!(endpoints[&world.other], configured);
}

//! `FederationStore`.

use super::{now, refused, trust_domain, x509_authority};
use crate::datastore::{BundleChange, BundleDeletion, DataStore, RelationshipParts, Row};
use finial_identity::{Bundle, BundleEndpointProfile, Code, FederationRelationship, SpiffeId, TrustDomain};

const NOTHING: RelationshipParts = RelationshipParts {
    bundle_endpoint_url: false,
    bundle_endpoint_profile: false,
    trust_domain_bundle: false,
};

fn foreign() -> TrustDomain {
    trust_domain("foreign.test")
}

fn over_web(name: &str) -> FederationRelationship {
    FederationRelationship {
        trust_domain: trust_domain(name),
        bundle_endpoint_url: format!("https://{name}:8443/bundle?x=%20"),
        profile: BundleEndpointProfile::HttpsWeb,
        bundle: None,
    }
}

fn by_svid() -> BundleEndpointProfile {
    let endpoint_id = SpiffeId::parse("spiffe://third.test/endpoint").expect("the suite's own ID");
    BundleEndpointProfile::HttpsSpiffe { endpoint_id }
}

fn bundle_of(name: &str, sequence_number: u64) -> Bundle {
    let x509_authorities = vec![x509_authority(2_000_000_000)];
    Bundle { x509_authorities, refresh_hint: 300, sequence_number, ..Bundle::new(trust_domain(name)) }
}

async fn stored(store: &dyn DataStore, name: &str) -> Option<Row<FederationRelationship>> {
    store.relationship_get(&trust_domain(name)).await.expect("get")
}

/// Create, get, update by parts, delete; and the bundle that belongs to a relationship.
pub async fn relationship_changes(store: &dyn DataStore) {
    assert_eq!(stored(store, "foreign.test").await, None);
    let first = over_web("foreign.test");
    let created = store.relationship_create(first.clone(), now()).await.expect("create");
    assert_eq!(created.value, first);
    assert_eq!(stored(store, "foreign.test").await.as_ref(), Some(&created));
    refused(store.relationship_create(first.clone(), now()).await, Code::AlreadyExists);

    // What a refused one brings is not kept.
    let bringing = FederationRelationship { bundle: Some(bundle_of("foreign.test", 1)), ..first.clone() };
    refused(store.relationship_create(bringing.clone(), now()).await, Code::AlreadyExists);
    assert_eq!(store.bundle_get(&foreign()).await.expect("get"), None);

    // A bundle that comes another way is seen.
    let apart = bundle_of("foreign.test", 2);
    store.bundle_change(&foreign(), BundleChange::Set(apart.clone()), now()).await.expect("set");
    assert_eq!(stored(store, "foreign.test").await.and_then(|row| row.value.bundle), Some(apart.clone()));

    relationship_parts(store, created.row_id, bringing).await;
    store.relationship_delete(&foreign()).await.expect("delete");
    assert_eq!(stored(store, "foreign.test").await, None);
    assert!(store.bundle_get(&foreign()).await.expect("get").is_some(), "the bundle stays");
    let error = refused(store.relationship_delete(&foreign()).await, Code::NotFound);
    assert_eq!(error.message, "datastore-sql: record not found");
    refused(store.relationship_update(first.clone(), NOTHING, now()).await, Code::NotFound);

    let again = FederationRelationship { bundle: Some(bundle_of("foreign.test", 9)), ..first };
    let created = store.relationship_create(again.clone(), now()).await.expect("a name may come again");
    assert_eq!(created.value, again);
    assert_eq!(store.bundle_get(&foreign()).await.expect("get"), again.bundle, "set with it");
    store.bundle_delete(&foreign(), BundleDeletion::Restrict, now()).await.expect("delete");
    assert_eq!(stored(store, "foreign.test").await.map(|row| row.value.bundle), Some(None));
}

async fn relationship_parts(store: &dyn DataStore, row_id: i64, first: FederationRelationship) {
    let before = stored(store, "foreign.test").await.expect("there").value;
    let newer = FederationRelationship {
        bundle_endpoint_url: "https://elsewhere.test".to_owned(),
        profile: by_svid(),
        ..first
    };
    let update = async |parts| {
        let updated = store.relationship_update(newer.clone(), parts, now()).await.expect("update");
        assert_eq!(updated.row_id, row_id);
        assert_eq!(stored(store, "foreign.test").await.as_ref(), Some(&updated));
        updated.value
    };
    assert_eq!(update(NOTHING).await, before);
    let by_url = update(RelationshipParts { bundle_endpoint_url: true, ..NOTHING }).await;
    assert_eq!(by_url.bundle_endpoint_url, newer.bundle_endpoint_url);
    assert_eq!((&by_url.profile, &by_url.bundle), (&before.profile, &before.bundle));
    let by_profile = update(RelationshipParts { bundle_endpoint_profile: true, ..NOTHING }).await;
    assert_eq!((&by_profile.profile, &by_profile.bundle), (&newer.profile, &before.bundle));
    let by_bundle = RelationshipParts { trust_domain_bundle: true, ..NOTHING };
    assert_eq!(update(by_bundle).await, newer);
    let none = FederationRelationship { bundle: None, ..newer.clone() };
    let kept = store.relationship_update(none, by_bundle, now()).await.expect("update");
    assert_eq!(kept.value, newer, "no bundle leaves the stored one");
    let web = FederationRelationship { profile: BundleEndpointProfile::HttpsWeb, ..newer.clone() };
    let parts = RelationshipParts { bundle_endpoint_profile: true, ..NOTHING };
    let back = store.relationship_update(web.clone(), parts, now()).await.expect("update");
    assert_eq!(back.value, web);
}

/// Lists in row order.
pub async fn relationship_pages(store: &dyn DataStore) {
    assert!(store.relationship_page(i64::MIN, 9).await.expect("page").is_empty());
    let names = ["c.test", "a.test", "b.test", "d.test"];
    for name in names {
        let relationship = FederationRelationship {
            profile: if name == "b.test" { by_svid() } else { BundleEndpointProfile::HttpsWeb },
            bundle: (name == "a.test").then(|| bundle_of(name, 3)),
            ..over_web(name)
        };
        store.relationship_create(relationship, now()).await.expect("create");
    }
    let all = store.relationship_page(i64::MIN, 9).await.expect("page");
    assert_eq!(all.iter().map(|row| row.value.trust_domain.as_str()).collect::<Vec<_>>(), names);
    for row in &all {
        assert_eq!(stored(store, row.value.trust_domain.as_str()).await.as_ref(), Some(row));
    }
    assert_eq!(store.relationship_page(all[0].row_id, 2).await.expect("page"), all[1..3]);
    store.relationship_delete(&trust_domain("a.test")).await.expect("delete");
    let rest = store.relationship_page(all[0].row_id, 1).await.expect("page");
    assert_eq!(rest[0].value.trust_domain.as_str(), "b.test");
    assert!(store.relationship_page(all[3].row_id, 9).await.expect("page").is_empty());
}

//! `BundleStore`.

use super::{draft, entry_id, jwt_authority, now, refused, trust_domain, x509_authority};
use crate::datastore::{BundleChange, BundleDeletion, BundleParts, DataStore};
use finial_identity::{AuthorityId, Bundle, Code, TrustDomain, UnixTime, WitAuthority};

async fn change(store: &dyn DataStore, change: BundleChange) -> Bundle {
    let changed = store.bundle_change(&own(), change, now()).await.expect("bundle change");
    assert_eq!(store.bundle_get(&own()).await.expect("get"), Some(changed.clone()), "as stored");
    changed
}

fn own() -> TrustDomain {
    trust_domain("example.org")
}

/// Append, set, create, update, and pages.
pub async fn bundle_changes(store: &dyn DataStore) {
    assert_eq!(store.bundle_get(&own()).await.expect("get"), None);
    assert_eq!(store.bundle_count().await.expect("count"), 0);
    let (x1, x2) = (x509_authority(2_000_000_000), x509_authority(2_000_000_001));
    let (j1, j2) = (jwt_authority("k1", 0), jwt_authority("k2", 2_000_000_000));
    let appended = |x509: &[_], jwt: &[_]| BundleChange::Append { x509: x509.to_vec(), jwt: jwt.to_vec() };

    let first = change(store, appended(std::slice::from_ref(&x1), &[])).await;
    assert_eq!(first, Bundle { x509_authorities: vec![x1.clone()], ..Bundle::new(own()) });
    let second = change(store, appended(&[x1.clone(), x2.clone()], &[j1.clone(), j2.clone()])).await;
    assert_eq!(second.x509_authorities, [x1.clone(), x2.clone()]);
    assert_eq!(second.jwt_authorities, [j1.clone(), j2.clone()]);
    assert_eq!(second.sequence_number, 1);
    let nothing_new = change(store, appended(std::slice::from_ref(&x2), std::slice::from_ref(&j1))).await;
    assert_eq!(nothing_new, second, "what is known changes nothing");

    let set = Bundle {
        x509_authorities: vec![x2.clone()],
        wit_authorities: vec![WitAuthority::new("w", j1.public_key.clone())],
        refresh_hint: 300,
        sequence_number: 42,
        ..Bundle::new(own())
    };
    assert_eq!(change(store, BundleChange::Set(set.clone())).await, set);
    let error = refused(
        store.bundle_change(&own(), BundleChange::Create(set.clone()), now()).await,
        Code::AlreadyExists,
    );
    assert!(error.message.starts_with("datastore-sql: "), "{error}");

    let nothing = BundleParts { x509: false, jwt: false, refresh_hint: false, sequence_number: false };
    let newer = Bundle {
        x509_authorities: vec![x1.clone()],
        jwt_authorities: vec![j2.clone()],
        refresh_hint: 60,
        sequence_number: 43,
        ..Bundle::new(own())
    };
    assert_eq!(change(store, BundleChange::Update(newer.clone(), nothing)).await, set);
    let parts = BundleParts { jwt: true, refresh_hint: true, ..nothing };
    let partly = change(store, BundleChange::Update(newer.clone(), parts)).await;
    assert_eq!(partly, Bundle { jwt_authorities: vec![j2], refresh_hint: 60, ..set.clone() });
    let parts = BundleParts { x509: true, sequence_number: true, ..nothing };
    let wholly = change(store, BundleChange::Update(newer.clone(), parts)).await;
    assert_eq!(wholly, Bundle { wit_authorities: set.wit_authorities, ..newer.clone() });

    let foreign = trust_domain("foreign.test");
    let created = Bundle { sequence_number: 7, ..Bundle::new(foreign.clone()) };
    let made = store.bundle_change(&foreign, BundleChange::Create(created.clone()), now()).await;
    assert_eq!(made.expect("create"), created);
    assert_eq!(store.bundle_count().await.expect("count"), 2);
    let page = store.bundle_page(0, 9).await.expect("page");
    assert_eq!(page.iter().map(|row| row.value.clone()).collect::<Vec<_>>(), [wholly, created.clone()]);
    let rest = store.bundle_page(page[0].row_id, 9).await.expect("page");
    assert_eq!(rest[0].value, created);
    assert_eq!(store.bundle_page(0, 1).await.expect("page").len(), 1);

    let unknown = trust_domain("unknown.test");
    for change in [
        BundleChange::Update(newer, nothing),
        BundleChange::Prune { expired_before: UnixTime::from_seconds(1) },
        BundleChange::TaintX509(AuthorityId::new("00")),
    ] {
        let error = refused(store.bundle_change(&unknown, change, now()).await, Code::NotFound);
        assert_eq!(error.message, "datastore-sql: record not found");
    }
}

/// Prune, taint, revoke: the rules of `finial_identity::bundle`, kept on disk.
pub async fn bundle_rules(store: &dyn DataStore) {
    let (old, new) = (x509_authority(1000), x509_authority(2_000_000_000));
    let (old_key, new_key) = (jwt_authority("old", 1000), jwt_authority("new", 2_000_000_000));
    let start = Bundle {
        x509_authorities: vec![old.clone(), new.clone()],
        jwt_authorities: vec![old_key.clone(), new_key.clone()],
        refresh_hint: 5,
        sequence_number: 1,
        ..Bundle::new(own())
    };
    change(store, BundleChange::Create(start.clone())).await;
    let at = |seconds| BundleChange::Prune { expired_before: UnixTime::from_seconds(seconds) };
    assert_eq!(change(store, at(999)).await, start, "nothing ended");
    refused(store.bundle_change(&own(), at(3_000_000_000), now()).await, Code::FailedPrecondition);
    assert_eq!(store.bundle_get(&own()).await.expect("get"), Some(start.clone()), "never the last one");

    let try_change = async |change: BundleChange, code: Code| {
        let before = store.bundle_get(&own()).await.expect("get");
        let error = refused(store.bundle_change(&own(), change, now()).await, code);
        assert_eq!(store.bundle_get(&own()).await.expect("get"), before, "a refusal changes nothing");
        error.message
    };
    let unknown = AuthorityId::new("00");
    let text = try_change(BundleChange::TaintX509(unknown.clone()), Code::NotFound).await;
    assert_eq!(text, "no ca found with provided subject key ID");
    let text = try_change(BundleChange::RevokeX509(old.id()), Code::InvalidArgument).await;
    assert_eq!(text, "it is not possible to revoke an untainted root CA");
    let tainted = change(store, BundleChange::TaintX509(old.id())).await;
    assert!(tainted.x509_authorities[0].tainted && !tainted.x509_authorities[1].tainted);
    assert_eq!(tainted.sequence_number, 2);
    let text = try_change(BundleChange::TaintX509(old.id()), Code::InvalidArgument).await;
    assert_eq!(text, "root CA is already tainted");
    let revoked = change(store, BundleChange::RevokeX509(old.id())).await;
    assert_eq!(revoked.x509_authorities, [new]);
    let text = try_change(BundleChange::RevokeX509(unknown.clone()), Code::NotFound).await;
    assert_eq!(text, "no root CA found with provided subject key ID");

    let text = try_change(BundleChange::TaintJwt(unknown), Code::NotFound).await;
    assert_eq!(text, "no JWT Key found with provided key ID");
    let text = try_change(BundleChange::RevokeJwt(old_key.id()), Code::InvalidArgument).await;
    assert_eq!(text, "it is not possible to revoke an untainted key");
    change(store, BundleChange::TaintJwt(old_key.id())).await;
    let text = try_change(BundleChange::TaintJwt(old_key.id()), Code::InvalidArgument).await;
    assert_eq!(text, "key is already tainted");
    let revoked = change(store, BundleChange::RevokeJwt(old_key.id())).await;
    assert_eq!(revoked.jwt_authorities, [new_key]);
    assert_eq!((revoked.sequence_number, revoked.refresh_hint), (5, 5));

    change(store, BundleChange::Set(start)).await;
    let pruned = change(store, at(1000)).await;
    assert_eq!(
        (pruned.x509_authorities.len(), pruned.jwt_authorities.len()),
        (1, 1),
        "what ends then is over"
    );
    assert_eq!(pruned.sequence_number, 2);
}

/// The three ways to delete a bundle that entries federate with.
pub async fn bundle_deletion(store: &dyn DataStore) {
    let foreign = trust_domain("foreign.test");
    refused(store.bundle_delete(&foreign, BundleDeletion::Restrict, now()).await, Code::NotFound);
    for mode in [BundleDeletion::Restrict, BundleDeletion::Dissociate, BundleDeletion::DeleteEntries] {
        let kept = BundleChange::Set(Bundle::new(trust_domain("kept.test")));
        store.bundle_change(&trust_domain("kept.test"), kept, now()).await.expect("bundle");
        store
            .bundle_change(&foreign, BundleChange::Create(Bundle::new(foreign.clone())), now())
            .await
            .expect("bundle");
        for name in ["one", "two", "apart"] {
            let mut wish = draft(&format!("/{name}"), &["unix:uid:1"]);
            wish.id = Some(entry_id(&format!("{name}-{mode:?}")));
            wish.spec.parent_id = super::id(&format!("/spire/agent/{mode:?}"));
            wish.spec.federates_with = vec![trust_domain("kept.test")];
            if name != "apart" {
                wish.spec.federates_with.push(foreign.clone());
            }
            store.entry_create_or_get(wish, now()).await.expect("create");
        }
        let newest = store.entry_event_newest().await.expect("newest");
        let affected = ["one", "two"].map(|name| entry_id(&format!("{name}-{mode:?}")));
        if mode == BundleDeletion::Restrict {
            let error = refused(store.bundle_delete(&foreign, mode, now()).await, Code::FailedPrecondition);
            assert_eq!(
                error.message,
                "datastore-sql: cannot delete bundle; federated with 2 registration entries"
            );
            assert!(store.bundle_get(&foreign).await.expect("get").is_some());
            for id in &affected {
                store.entry_delete(id, now()).await.expect("delete");
            }
            assert!(store.bundle_delete(&foreign, mode, now()).await.expect("delete").is_empty());
        } else {
            assert_eq!(store.bundle_delete(&foreign, mode, now()).await.expect("delete"), affected);
        }
        let told = store.entry_events(newest, 9).await.expect("events");
        let told: Vec<_> = told.into_iter().map(|event| event.subject).collect();
        assert_eq!(told, affected, "each entry that changed is in the feed");
        assert_eq!(store.bundle_get(&foreign).await.expect("get"), None);
        assert_eq!(store.bundle_count().await.expect("count"), 1);
        for id in &affected {
            let entry = store.entry_get(id).await.expect("get");
            let links = entry.map(|row| (row.value.spec.federates_with, row.value.revision));
            let expected = (mode == BundleDeletion::Dissociate).then(|| (vec![trust_domain("kept.test")], 1));
            assert_eq!(links, expected);
        }
        let apart = store.entry_get(&entry_id(&format!("apart-{mode:?}"))).await.expect("get");
        assert_eq!(apart.expect("the entry apart").value.revision, 0);
    }
    // A new bundle of that name is not linked to the old entries.
    let again = BundleChange::Create(Bundle::new(foreign.clone()));
    store.bundle_change(&foreign, again, now()).await.expect("bundle");
    let deleted = store.bundle_delete(&foreign, BundleDeletion::Restrict, now()).await;
    assert!(deleted.expect("delete").is_empty());
}

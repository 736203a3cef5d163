//! What operators do by hand, and how the server's own SVID follows.

use super::{HOUR, World};
use crate::authority::JwtSwitch;
use finial_identity::x509::Certificate;
use finial_identity::{AuthorityId, Code};
use std::time::Duration;

#[tokio::test]
async fn x509_from_preparation_to_revocation() {
    let world = World::new();
    let server = world.start().await;
    let authority = &server.authority;
    let first = server.active_x509();
    let own = authority.issue_server_identity().await.unwrap().svid().chain.clone();

    let prepared = authority.prepare_x509_authority().await.unwrap();
    assert_eq!(authority.x509_state().prepared, Some(prepared.clone()));
    assert!(server.bundle.current().find_x509(&prepared.id).next().is_some());
    let refused = authority.taint_x509_authority(&first).await.unwrap_err();
    assert_eq!(refused.message, "unable to taint current local authority");

    let activated = authority.activate_x509_authority(&prepared.id).await.unwrap();
    assert_eq!(activated, prepared);
    assert_eq!(world.store.journals()[0].active_x509_authority_id, prepared.id.as_str());
    let refused = authority.revoke_x509_authority(&first).await.unwrap_err();
    assert_eq!(refused.code, Code::Internal);
    assert_eq!(
        refused.message,
        "failed to revoke X.509 authority: it is not possible to revoke an untainted root CA"
    );

    assert!(!authority.must_replace(&own) && !authority.hangs_on_tainted(&own));
    assert_eq!(authority.taint_x509_authority(&first).await.unwrap().id, first);
    assert!(authority.must_replace(&own) && authority.hangs_on_tainted(&own));
    let own = authority.issue_server_identity().await.unwrap().svid().chain.clone();
    assert!(!authority.must_replace(&own), "the new one hangs on the new authority");
    let refused = authority.taint_x509_authority(&first).await.unwrap_err();
    assert_eq!(refused.message, "failed to taint X.509 authority: root CA is already tainted");

    authority.revoke_x509_authority(&first).await.unwrap();
    assert!(server.bundle.current().find_x509(&first).next().is_none());
    assert_eq!(world.start().await.authority.x509_state().active.unwrap(), prepared);
}

#[tokio::test]
async fn jwt_from_preparation_to_revocation() {
    let world = World::new();
    let server = world.start().await;
    let authority = &server.authority;
    let first = server.active_jwt();
    let prepared = authority.prepare_jwt_authority().await.unwrap();
    let other = authority.prepare_jwt_authority().await.unwrap();
    assert_ne!(prepared.id, other.id, "a second preparation replaces the first");
    let refused = authority.activate_jwt_authority(&prepared.id).await.unwrap_err();
    assert_eq!(refused.message, "unexpected authority ID");
    assert_eq!(authority.activate_jwt_authority(&other.id).await.unwrap(), other);
    assert_eq!(authority.taint_jwt_authority(&first).await.unwrap().id, first);
    authority.revoke_jwt_authority(&first).await.unwrap();
    assert!(server.bundle.current().find_jwt(first.as_str()).is_none());
    // The one that was prepared first is in the bundle still, and only an untainted key.
    let refused = authority.revoke_jwt_authority(&prepared.id).await.unwrap_err();
    assert_eq!(
        refused.message,
        "failed to revoke JWT authority: it is not possible to revoke an untainted key"
    );
    let refused = authority.revoke_jwt_authority(&AuthorityId::new("unknown")).await.unwrap_err();
    assert_eq!(refused.message, "invalid authority ID: no JWT authority found with provided authority ID");
}

#[tokio::test]
async fn without_jwt() {
    let mut world = World::new();
    world.config.jwt = JwtSwitch::Disabled;
    let server = world.start().await;
    let refused = server.authority.prepare_jwt_authority().await.unwrap_err();
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (Code::Unimplemented, "JWT functionality is disabled")
    );
}

#[tokio::test]
async fn the_own_svid_lives_half_its_life() {
    let world = World::new();
    let server = world.start().await;
    let identity = server.authority.issue_server_identity().await.unwrap();
    let chain: &[Certificate] = &identity.svid().chain;
    assert!(server.authority.must_replace(&[]));
    // It began ten seconds ago.
    world.clock.advance(Duration::from_secs(HOUR / 2 - 5));
    assert!(!server.authority.must_replace(chain));
    world.clock.advance(Duration::from_secs(1));
    assert!(server.authority.must_replace(chain));
}
